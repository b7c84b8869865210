-- Renews sessions, and says how each is.
-- KEYS: session, session, ... ARGV: ttl in ms, owner, version, owner, version, ...
-- Returns for each 1, or 0 if something else is stored than that version, or -1 if somebody
-- else owns it.
local out = {}
for i, key in ipairs(KEYS) do
  local is = redis.call('HMGET', key, 'owner', 'v')
  if is[1] and is[1] ~= ARGV[2 * i] then
    out[i] = -1
  elseif is[2] ~= ARGV[2 * i + 1] then
    out[i] = 0
  else
    out[i] = redis.call('PEXPIRE', key, ARGV[1])
  end
end
return out
