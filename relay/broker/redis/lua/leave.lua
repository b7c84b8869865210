-- Takes users out of rooms for one relay's life: those named, or, if none is, up to 256 of all
-- that the life has left.
-- KEYS: lives, the life's set of "<room>\0<user>"
-- ARGV: life, prefix of members keys, prefix of channels, "<room>\0<user>" ...
-- Returns how many remain in the life's set. Members keys are found by name: they share the
-- partition's hash tag.
local pairs_ = {}
if #ARGV > 3 then
  for i = 4, #ARGV do pairs_[#pairs_ + 1] = ARGV[i] end
  redis.call('SREM', KEYS[2], unpack(pairs_))
else
  pairs_ = redis.call('SPOP', KEYS[2], 256)
end
for _, pair in ipairs(pairs_) do
  local room, user = string.match(pair, '^(.*)%z(.*)$')
  local key = ARGV[2] .. room
  local was = redis.call('HGET', key, user)
  if was then
    local lives, json = string.match(was, '^([^|]*)|(.*)$')
    local at, to = string.find(lives, ',' .. ARGV[1] .. ',', 1, true)
    if at then lives = string.sub(lives, 1, at) .. string.sub(lives, to + 1) end
    if lives == ',' then
      redis.call('HDEL', key, user)
      redis.call('PUBLISH', ARGV[3] .. room, 'l' .. redis.call('HLEN', key) .. ' ' .. json)
    elseif at then
      redis.call('HSET', key, user, lives .. '|' .. json)
    end
  end
end
local left = redis.call('SCARD', KEYS[2])
if #ARGV == 3 and left == 0 then redis.call('ZREM', KEYS[1], ARGV[1]) end
return left
