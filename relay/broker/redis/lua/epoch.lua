-- Reads the epoch, begins one where there is none, and moves it on, once, where a relay has seen that data was lost.
-- KEYS: head. ARGV: a fresh epoch, the highest position that the caller has delivered, the epoch to leave ("" for none)
-- Returns {epoch, pos, now in ms}.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'pos')
if not head[1] or head[1] == ARGV[3] then
  -- Positions never run backwards, whatever was lost.
  local pos = string.format('%.0f', math.max(tonumber(head[2] or '0'), tonumber(ARGV[2])))
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'pos', pos)
  head = {ARGV[1], pos}
end
local now = redis.call('TIME')
return {head[1], head[2], string.format('%d%03d', now[1], math.floor(now[2] / 1000))}
