-- How rooms stand now.
-- KEYS: head, stream, index, notes, stream, index, notes, ... ARGV: byte budget, and of one room, limit of messages
-- Returns {epoch, pos, now in ms, format, room, room, ...}: as many rooms as the budget allows, one at
-- least. A room is {more, big, id, message, id, message, ...}, newest first: at most limit, fewer,
-- yet one, if they are large; more is 1 if older ones are stored, big the sequence after which none
-- is large, or empty if that is not known, and beyond all if there are annotations. These stand between
-- the messages (see shared/notes), and don't count for the limit.
local head, now = redis.call('HMGET', KEYS[1], 'epoch', 'pos', 'format'), redis.call('TIME')
local out = {head[1] or '', head[2] or '0', string.format('%d%03d', now[1], math.floor(now[2] / 1000)), head[3] or ''}
local budget, limit = tonumber(ARGV[1]), tonumber(ARGV[3])
for i = 2, #KEYS, 3 do
  if budget <= 0 then break end
  local left = tonumber(ARGV[2])
  local big, notes = redis.call('HGET', KEYS[i + 1], 'big') or '', nil
  if redis.call('EXISTS', KEYS[i + 2]) == 1 then big, notes = '9007199254740991', KEYS[i + 2] end
  local room, n, messages, max = {0, big}, 2, 0, '+'
  while room[1] == 0 do
    local want = math.min(16, limit + 1 - messages)
    local got = redis.call('XREVRANGE', KEYS[i], max, '-', 'COUNT', want)
    for _, e in ipairs(got) do
      if messages >= limit or (left <= 0 and n > 2) then
        room[1] = 1
        break
      end
      local text = e[2][2]
      if notes then text = textOf(KEYS[i], notes, e) end
      room[n + 1], room[n + 2] = e[1], text
      n, left, max = n + 2, left - #text, '(' .. e[1]
      if not notes or not isNote(e) then messages = messages + 1 end
    end
    if #got < want then break end
  end
  budget = budget - (tonumber(ARGV[2]) - left) - 64
  out[#out + 1] = room
end
return out
