-- Takes a session over from whoever owns it, who is told, and finds the message that its client had
-- last.
-- KEYS: session, head
-- ARGV: owner, ttl in ms, epoch, position, sequence (0: a moment) and digest of that message,
-- prefix of streams, prefix of relays' channels
-- Returns {room, at, field, value, ...}, or nothing if it can't go on: then a mark stays for who
-- has not heard of it yet. Streams are found by name: they share the partition's hash tag. There
-- are as many as a session has rooms.
local state = redis.call('HGETALL', KEYS[1])
local owner, who, whole, rooms, left = nil, false, false, {}, {}
local head = redis.call('HMGET', KEYS[2], 'epoch', 'pos')
for i = 1, #state, 2 do
  local field, value = state[i], state[i + 1]
  if field == 'owner' then
    owner = value
  elseif field == 'who' then
    who = true
  elseif field == 'left' then
    for room in string.gmatch(value, '%Z+') do left[#left + 1] = room end
  elseif field == 'rooms' then
    whole = true
    for entry in string.gmatch(value, '%Z+') do
      local epoch, room = string.match(entry, '^%S+ (%w*)%S* (.*)$')
      if epoch ~= head[1] then whole = false end
      rooms[#rooms + 1] = room
    end
  end
end
if not owner or owner == '-' then return {} end

for _, room in ipairs(left) do rooms[#rooms + 1] = room end

-- Where the message is; or where its successor is the oldest, so that its digest vouches for it.
local function find()
  local pos, seq = tonumber(ARGV[4]), tonumber(ARGV[5])
  if head[1] ~= ARGV[3] or tonumber(head[2]) < pos then return end
  if seq == 0 then return '', '' end
  local id = ARGV[4] .. '-' .. ARGV[5]
  for _, room in ipairs(rooms) do
    local e = redis.call('XRANGE', ARGV[7] .. room, id, id)[1]
    if e then
      local at, digest = string.match(e[2][2], '^(%d+) %w* (%w+) ')
      if digest == ARGV[6] then return room, at end
      return
    end
  end
  for _, room in ipairs(rooms) do
    local e = redis.call('XRANGE', ARGV[7] .. room, '-', '+', 'COUNT', 1)[1]
    if e then
      local p, s = string.match(e[1], '^(%d+)-(%d+)$')
      if tonumber(p) > pos and tonumber(s) == seq + 1 and string.match(e[2][2], '^%d+ (%w*) ') == ARGV[6] then return room, '0' end
    end
  end
end
local room, at
if who and whole then room, at = find() end
redis.call('PEXPIRE', KEYS[1], ARGV[2]) -- first: after it, a Redis that is full does not refuse
if not room then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'owner', room and ARGV[1] or '-')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if owner ~= ARGV[1] then
  redis.call('PUBLISH', ARGV[8] .. string.match(owner, '^[^.]*'), 'f' .. owner)
end
if not room then return {} end
table.insert(state, 1, at)
table.insert(state, 1, room)
return state
