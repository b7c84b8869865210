-- Writes a session whole, if the caller owns it or nobody does.
-- KEYS: session {owner, v, who, rooms, left}
-- ARGV: owner, ttl in ms (0: the session has ended), version, and who, rooms and left, or none of
-- them: then nobody can resume it, and only its owner can be told.
-- Returns 1, or 0 if a later version is stored, or -1 if somebody else owns the session.
local was = redis.call('HMGET', KEYS[1], 'owner', 'v')
if was[1] and was[1] ~= ARGV[1] then return -1 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
  return 1
end
local is, version = tonumber(was[2] or '0'), tonumber(ARGV[3])
if is == version then return 1 end -- this very call was tried before
if is > version then return 0 end -- it was given up, and comes late
if ARGV[4] then
  redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'v', ARGV[3], 'who', ARGV[4], 'rooms', ARGV[5], 'left', ARGV[6])
else
  if was[1] then redis.call('DEL', KEYS[1]) end
  redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'v', ARGV[3])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
