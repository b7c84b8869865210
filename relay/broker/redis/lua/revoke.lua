-- Stores revocations, of which the stricter holds in each respect (of those whose subject begins with m,
-- the last), and fans out what has changed.
-- KEYS: head {revoked: version}, revoked {subject: "<number> <tag> <issued before> <until> <reauth>"},
-- its subjects by number, its subjects by until
-- ARGV: channel, how many at most, the latest format that the caller knows, and for each: subject,
-- issued before, until, both in ms and 0 for all and 1 if it may be met with another token
-- A version is "<number>-<tag>": the number rises with each change, the tag is of the changes up to it.
-- Returns {format of head, number of each ...}: 0 if there are too many, -1 if it has expired.
local head, now = redis.call('HMGET', KEYS[1], 'revoked', 'format'), redis.call('TIME')
local at = string.format('%d%03d', now[1], math.floor(now[2] / 1000))
local out = {head[2] or '0'}
if tonumber(out[1]) > tonumber(ARGV[3]) then return out end
redis.call('HDEL', KEYS[2], '') -- first: after it, a Redis that is full does not refuse
local count, max = redis.call('HLEN', KEYS[2]), tonumber(ARGV[2])
local function forget(limit)
  for _, subject in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', at, 'LIMIT', 0, limit)) do
    redis.call('HDEL', KEYS[2], subject)
    redis.call('ZREM', KEYS[3], subject)
    redis.call('ZREM', KEYS[4], subject)
    count = count - 1
  end
end
forget(64)
if count >= max then forget(4096) end

local number, tag = string.match(head[1] or '0-', '^(%d+)%-(%w*)$')
number = tonumber(number)
local last, was = 0, number
for i = 4, #ARGV, 4 do
  local subject, before, til, reauth = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local is = redis.call('HGET', KEYS[2], subject)
  local n, b, u, r
  if is then n, b, u, r = string.match(is, '^(%d+) %w+ (%d+) (%d+) (%d)') end
  local held = n and tonumber(u) > tonumber(at)
  if held and string.sub(subject, 1, 1) == 'm' then -- the last word counts, and is kept as long as the one before
    if tonumber(u) > tonumber(til) then til = u end
  elseif held then
    if b == '0' or before == '0' then before = '0' elseif tonumber(b) > tonumber(before) then before = b end
    if tonumber(u) > tonumber(til) then til = u end
    if r == '0' then reauth = '0' end
  end
  local answer
  if held and before == b and til == u and reauth == r then
    answer = n
  elseif tonumber(til) <= tonumber(at) then
    answer = '-1'
  elseif not is and count >= max then
    answer = '0'
  else
    local prev = tag
    local text = before .. ' ' .. til .. ' ' .. reauth
    number = number + 1
    answer = string.format('%.0f', number)
    tag = string.sub(redis.sha1hex(prev .. ' ' .. subject .. ' ' .. text .. ' ' .. at .. now[2]), 1, 12)
    redis.call('HSET', KEYS[2], subject, answer .. ' ' .. tag .. ' ' .. text)
    redis.call('ZADD', KEYS[3], answer, subject)
    redis.call('ZADD', KEYS[4], til, subject)
    redis.call('PUBLISH', ARGV[1], answer .. ' ' .. prev .. ' ' .. tag .. ' ' .. text .. ' ' .. subject)
    if not is then count = count + 1 end
    last = math.max(last, tonumber(til))
  end
  out[#out + 1] = answer
end
if number > was then
  redis.call('HSET', KEYS[1], 'revoked', string.format('%.0f', number) .. '-' .. tag)
  local left = last - tonumber(at)
  if redis.call('PTTL', KEYS[2]) < left then
    for i = 2, 4 do redis.call('PEXPIRE', KEYS[i], string.format('%.0f', left)) end
  end
end
return out
