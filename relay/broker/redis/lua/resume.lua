-- Takes a session over from whoever owns it, who is told.
-- KEYS: session, head
-- ARGV: owner, ttl in ms, epoch and position of the message or moment that its client had last,
-- prefix of relays' channels, an owner who need not be told
-- Returns the owner before, and {field, value, ...}, or nothing if it can't go on: then a mark stays for who has not heard
-- of it yet.
local is = redis.call('HMGET', KEYS[1], 'owner', 'v', 'who', 'rooms', 'left')
local owner = is[1]
if not owner or owner == '-' then return {} end

local head = redis.call('HMGET', KEYS[2], 'epoch', 'pos')
local goes = is[3] and is[4] and head[1] == ARGV[3] and tonumber(head[2]) >= tonumber(ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[2]) -- first: after it, a Redis that is full does not refuse
if not goes then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'owner', goes and ARGV[1] or '-')
if not goes then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if owner ~= ARGV[1] and owner ~= ARGV[6] then
  redis.call('PUBLISH', ARGV[5] .. string.match(owner, '^[^.]*'), 'f' .. owner)
end
if not goes then return {} end
return {owner, 'v', is[2] or '', 'who', is[3], 'rooms', is[4], 'left', is[5] or ''}
