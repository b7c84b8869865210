-- Lists relays that take new clients; cacheable, as every announcement of theirs writes the list.
-- KEYS: relays. ARGV: how many at most
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
return redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf', 'LIMIT', 0, ARGV[1])
