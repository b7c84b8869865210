-- Counts the lives that hold a revocation. KEYS: lives, noted {life: number}. ARGV: its number
-- Returns {lives that hold it, lives that have not said so}, of those whose leases have not ended.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local out = {0, 0}
for _, life in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf')) do
  local number = redis.call('ZSCORE', KEYS[2], life)
  local i = number and tonumber(number) >= tonumber(ARGV[1]) and 1 or 2
  out[i] = out[i] + 1
end
return out
