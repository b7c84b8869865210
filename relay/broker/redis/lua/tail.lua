-- Where a room stands now. KEYS: head, stream. Returns {epoch, pos, now in ms, id of the newest
-- message, its text}.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'pos')
local now = redis.call('TIME')
local out = {head[1] or '', head[2] or '0', string.format('%d%03d', now[1], math.floor(now[2] / 1000)), '', ''}
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
if last[1] then out[4], out[5] = last[1][1], last[1][2][2] end
return out
