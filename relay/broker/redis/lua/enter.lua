-- Records that a user is in a room on one relay's life, and announces a user who has joined or is
-- called otherwise now.
-- KEYS: lives, members {user: ",life,life,|json"}, the life's set of "<room>\0<user>", the life's
-- newest write
-- ARGV: life, user, json, room, channel, ttl in ms, 1 if json states a name or 0 if it repeats one,
-- which renames nobody, number of this write
-- Returns how many users the room has, or {that, json} if the user goes by another json than the
-- one given; or -1 if the life's lease has ended: somebody may be taking it out already; or -2 if a
-- later write came before: it has said by now what is so.
local now, lease = redis.call('TIME'), redis.call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) <= now[1] * 1000 + math.floor(now[2] / 1000) then return -1 end
local newest = redis.call('GET', KEYS[4])
local first = newest ~= ARGV[8] -- of a number that many writes share
if first then
  if tonumber(newest or '0') > tonumber(ARGV[8]) then return -2 end
  redis.call('SET', KEYS[4], ARGV[8], 'KEEPTTL') -- this and the set live as long as the lease is renewed
end
local was = redis.call('HGET', KEYS[2], ARGV[2])
local lives, stored = ',', nil
if was then lives, stored = string.match(was, '^([^|]*)|(.*)$') end
local json = ARGV[3]
if was and ARGV[7] == '0' then json = stored end
if not string.find(lives, ',' .. ARGV[1] .. ',', 1, true) then lives = lives .. ARGV[1] .. ',' end
redis.call('HSET', KEYS[2], ARGV[2], lives .. '|' .. json)
redis.call('SADD', KEYS[3], ARGV[4] .. '\0' .. ARGV[2])
if first and redis.call('SCARD', KEYS[3]) == 1 then redis.call('PEXPIRE', KEYS[3], ARGV[6]) end
local count = redis.call('HLEN', KEYS[2])
if count == 1 then redis.call('PEXPIRE', KEYS[2], ARGV[6]) end -- who is there renews it
if not was then
  redis.call('PUBLISH', ARGV[5], 'j' .. count .. ' ' .. json)
elseif json ~= stored then
  redis.call('PUBLISH', ARGV[5], 'r' .. count .. ' ' .. json) -- which relays that know no renaming ignore
end
if json ~= ARGV[3] then return {count, json} end
return count
