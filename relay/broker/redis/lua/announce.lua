-- Says where a relay is, for the time of a lease, and lists it among those that take new clients,
-- unless it drains. Strikes from the list relays whose leases have ended.
-- KEYS: the relay's announcement, relays
-- ARGV: announcement, entry in the list, lease in ms, 1 if it drains, ttl of the list in ms
redis.call('PEXPIRE', KEYS[2], ARGV[5]) -- first: after it, a Redis that is full does not refuse
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
if ARGV[4] == '1' then
  redis.call('ZREM', KEYS[2], ARGV[2])
else
  redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[3]), ARGV[2])
end
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now), 'LIMIT', 0, 16)) do
  redis.call('ZREM', KEYS[2], entry)
end
redis.call('PEXPIRE', KEYS[2], ARGV[5])
