-- Reads a room's users; cacheable. KEYS: members. ARGV: limit. Returns {count, entry, ...}; over
-- the limit the count alone.
local count = redis.call('HLEN', KEYS[1])
if count > tonumber(ARGV[1]) then return {count} end
local out = redis.call('HVALS', KEYS[1])
table.insert(out, 1, count)
return out
