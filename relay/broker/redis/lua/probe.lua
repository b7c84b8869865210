-- Sends a relay where the partition stands, over its own subscription: what was pushed before is
-- all up to there.
-- KEYS: head. ARGV: the relay's channel
local head, now = redis.call('HMGET', KEYS[1], 'epoch', 'pos', 'format'), redis.call('TIME')
local at = string.format('%d%03d', now[1], math.floor(now[2] / 1000))
redis.call('PUBLISH', ARGV[1], 'p' .. (head[1] or '') .. ' ' .. (head[2] or '0') .. ' ' .. at .. ' ' .. (head[3] or '0'))
return 1
