-- Records that users are in rooms on one relay's life, and announces those who have joined, are called
-- otherwise now, or are there for one life more. What is announced says for which lives, if the names of
-- lives say where that is: json with at, ",life,life,", as its last member.
-- KEYS: lives, the life's set of "<room>\0<user>", the life's newest write, members {user:
-- ",life,life,|json"} of a room, ...
-- ARGV: life, ttl in ms, number of this write, then for each user the key of the members, counted from
-- 1, the room's channel, the room, the user, json, and 1 if json states a name or 0 if it repeats one,
-- which renames nobody
-- Returns for each how many users the room has, or {that, json} if the user goes by another json than
-- the one given; or for all {-1} if the life's lease has ended: somebody may be taking it out already;
-- or {-2} if a later write came before: it has said by now what is so.
-- With notices (those lines are comments without), their keys are the first of the others, and the last two
-- of ARGV are the room of all who are connected and the newest fence that the caller knows.
local call, life = redis.call, ',' .. ARGV[1] .. ','
local now, lease = call('TIME'), call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) <= now[1] * 1000 + math.floor(now[2] / 1000) then return {-1} end
local newest = call('GET', KEYS[3])
if newest ~= ARGV[3] then -- which a leave may have written
  if tonumber(newest or '0') > tonumber(ARGV[3]) then return {-2} end
  call('SET', KEYS[3], ARGV[3], 'KEEPTTL') -- this and the set live as long as the lease is renewed
end
local function placed(json, lives)
  if not string.find(lives, '.', 1, true) then return json end
  return string.sub(json, 1, -2) .. ',"at":"' .. lives .. '"}'
end
local begins = call('EXISTS', KEYS[2]) == 0
local out, last = {}, #ARGV
--notices: last = last - 2
for i = 4, last, 6 do
  local key, channel, room, user, json = KEYS[3 + ARGV[i]], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local was = call('HGET', key, user)
  local lives, stored, is = ',', nil, json
  if was then lives, stored = string.match(was, '^([^|]*)|(.*)$') end
  if was and ARGV[i + 5] == '0' then is = stored end
  local more = not string.find(lives, life, 1, true)
  if more then lives = lives .. ARGV[1] .. ',' end
  call('HSET', key, user, lives .. '|' .. is)
  call('SADD', KEYS[2], room .. '\0' .. user)
  local count = call('HLEN', key)
  if count == 1 then call('PEXPIRE', key, ARGV[2]) end -- who is there renews it
  if not was then
    call('PUBLISH', channel, 'j' .. count .. ' ' .. placed(is, lives))
  elseif is ~= stored then
    call('PUBLISH', channel, 'r' .. count .. ' ' .. placed(is, lives)) -- which relays that know no renaming ignore
  elseif more and string.find(lives, '.', 1, true) then
    call('PUBLISH', channel, 'w' .. count .. ' ' .. placed(is, lives)) -- which relays that know no places ignore
  end
  --notices: if room == ARGV[last + 1] then
  --notices:   came('u' .. user, is, ARGV[last + 2])
  --notices: elseif not was then
  --notices:   came('r' .. room, '', ARGV[last + 2])
  --notices: end
  out[#out + 1] = is ~= json and {count, placed(is, lives)} or count
end
if begins then call('PEXPIRE', KEYS[2], ARGV[2]) end
return out
