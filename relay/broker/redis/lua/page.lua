-- Reads a room's messages backwards. With the one key it is cacheable.
-- KEYS: stream, head if it is asked for, too. ARGV: upper bound of ids ("+", an id, or "(<id>"),
-- limit, byte budget
-- Returns {more, id, message, id, message, ...}, newest first: at most limit, fewer, yet two, if
-- they are large; with the head, {epoch, pos, now in ms} stands before it.
local limit, budget = tonumber(ARGV[2]), tonumber(ARGV[3])
local out, n, max = {}, 0, ARGV[1]
if KEYS[2] then
  local head, now = redis.call('HMGET', KEYS[2], 'epoch', 'pos'), redis.call('TIME')
  out = {head[1] or '', head[2] or '0', string.format('%d%03d', now[1], math.floor(now[2] / 1000))}
end
local more = #out + 1
out[more] = 0
while true do
  local want = math.min(16, limit - n + 1)
  local got = redis.call('XREVRANGE', KEYS[1], max, '-', 'COUNT', want)
  for _, e in ipairs(got) do
    if n >= limit or (budget <= 0 and n > 1) then
      out[more] = 1
      return out
    end
    out[#out + 1], out[#out + 2] = e[1], e[2][2]
    n, budget, max = n + 1, budget - #e[2][2], '(' .. e[1]
  end
  if #got < want then return out end
end
