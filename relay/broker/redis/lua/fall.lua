-- Looks at subjects that may be there no more: notices those who have been gone for the grace, begins the
-- grace of those of whom nobody noted that they left, and forgets that those left who are back.
-- KEYS: those of the notices, then members of rooms
-- ARGV: grace in ms, newest fence that the caller knows, then for each subject: it, the key of the members,
-- counted from behind the third, and the user whom they have, or nothing for the room itself
-- Returns how many were noticed.
local now, noticed = clock(), 0
for i = 3, #ARGV, 3 do
  local key, subject, user = KEYS[3 + ARGV[i + 1]], ARGV[i], ARGV[i + 2]
  local since = redis.call('ZSCORE', left, subject)
  local there = user == '' and redis.call('HLEN', key) > 0 or user ~= '' and redis.call('HEXISTS', key, user) == 1
  local text = redis.call('HGET', told, subject) or redis.call('HGET', told, '?' .. subject)
  if there or not text then
    redis.call('ZREM', left, subject)
    redis.call('HDEL', told, '?' .. subject)
  elseif not since then
    redis.call('ZADD', left, string.format('%.0f', now), subject)
    keep(left)
  elseif tonumber(since) <= now - ARGV[1] then
    redis.call('ZREM', left, subject)
    redis.call('HDEL', told, subject, '?' .. subject)
    notice('-', subject, tonumber(since), text, ARGV[2])
    noticed = noticed + 1
  end
end
return noticed
