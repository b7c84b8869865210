-- Takes notices to be told: such as nobody has acked or put off in time, then such as nobody has taken. All
-- relays are one consumer: which of them has taken a notice, nobody needs to know.
-- KEYS: those of the notices
-- ARGV: how many at most, after how many ms one is taken again, where the search for these goes on, how many
-- ms what is taken counts as taken already: the less than all of them, the later it is taken again if nobody
-- acks it; and 1 if the keys are to be kept for longer
-- Returns {now in ms, where the search goes on, {turn, subject, notice, ...}}.
local now, out, claim = clock(), {}, {'XCLAIM', turns, 'relays', 'relays', '0'}
local function group()
  redis.call('XGROUP', 'CREATE', turns, 'relays', '0', 'MKSTREAM')
  for _, subject in ipairs(redis.call('HKEYS', waiting)) do redis.call('XADD', turns, '*', 's', subject) end
end
local function add(entries)
  for _, e in ipairs(entries) do
    local lines = e[2] and redis.call('HGET', waiting, e[2][2])
    if lines then
      out[#out + 1], out[#out + 2], out[#out + 3] = e[1], e[2][2], string.match(lines, '^[^\n]*')
      claim[#claim + 1] = e[1]
    else
      redis.call('XACK', turns, 'relays', e[1])
      redis.call('XDEL', turns, e[1])
    end
  end
end

local claimed = redis.pcall('XAUTOCLAIM', turns, 'relays', 'relays', ARGV[2], ARGV[3], 'COUNT', ARGV[1])
if claimed.err then
  if not string.find(claimed.err, 'NOGROUP', 1, true) then return claimed end
  redis.call('DEL', turns) -- without its group, nobody knows whose turn it is
  group()
  claimed = {'0-0', {}}
end
add(claimed[2])
local room = ARGV[1] - #claimed[2]
if room > 0 then
  local fresh = redis.call('XREADGROUP', 'GROUP', 'relays', 'relays', 'COUNT', room, 'STREAMS', turns, '>')
  if fresh then add(fresh[1][2]) end
end
if #out > 0 then
  claim[#claim + 1], claim[#claim + 2], claim[#claim + 3] = 'IDLE', ARGV[4], 'JUSTID'
  redis.call(unpack(claim))
end
if ARGV[5] == '1' then
  for i = 1, 6 do keep(KEYS[i]) end
end
return {string.format('%.0f', now), claimed[1], out}
