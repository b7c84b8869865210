-- Renews a life's lease and finds those that have ended. A lease that has ended is never renewed:
-- somebody may be taking that life out already.
-- KEYS: lives, the life's set, the life's newest write, head, noted {life: number of the newest revocation
-- that it holds}. ARGV: life, lease in ms, 1 if the life begins, ttl of the keys in ms, version of the
-- revocations that it holds
-- Returns {1 if the lease holds, size of the life's set, life, life, ...}: lives whose leases have
-- ended.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local held, lease = 0, redis.call('ZSCORE', KEYS[1], ARGV[1])
if ARGV[3] == '1' or (lease and tonumber(lease) > now) then
  held = 1
  redis.call('PEXPIRE', KEYS[1], ARGV[4]) -- first: after it, a Redis that is full does not refuse
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  if ARGV[5] ~= '' and ARGV[5] == redis.call('HGET', KEYS[4], 'revoked') then
    redis.call('ZADD', KEYS[5], string.match(ARGV[5], '^%d+'), ARGV[1])
    redis.call('PEXPIRE', KEYS[5], ARGV[4])
  end
  if ARGV[3] == '1' then
    redis.call('SET', KEYS[3], '0', 'PX', ARGV[4])
  else
    redis.call('PEXPIRE', KEYS[3], ARGV[4])
  end
end
local out = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, 16)
table.insert(out, 1, tostring(redis.call('SCARD', KEYS[2])))
table.insert(out, 1, tostring(held))
return out
