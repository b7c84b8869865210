-- Takes users out of rooms for one relay's life.
-- KEYS: lives, the life's set of "<room>\0<user>", the life's newest write, members of a room, ...
-- ARGV: life, number of this write or empty for a life that has ended, then for each user the key of
-- the members, counted from 1, the room's channel, the room and the user
-- Returns how many remain of a life that has ended, which goes with the last of them; else 0, or -2 if
-- a later write came before.
if ARGV[2] ~= '' and tonumber(redis.call('GET', KEYS[3]) or '0') > tonumber(ARGV[2]) then return -2 end
for i = 3, #ARGV, 4 do
  local key, channel, room, user = KEYS[3 + ARGV[i]], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  redis.call('SREM', KEYS[2], room .. '\0' .. user) -- first: after it, a Redis that is full does not refuse
  local was = redis.call('HGET', key, user)
  if was then
    local lives, json = string.match(was, '^([^|]*)|(.*)$')
    local at, to = string.find(lives, ',' .. ARGV[1] .. ',', 1, true)
    if at then lives = string.sub(lives, 1, at) .. string.sub(lives, to + 1) end
    if lives == ',' then
      redis.call('HDEL', key, user)
      redis.call('PUBLISH', channel, 'l' .. redis.call('HLEN', key) .. ' ' .. json)
    elseif at then
      redis.call('HSET', key, user, lives .. '|' .. json)
    end
  end
end
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[3], ARGV[2], 'KEEPTTL')
  return 0
end
local left = redis.call('SCARD', KEYS[2])
if left == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('DEL', KEYS[3])
end
return left
