-- Reads the epoch, begins one if there is none, and moves it on, once, when a relay has seen
-- that data was lost.
-- KEYS: head {epoch, pos, format}
-- ARGV: a fresh epoch, the highest position that the caller has delivered, the epoch to leave (""
-- for none), the latest format that the caller knows
-- Returns {epoch, pos, now in ms, format}. If that is a later format, nothing is written.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'pos', 'format')
local now = redis.call('TIME')
now = string.format('%d%03d', now[1], math.floor(now[2] / 1000))
if tonumber(head[3] or '0') > tonumber(ARGV[4]) then return {head[1] or '', head[2] or '0', now, head[3]} end
if not head[1] or head[1] == ARGV[3] then
  -- Positions never run backwards, whatever was lost.
  local pos = string.format('%.0f', math.max(tonumber(head[2] or '0'), tonumber(ARGV[2])))
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'pos', pos)
  head = {ARGV[1], pos, head[3]}
end
if not head[3] then redis.call('HSET', KEYS[1], 'format', '1') end -- which all relays know
return {head[1], head[2], now, head[3] or '1'}
