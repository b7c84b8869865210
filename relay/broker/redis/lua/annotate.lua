-- Stores what is said of a message, and fans it out.
-- KEYS: head {epoch, pos, format}, stream, index, older index, notes
-- ARGV: believed epoch, channel, a position that the caller knows to be taken, id and digest of the message,
-- kind (r, e or d), value, 1 if it is taken back, mark of the user, mark of the edit, the message's body from
-- then on, what else is told of it, history limit, history ttl in ms, how long an id is known at least in
-- ms, how many reactions and how many different ones a message may have, 1 if all relays know format 2
-- Returns "+ pos seq at digest rev count", "= rev count" if it was so already, "- gap", "- deleted" or
-- "- crowded" if it can't be, "? " if that is to be known of the relays, "! epoch" as publish does.
--
-- See shared/notes for what is stored. How annotations stand is "<rev> <edited in ms> <1 if deleted> <marks of
-- the last 8 edits>" and a line for each reaction, "<value><tab><marks of users>". A mark has 12 bytes.
local call = redis.call
local head = call('HMGET', KEYS[1], 'epoch', 'pos', 'format')
if head[1] ~= ARGV[1] or tonumber(head[2] or '0') < tonumber(ARGV[3]) then return '! ' .. (head[1] or '') end
if tonumber(head[3] or '1') < 2 then
  if ARGV[18] ~= '1' then return '? ' end
  call('HSET', KEYS[1], 'format', '2')
end

local target, kind, value, mark, limit = ARGV[4], ARGV[6], ARGV[7], ARGV[9], tonumber(ARGV[13])
local about = call('XRANGE', KEYS[2], target, target)[1]
local digest = about and string.match(about[2][2], '^%d+ %w* (%w+) ')
if digest ~= ARGV[5] then return '- gap' end

-- find returns where a mark begins among marks.
local function find(marks, one)
  local i = string.find(marks, one, 1, true)
  while i and i % 12 ~= 1 do i = string.find(marks, one, i + 1, true) end
  return i
end

local state = call('HGET', KEYS[5], target) or '0 0 0 \n'
local rev, edited, deleted, edits, lines = string.match(state, '^(%d+) (%d+) (%d) (%S*)\n(.*)$')
local count, kept = 0, {}
if kind == 'd' and deleted == '1' or kind == 'e' and find(edits, ARGV[10]) then return '= ' .. rev .. ' 0' end
if deleted == '1' then return '- deleted' end
if kind == 'r' then
  local all, has, known = 0, false, false
  for v, marks in string.gmatch(lines, '([^\t\n]*)\t([^\n]*)\n') do
    all = all + #marks / 12
    if v == value then
      known, count = true, #marks / 12
      local at = find(marks, mark)
      has = at ~= nil
      if has then marks = string.sub(marks, 1, at - 1) .. string.sub(marks, at + 12) else marks = marks .. mark end
    end
    if marks ~= '' then kept[#kept + 1] = v .. '\t' .. marks .. '\n' end
  end
  if has ~= (ARGV[8] == '1') then return '= ' .. rev .. ' ' .. string.format('%d', count) end
  if has then
    count = count - 1
  else
    if all >= tonumber(ARGV[16]) or not known and #kept >= tonumber(ARGV[17]) then return '- crowded' end
    if not known then kept[#kept + 1] = value .. '\t' .. mark .. '\n' end
    count = count + 1
  end
  lines = table.concat(kept)
end

-- Of an index that was lost, the stream tells, and publish makes it anew.
local tail = call('HGET', KEYS[3], 'tail')
local seq, prev
if tail then
  seq, prev = string.match(tail, '^(%d+) (%w+)$')
else
  local newest = call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  seq, prev = string.match(newest[1], '%d+$'), string.match(newest[2][2], '^~?%d+ %w* (%w+) ')
end
local len = call('XLEN', KEYS[2])
if kind ~= 'd' and len > 4 * limit + 100 then
  local oldest = call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  if string.match(oldest[1], '%d+$') == seq then return '- crowded' end
end

local now = call('TIME')
local at = now[1] .. string.sub('00000' .. now[2], -6, -4)
rev = string.format('%d', rev + 1)
if kind == 'e' then
  edited, edits = at, string.sub(edits .. ARGV[10], -96)
elseif kind == 'd' then
  edited, deleted, edits, lines = '0', '1', '', ''
end

-- A stream's entry can't be changed, and what XDEL takes out stays in the node of the stream that it was in
-- until that is empty, and can't be put back. Of what is deleted or replaced nothing is to stay: the stream is
-- made anew.
if kind ~= 'r' then
  local entries = call('XRANGE', KEYS[2], '-', '+')
  call('DEL', KEYS[2])
  for _, e in ipairs(entries) do
    if e[1] == target then e[2][2] = string.match(e[2][2], '^%d+ %w* %w+ ') .. ARGV[11] end
    call('XADD', KEYS[2], e[1], unpack(e[2]))
  end
end
call('HSET', KEYS[5], target, rev .. ' ' .. edited .. ' ' .. deleted .. ' ' .. edits .. '\n' .. lines)

local count = string.format('%d', count)
local chained = string.sub(redis.sha1hex(prev .. ' ' .. target .. ' ' .. rev .. ' ' .. at), 1, 10)
local pos = string.format('%d', call('HINCRBY', KEYS[1], 'pos', 1))
local text = '~' .. at .. ' ' .. prev .. ' ' .. chained .. ' ' .. target .. ' ' .. digest .. ' ' .. kind .. ' ' ..
  (ARGV[8] == '1' and '1' or '0') .. ' ' .. rev .. ' ' .. count .. ' ' .. mark .. ' ' .. #value .. ' ' .. #ARGV[12] .. ' ' .. value .. ARGV[12]
call('XADD', KEYS[2], pos .. '-' .. seq, 'm', text, 'n', kind == 'r' and '' or target)
if tail then call('HSET', KEYS[3], 'tail', seq .. ' ' .. chained, 'notes', '1') end
trim(KEYS[2], limit, seq)

-- Of messages that went, nothing is to stay.
if call('HLEN', KEYS[5]) > limit + limit / 4 + 16 then
  local oldest = tonumber(string.match(call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1][1], '^%d+'))
  for _, id in ipairs(call('HKEYS', KEYS[5])) do
    if tonumber(string.match(id, '^%d+')) < oldest then call('HDEL', KEYS[5], id) end
  end
end
-- What lives with the room lives on, as with a message: see publish.
local slack = math.min(ARGV[14] / 16, 60000)
call('PEXPIRE', KEYS[2], string.format('%d', ARGV[14] + slack))
for i = 3, 5 do call('PEXPIRE', KEYS[i], string.format('%d', math.max(ARGV[14], ARGV[15]) + slack)) end

call('PUBLISH', ARGV[2], 'm' .. ARGV[1] .. ' ' .. pos .. ' ' .. seq .. ' ' .. text .. (kind == 'r' and '' or ARGV[11]))
return '+ ' .. pos .. ' ' .. seq .. ' ' .. at .. ' ' .. chained .. ' ' .. rev .. ' ' .. count
