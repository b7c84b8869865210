-- Reads a room's messages backwards; cacheable. KEYS: stream. ARGV: upper bound of ids ("+", an id,
-- or "(<id>"), limit, byte budget
-- Returns {more, id, message, id, message, ...}, newest first: at most limit, fewer, yet two, if
-- they are large.
local limit, budget = tonumber(ARGV[2]), tonumber(ARGV[3])
local out, n, max = {0}, 0, ARGV[1]
while true do
  local want = math.min(16, limit - n + 1)
  local got = redis.call('XREVRANGE', KEYS[1], max, '-', 'COUNT', want)
  for _, e in ipairs(got) do
    if n >= limit or (budget <= 0 and n > 1) then
      out[1] = 1
      return out
    end
    out[2 * n + 2], out[2 * n + 3] = e[1], e[2][2]
    n, budget, max = n + 1, budget - #e[2][2], '(' .. e[1]
  end
  if #got < want then return out end
end
