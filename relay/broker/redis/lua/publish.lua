-- Stores one message and fans it out, once for each (user, id).
-- KEYS: head {epoch, pos}, stream, index {tail, i<user id>: receipt, s<seq>: user id}
-- ARGV: believed epoch, channel, "<user>\0<id>", body, history limit, history ttl in ms
-- Returns "+ pos seq at digest", "= pos seq at digest" for a repeat, "! epoch" if the believed
-- epoch is not ours.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'pos')
if head[1] ~= ARGV[1] then return '! ' .. (head[1] or '') end

local known = redis.call('HMGET', KEYS[3], 'tail', 'i' .. ARGV[3])
if known[2] then return '= ' .. known[2] end

local seq, prev = 1, ''
if known[1] then
  local s, d = string.match(known[1], '^(%d+) (%w+)$')
  seq, prev = tonumber(s) + 1, d
end
local now = redis.call('TIME')
local at = string.format('%d%03d', now[1], math.floor(now[2] / 1000))
local digest = string.sub(redis.sha1hex(prev .. ' ' .. ARGV[3] .. ' ' .. at), 1, 12)
local pos = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'pos', 1))
local rest = at .. ' ' .. prev .. ' ' .. digest .. ' ' .. ARGV[4]

redis.call('XADD', KEYS[2], pos .. '-' .. seq, 'm', rest)
local receipt = pos .. ' ' .. seq .. ' ' .. at .. ' ' .. digest
redis.call('HSET', KEYS[3], 'tail', seq .. ' ' .. digest, 'i' .. ARGV[3], receipt, 's' .. seq, ARGV[3])

-- A message that the history lets go of takes its id along.
local limit = tonumber(ARGV[5])
for gone = 1, redis.call('XTRIM', KEYS[2], 'MAXLEN', limit) do
  local field = 's' .. (seq - limit - gone + 1)
  local id = redis.call('HGET', KEYS[3], field)
  if id then redis.call('HDEL', KEYS[3], field, 'i' .. id) end
end
redis.call('PEXPIRE', KEYS[2], ARGV[6])
redis.call('PEXPIRE', KEYS[3], ARGV[6])
redis.call('PUBLISH', ARGV[2], 'm' .. ARGV[1] .. ' ' .. pos .. ' ' .. seq .. ' ' .. rest)
return '+ ' .. receipt
