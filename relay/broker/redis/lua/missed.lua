-- What a room took after the message that a relay last delivered.
-- KEYS: stream. ARGV: id of that message ("0-0" if there was none), limit
-- Returns {id of the oldest message or "", id, message, ...}, oldest first and with that message
-- itself if it is there.
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local out = {first[1] and first[1][1] or ''}
for _, e in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])) do
  out[#out + 1], out[#out + 2] = e[1], e[2][2]
end
return out
