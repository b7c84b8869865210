-- Reads a room's messages backwards. KEYS: stream and, of a room with annotations, notes: without, it is
-- cacheable. ARGV: upper bound of ids ("+", an id, or "(<id>"), limit, byte budget
-- Returns {more, id, message, id, message, ...}, newest first: at most limit, fewer, yet two, if
-- they are large; or {2}, if the room has annotations and notes was not named. Annotations stand between the messages (see shared/notes), and don't count.
local limit, budget = tonumber(ARGV[2]), tonumber(ARGV[3])
local notes = KEYS[2]
if not notes then
  local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
  if newest and (isNote(newest) or newest[2][5] == 'n') then return {2} end
end
local out, n, messages, max = {0}, 0, 0, ARGV[1]
while true do
  local want = math.min(16, limit - messages + 1)
  local got = redis.call('XREVRANGE', KEYS[1], max, '-', 'COUNT', want)
  for _, e in ipairs(got) do
    if messages >= limit or (budget <= 0 and messages > 1) then
      out[1] = 1
      return out
    end
    local text = textOf(KEYS[1], notes, e)
    out[2 * n + 2], out[2 * n + 3] = e[1], text
    n, budget, max = n + 1, budget - #text, '(' .. e[1]
    if not isNote(e) then messages = messages + 1 end
  end
  if #got < want then return out end
end
