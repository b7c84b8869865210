-- Reads a room's users, and whether a relay's life is known: if it is not, Redis has lost more than that.
-- KEYS: members, lives. ARGV: limit, life or empty if it has not begun
-- Returns {1 or 0, count, entry, ...}; over the limit the count alone.
local known = (ARGV[2] == '' or redis.call('ZSCORE', KEYS[2], ARGV[2])) and 1 or 0
local count = redis.call('HLEN', KEYS[1])
if count > tonumber(ARGV[1]) then return {known, count} end
local out = redis.call('HVALS', KEYS[1])
table.insert(out, 1, count)
table.insert(out, 1, known)
return out
