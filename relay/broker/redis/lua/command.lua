-- Has relays hear a command. KEYS: lives. ARGV: channel, what is said on it
-- Returns the lives whose leases have not ended: those that are to answer.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('PUBLISH', ARGV[1], ARGV[2])
return redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf')
