-- Sends a relay where the partition stands, over its own subscription: what was pushed before is
-- all up to there. It writes, so that it is seen whether Redis takes what is written.
-- KEYS: head, a key to write. ARGV: the relay's channel, number of the probe
-- Returns why Redis refused to write, or nothing: a replica's subscribers are not the primary's.
local head, now = redis.call('HMGET', KEYS[1], 'epoch', 'pos', 'format', 'revoked'), redis.call('TIME')
local at = string.format('%d%03d', now[1], math.floor(now[2] / 1000))
local wrote = redis.pcall('SET', KEYS[2], ARGV[2], 'PX', 60000)
local refused = type(wrote) == 'table' and wrote.err or ''
redis.call('PUBLISH', ARGV[1], 'p' .. (head[1] or '') .. ' ' .. (head[2] or '0') .. ' ' .. at .. ' ' ..
  (head[3] or '0') .. ' ' .. ARGV[2] .. ' ' .. (head[4] or '') .. ' ' .. refused)
return refused
