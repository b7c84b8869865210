-- Stores one message and fans it out, once for each (user, id).
-- KEYS: head {epoch, pos}, stream, index, older index, notes (see shared/notes)
-- ARGV: believed epoch, channel, digest of (user, id), body, history limit, history ttl in ms, how
-- long an id is known at least in ms, "<user>\0<id>" as relays of before have it in the index, size
-- from which on a body is large, a position that the caller knows to be taken
-- An index is {tail: "<seq> <digest>", since: when it began, big: the sequence after which no body is
-- large, notes: 1 if the stream has annotations, older: 0 if there is no older one, 1 if there is, 2 if there may be and relays of before may
-- have begun this one, renew: when what all of it lives is to be renewed, by: the sequence of the message
-- up to which that is so, <digest of (user, id)>: receipt}. Once it is old enough and has as many ids as
-- the history has messages, it becomes the older one: so the two know all ids of their time, and of all
-- messages that are kept.
-- Returns "+ pos seq at digest", "= pos seq at digest" for a repeat, "! epoch" if the believed
-- epoch is not ours, or that position was lost, so that it is about to be left.
--
-- This is what Redis mostly does: each call takes a microsecond, a number is dear to write as text,
-- and Redis' Lua hashes a string whenever it makes one.
local call = redis.call
local head = call('HMGET', KEYS[1], 'epoch', 'pos')
if head[1] ~= ARGV[1] or tonumber(head[2] or '0') < tonumber(ARGV[10]) then return '! ' .. (head[1] or '') end

local now = call('TIME')
local at = now[1] .. string.sub('00000' .. now[2], -6, -4)
local index = call('HMGET', KEYS[3], 'tail', 'since', 'big', 'older', 'renew', 'by', ARGV[3], 'notes')
local tail, since, big, older = index[1], index[2], index[3], index[4]
local known, noted = index[7], index[8]
if not known and older ~= '0' then
  known = older ~= '1' and call('HGET', KEYS[3], 'i' .. ARGV[8]) or call('HGET', KEYS[4], ARGV[3])
end

-- Of a room that is new, or whose index was lost, the stream tells.
if not tail then
  for _, e in ipairs(call('XRANGE', KEYS[2], '-', '+')) do
    local p, s = string.match(e[1], '^(%d+)%-(%d+)$')
    local t, d = string.match(e[2][2], '^~?(%d+) %w* (%w+) ')
    tail, since, big = s .. ' ' .. d, at, s
    if e[2][3] == 'n' then
      noted = '1'
    elseif e[2][4] then
      call('HSET', KEYS[3], e[2][4], p .. ' ' .. s .. ' ' .. t .. ' ' .. d)
      if e[2][4] == ARGV[3] then known = p .. ' ' .. s .. ' ' .. t .. ' ' .. d end
    end
  end
  if tail then
    call('HSET', KEYS[3], 'tail', tail, 'since', since, 'big', big)
    if noted then call('HSET', KEYS[3], 'notes', '1') end
    call('PEXPIRE', KEYS[3], math.max(ARGV[6], ARGV[7]))
  end
end
if known then return '= ' .. known end

local last, prev, seq = '0', '', '1'
-- An index may outlive its stream, whose sequence then begins anew.
if tail and (tonumber(ARGV[6]) >= tonumber(ARGV[7]) or call('EXISTS', KEYS[2]) == 1) then
  last, prev = string.match(tail, '^(%d+) (%w+)$')
  seq = string.format('%d', last + 1)
end
-- 40 bits, which every offset ends with. Relays of before have 48: any text of letters and digits does.
local digest = string.sub(redis.sha1hex(prev .. ' ' .. ARGV[3] .. ' ' .. at), 1, 10)
local pos = string.format('%d', call('HINCRBY', KEYS[1], 'pos', 1))
local rest = at .. ' ' .. prev .. ' ' .. digest .. ' ' .. ARGV[4]
local id, goesOn = pos .. '-' .. seq, tail
if tail and noted then
  goesOn = call('XADD', KEYS[2], 'NOMKSTREAM', id, 'm', rest, 'i', ARGV[3], 'n', '1')
  if not goesOn then call('HDEL', KEYS[3], 'notes') end
  noted = goesOn
elseif tail then goesOn = call('XADD', KEYS[2], 'NOMKSTREAM', 'MAXLEN', '=', ARGV[5], id, 'm', rest, 'i', ARGV[3]) end
if not goesOn then call('XADD', KEYS[2], id, 'm', rest, 'i', ARGV[3]) end

if noted then trim(KEYS[2], tonumber(ARGV[5]), tonumber(seq)) end

local was = big
if since and at - since >= tonumber(ARGV[7]) and call('HLEN', KEYS[3]) - 6 >= tonumber(ARGV[5]) then
  call('UNLINK', KEYS[4])
  call('RENAME', KEYS[3], KEYS[4])
  since, older = nil, '1'
end
if seq == '1' then big = '0' elseif not big then big = last end -- of what stands before nobody took note
if #ARGV[4] >= tonumber(ARGV[9]) then big = seq end
local receipt = pos .. ' ' .. seq .. ' ' .. at .. ' ' .. digest
call('HSET', KEYS[3], 'tail', seq .. ' ' .. digest, 'by', seq, ARGV[3], receipt)
if not since then
  call('HSET', KEYS[3], 'since', at, 'big', big)
  if noted then call('HSET', KEYS[3], 'notes', '1') end
elseif big ~= was then
  call('HSET', KEYS[3], 'big', big)
end

-- All live a little longer than they have to, so that few messages need to renew that. A relay of
-- before does so with each of its own, for less.
if not goesOn or not since or index[6] ~= last or at >= index[5] then
  local slack = math.min(ARGV[6] / 16, 60000)
  if not older then older = since and '2' or string.format('%d', call('EXISTS', KEYS[4])) end
  call('HSET', KEYS[3], 'older', older, 'renew', string.format('%d', at + slack))
  call('PEXPIRE', KEYS[2], string.format('%d', ARGV[6] + slack))
  for i = 3, noted and 5 or 4 do call('PEXPIRE', KEYS[i], string.format('%d', math.max(ARGV[6], ARGV[7]) + slack)) end
end

call('PUBLISH', ARGV[2], 'm' .. ARGV[1] .. ' ' .. pos .. ' ' .. seq .. ' ' .. rest)
return '+ ' .. receipt
