-- Reads a room's users, and which lives relays have: if a relay's own is not among them, Redis has lost
-- more than that.
-- KEYS: members, lives. ARGV: limit
-- Returns {",life,life,", count, entry, ...}; over the limit the lives and the count alone.
local lives = ',' .. table.concat(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '+inf'), ',') .. ','
local count = redis.call('HLEN', KEYS[1])
if count > tonumber(ARGV[1]) then return {lives, count} end
local out = redis.call('HVALS', KEYS[1])
table.insert(out, 1, count)
table.insert(out, 1, lives)
return out
