-- Takes a session over from whoever owns it, who is told.
-- KEYS: session, head
-- ARGV: owner, ttl in ms, epoch and position of the message or moment that its client had last,
-- prefix of relays' channels
-- Returns {field, value, ...}, or nothing if it can't go on: then a mark stays for who has not heard
-- of it yet.
local state = redis.call('HGETALL', KEYS[1])
local owner, who, whole = nil, false, false
local head = redis.call('HMGET', KEYS[2], 'epoch', 'pos')
for i = 1, #state, 2 do
  local field, value = state[i], state[i + 1]
  if field == 'owner' then
    owner = value
  elseif field == 'who' then
    who = true
  elseif field == 'rooms' then
    whole = true
    for entry in string.gmatch(value, '%Z+') do
      if string.match(entry, '^%S+ (%w*)%S* ') ~= head[1] then whole = false end
    end
  end
end
if not owner or owner == '-' then return {} end

local goes = who and whole and head[1] == ARGV[3] and tonumber(head[2]) >= tonumber(ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[2]) -- first: after it, a Redis that is full does not refuse
if not goes then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'owner', goes and ARGV[1] or '-')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if owner ~= ARGV[1] then
  redis.call('PUBLISH', ARGV[5] .. string.match(owner, '^[^.]*'), 'f' .. owner)
end
if not goes then return {} end
return state
