-- What rooms took after the messages that a relay last delivered.
-- KEYS: head, stream, ...
-- ARGV: byte budget, and for each stream the id of that message ("0-0" if there was none)
-- Returns {epoch, pos, now in ms, format, room, room, ...}: as many rooms as the budget allows, one at
-- least. A room is {oldest, more, id, message, id, message, ...}, oldest first. If that message is
-- there, it comes first, without its body, and oldest is empty; else oldest is the id of the oldest
-- message, or empty if there is none. more is 1 if the budget ended it.
local head, now = redis.call('HMGET', KEYS[1], 'epoch', 'pos', 'format'), redis.call('TIME')
local out = {head[1] or '', head[2] or '0', string.format('%d%03d', now[1], math.floor(now[2] / 1000)), head[3] or ''}
local budget = tonumber(ARGV[1])
for i = 2, #KEYS do
  if budget <= 0 then break end
  local key, from, count = KEYS[i], ARGV[i], 8
  local room, n, at = {'', 0}, 2, ARGV[i]
  local got = redis.call('XRANGE', key, at, '+', 'COUNT', count)
  local first = got[1] and got[1][1] == from
  if not first then
    local oldest = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
    room[1] = oldest and oldest[1] or ''
  end
  while true do
    for _, e in ipairs(got) do
      if budget <= 0 and n > 2 then
        room[2] = 1
        break
      end
      local text = e[2][2]
      if first then
        text, first = string.match(text, '^%d+ %w* %w+ ') or text, false
      elseif isNote(e) then
        text = textOf(key, nil, e)
      end
      room[n + 1], room[n + 2], at = e[1], text, e[1]
      n, budget = n + 2, budget - #text - 64
    end
    if #got < count or room[2] == 1 then break end
    count = 64
    got = redis.call('XRANGE', key, '(' .. at, '+', 'COUNT', count)
  end
  budget = budget - 16
  out[#out + 1] = room
end
return out
