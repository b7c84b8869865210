-- Reads the revocations that came after a version.
-- KEYS: head, revoked, its subjects by number. ARGV: number; tag of that version, or empty to go on
-- from it without looking at it; byte budget
-- Returns {version now, now in ms, format, 1 if the former version is part of the history or 0 if that is
-- not known, 1 if there are more, subject, revocation, ...}, by rising number: if it is not known, from
-- the first on.
local head, now = redis.call('HMGET', KEYS[1], 'revoked', 'format'), redis.call('TIME')
local out = {head[1] or '', string.format('%d%03d', now[1], math.floor(now[2] / 1000)), head[2] or '0', '1', '0'}
local from, budget, n = ARGV[1], tonumber(ARGV[3]), 5
if ARGV[2] ~= '' and out[1] ~= from .. '-' .. ARGV[2] then
  local at = redis.call('ZRANGEBYSCORE', KEYS[3], from, from)[1]
  local is = at and redis.call('HGET', KEYS[2], at)
  if not is or string.match(is, '^%d+ (%w+) ') ~= ARGV[2] then out[4], from = '0', '0' end
end
while true do
  local got = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. from, '+inf', 'LIMIT', 0, 256)
  local are = #got > 0 and redis.call('HMGET', KEYS[2], unpack(got))
  for i, subject in ipairs(got) do
    if budget <= 0 then
      out[5] = '1'
      return out
    end
    local is = are[i]
    if not is then return out end -- no relay wrote this
    out[n + 1], out[n + 2] = subject, is
    n, budget, from = n + 2, budget - #subject - #is, string.match(is, '^%d+')
  end
  if #got < 256 then return out end
end
