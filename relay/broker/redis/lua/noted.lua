-- Notes that a life holds all revocations up to a version, if that is one of this history's.
-- KEYS: head, revoked, its subjects by number, lives, noted {life: number}
-- ARGV: life, number, tag, ttl of the key in ms
-- Returns 1, or 0 if the life's lease has ended or the version is another history's.
local now, lease = redis.call('TIME'), redis.call('ZSCORE', KEYS[4], ARGV[1])
if not lease or tonumber(lease) <= now[1] * 1000 + math.floor(now[2] / 1000) then return 0 end
local head = redis.call('HGET', KEYS[1], 'revoked') or ''
if head ~= ARGV[2] .. '-' .. ARGV[3] then
  local newest = string.match(head, '^%d+')
  if not newest or tonumber(newest) <= tonumber(ARGV[2]) then return 0 end
  local at = redis.call('ZRANGEBYSCORE', KEYS[3], ARGV[2], ARGV[2])[1] -- nothing, if it has become stricter since
  local is = at and redis.call('HGET', KEYS[2], at)
  if is and string.match(is, '^%d+ (%w+) ') ~= ARGV[3] then return 0 end
end
redis.call('PEXPIRE', KEYS[5], ARGV[4]) -- first: after it, a Redis that is full does not refuse
local was = redis.call('ZSCORE', KEYS[5], ARGV[1])
if not was or tonumber(was) < tonumber(ARGV[2]) then redis.call('ZADD', KEYS[5], ARGV[2], ARGV[1]) end
redis.call('PEXPIRE', KEYS[5], ARGV[4])
for _, life in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', '(' .. ARGV[2], 'LIMIT', 0, 8)) do
  if not redis.call('ZSCORE', KEYS[4], life) then redis.call('ZREM', KEYS[5], life) end
end
return 1
