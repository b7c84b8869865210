-- What scripts that write notices share. at is how many keys they have before these.
-- notices {fence: the last one}, told {subject: JSON of the user, or nothing of a room, that was noticed to be
-- there; "?" and the subject, if Redis may have lost that}, left {subject: since when it is not, in ms} until that was noticed, waiting {subject: notices by
-- lines, of which the first is being told or about to be}, turns: a stream with one entry of each subject of
-- waiting, dead: a stream of notices that nobody took. A subject is "u<user>" or "r<room>".
-- A notice is "1 <id> <+ or -> <fence> <at in ms> <tried since in ms> <JSON of the user>".
local notices, told, left, waiting, turns, dead = KEYS[at + 1], KEYS[at + 2], KEYS[at + 3], KEYS[at + 4], KEYS[at + 5], KEYS[at + 6]

local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000), t[1] * 1000000 + t[2]
end

-- keep has a key go a week after the last that was written to it, lest a fleet that is gone leave it for ever.
local function keep(key) redis.call('PEXPIRE', key, 604800000) end

-- die puts a line where those are that nobody took.
local function die(subject, line, why)
  redis.call('XADD', dead, 'MAXLEN', '=', 1000, '*', 's', subject, 'n', line, 'w', why)
  keep(dead)
end

-- queue has a line told, behind those of its subject that wait. Of more than may wait it is dead at once.
local function queue(subject, line)
  local behind = redis.call('HGET', waiting, subject)
  if behind and #behind >= 65536 or not behind and redis.call('HLEN', waiting) >= 100000 then
    die(subject, line, 'too many wait')
  elseif behind then
    redis.call('HSET', waiting, subject, behind .. '\n' .. line)
  else
    redis.call('HSET', waiting, subject, line)
    redis.call('XADD', turns, '*', 's', subject)
    keep(waiting)
    keep(turns)
  end
end

-- notice writes that a subject is there ("+") or gone ("-"), since a time in ms. Its fence is above the last
-- one, above what the caller has seen, and about the time in microseconds: so it rises, whatever Redis loses.
local function notice(sign, subject, since, text, seen)
  local ms, us = clock()
  local last = tonumber(redis.call('HGET', notices, 'fence') or '0')
  local fence = string.format('%.0f', math.max(last + 1, us, seen + 1))
  redis.call('HSET', notices, 'fence', fence)
  keep(notices)
  local id = 'presence-' .. string.sub(redis.sha1hex(subject .. ' ' .. fence), 1, 20)
  queue(subject, table.concat({'1', id, sign, fence, string.format('%.0f', since or ms), string.format('%.0f', ms), text}, ' '))
end

-- came notes that a subject is there.
local function came(subject, text, seen)
  local was = redis.call('HGET', told, subject)
  if was == text then return end
  redis.call('HSET', told, subject, text)
  keep(told)
  if not was then notice('+', subject, nil, text, seen) end
end

-- went notes that a subject is there no more: now, or, if Redis did not know that it was, unless that has been
-- noted already. A grace later it is looked at again. What Redis has lost may have been told or not: so that it is
-- gone is told, and if it is back before, that it is there.
local function went(subject, text, known)
  if known then
    redis.call('HSETNX', told, subject, text)
    redis.call('ZADD', left, string.format('%.0f', (clock())), subject)
  else
    if redis.call('HEXISTS', told, subject) == 0 then redis.call('HSET', told, '?' .. subject, text) end
    redis.call('ZADD', left, 'NX', string.format('%.0f', (clock())), subject)
  end
  keep(told)
  keep(left)
end

