-- Stores one message and fans it out, once for each (user, id).
-- KEYS: head {epoch, pos}, stream, index, older index
-- ARGV: believed epoch, channel, digest of (user, id), body, history limit, history ttl in ms, how
-- long an id is known at least in ms, "<user>\0<id>" as relays of before have it in the index, size
-- from which on a body is large, a position that the caller knows to be taken
-- An index is {tail: "<seq> <digest>", since: when it began, big: the sequence after which no body is
-- large, <digest of (user, id)>: receipt}. Once it is old enough and has as many ids as the history
-- has messages, it becomes the older one: so the two know all ids of their time, and of all messages
-- that are kept.
-- Returns "+ pos seq at digest", "= pos seq at digest" for a repeat, "! epoch" if the believed
-- epoch is not ours, or that position was lost, so that it is about to be left.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'pos')
if head[1] ~= ARGV[1] or tonumber(head[2] or '0') < tonumber(ARGV[10]) then return '! ' .. (head[1] or '') end

local limit, ttl, window = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local keep = math.max(ttl, window)
local now = redis.call('TIME')
local at = string.format('%d%03d', now[1], math.floor(now[2] / 1000))
local index = redis.call('HMGET', KEYS[3], 'tail', 'since', 'big', ARGV[3], 'i' .. ARGV[8])
local tail, since, big = index[1], index[2], index[3]
local known = index[4] or index[5] or redis.call('HGET', KEYS[4], ARGV[3])

-- Of a room that is new, or whose index was lost, the stream tells.
if not tail then
  for _, e in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do
    local p, s = string.match(e[1], '^(%d+)%-(%d+)$')
    local t, d = string.match(e[2][2], '^(%d+) %w* (%w+) ')
    tail, since, big = s .. ' ' .. d, at, s
    if e[2][4] then
      redis.call('HSET', KEYS[3], e[2][4], p .. ' ' .. s .. ' ' .. t .. ' ' .. d)
      if e[2][4] == ARGV[3] then known = p .. ' ' .. s .. ' ' .. t .. ' ' .. d end
    end
  end
  if tail then
    redis.call('HSET', KEYS[3], 'tail', tail, 'since', since, 'big', big)
    redis.call('PEXPIRE', KEYS[3], keep)
  end
end
if known then return '= ' .. known end

local seq, prev = 1, ''
-- An index may outlive its stream, whose sequence then begins anew.
if tail and (ttl >= window or redis.call('EXISTS', KEYS[2]) == 1) then
  local s, d = string.match(tail, '^(%d+) (%w+)$')
  seq, prev = tonumber(s) + 1, d
end
local digest = string.sub(redis.sha1hex(prev .. ' ' .. ARGV[3] .. ' ' .. at), 1, 12)
local pos = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'pos', 1))
local rest = at .. ' ' .. prev .. ' ' .. digest .. ' ' .. ARGV[4]
redis.call('XADD', KEYS[2], 'MAXLEN', '=', limit, pos .. '-' .. seq, 'm', rest, 'i', ARGV[3])

local was = big
if since and tonumber(at) - tonumber(since) >= window and redis.call('HLEN', KEYS[3]) - 3 >= limit then
  redis.call('UNLINK', KEYS[4])
  redis.call('RENAME', KEYS[3], KEYS[4])
  since = nil
end
if seq == 1 then big = 0 elseif not big then big = seq - 1 end -- of what stands before nobody took note
if #ARGV[4] >= tonumber(ARGV[9]) then big = seq end
local receipt = pos .. ' ' .. seq .. ' ' .. at .. ' ' .. digest
redis.call('HSET', KEYS[3], 'tail', seq .. ' ' .. digest, ARGV[3], receipt)
if not since then
  redis.call('HSET', KEYS[3], 'since', at, 'big', big)
elseif big ~= was then
  redis.call('HSET', KEYS[3], 'big', big)
end

redis.call('PEXPIRE', KEYS[2], ARGV[6])
redis.call('PEXPIRE', KEYS[3], keep)
redis.call('PEXPIRE', KEYS[4], keep)
redis.call('PUBLISH', ARGV[2], 'm' .. ARGV[1] .. ' ' .. pos .. ' ' .. seq .. ' ' .. rest)
return '+ ' .. receipt
