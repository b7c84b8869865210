-- Writes a session's state, or what has changed of it, where the caller owns it or nobody does.
-- KEYS: session {owner, v, who, left, r<room>: membership}
-- ARGV: owner, ttl in ms (0: the session has ended), version stored before (0: all is written anew), version, field, value, ...
-- An empty value takes its field out. Returns 1, or 0 where something else is stored than was before, or -1 where somebody
-- else owns the session.
local was = redis.call('HMGET', KEYS[1], 'owner', 'v')
if was[1] and was[1] ~= ARGV[1] then return -1 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
  return 1
end
local is, version = tonumber(was[2] or '0'), tonumber(ARGV[4])
if is == version then return 1 end -- this very call was tried before
if is > version then return 0 end -- it was given up, and comes late
if ARGV[3] == '0' then
  if was[1] then redis.call('DEL', KEYS[1]) end -- where it had written before, a Redis that is full would not refuse
elseif was[2] ~= ARGV[3] then
  return 0
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'v', ARGV[4])
for i = 5, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
