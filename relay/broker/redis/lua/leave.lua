-- Takes users out of rooms for one relay's life, and announces those who have left, or are there for a
-- life less. What is announced says for which lives, as in enter.lua: of who has left, for this one.
-- KEYS: lives, the life's set of "<room>\0<user>", the life's newest write, members of a room, ...
-- ARGV: life, number of this write or empty for a life that has ended, then for each user the key of
-- the members, counted from 1, the room's channel, the room and the user
-- Returns how many remain of a life that has ended, which goes with the last of them; else 0, or -2 if
-- a later write came before.
-- With notices (those lines are comments without), their keys are the first of the others; each user has one
-- argument more, the user's JSON if the life has recorded the user, or nothing if nobody knows; and the last
-- of ARGV is the room of all who are connected.
if ARGV[2] ~= '' and tonumber(redis.call('GET', KEYS[3]) or '0') > tonumber(ARGV[2]) then return -2 end
local function placed(json, lives)
  if not string.find(lives, '.', 1, true) then return json end
  return string.sub(json, 1, -2) .. ',"at":"' .. lives .. '"}'
end
local last, step = #ARGV, 4
--notices: last, step = last - 1, 5
for i = 3, last, step do
  local key, channel, room, user = KEYS[3 + ARGV[i]], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  redis.call('SREM', KEYS[2], room .. '\0' .. user) -- first: after it, a Redis that is full does not refuse
  local was = redis.call('HGET', key, user)
  --notices: local text, known = ARGV[i + 4], was
  if was then
    local lives, json = string.match(was, '^([^|]*)|(.*)$')
    --notices: text = json
    local at, to = string.find(lives, ',' .. ARGV[1] .. ',', 1, true)
    if at then lives = string.sub(lives, 1, at) .. string.sub(lives, to + 1) end
    if lives == ',' then
      redis.call('HDEL', key, user)
      redis.call('PUBLISH', channel, 'l' .. redis.call('HLEN', key) .. ' ' .. placed(json, ',' .. ARGV[1] .. ','))
    elseif at then
      redis.call('HSET', key, user, lives .. '|' .. json)
      if string.find(ARGV[1] .. lives, '.', 1, true) then
        redis.call('PUBLISH', channel, 'w' .. redis.call('HLEN', key) .. ' ' .. placed(json, lives))
      end
    end
  end
  --notices: if room == ARGV[last + 1] then
  --notices:   if text ~= '' and redis.call('HEXISTS', key, user) == 0 then went('u' .. user, text, known) end
  --notices: elseif text ~= '' and redis.call('HLEN', key) == 0 then
  --notices:   went('r' .. room, '', known)
  --notices: end
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
