-- Finds a message in one of several streams, or its successor where that is the oldest, so that its
-- digest vouches for it.
-- KEYS: stream, ... ARGV: position, sequence and digest of the message
-- Returns {which stream, counted from 1, when the message was stored in ms or 0}, or nothing.
local id, pos, seq = ARGV[1] .. '-' .. ARGV[2], tonumber(ARGV[1]), tonumber(ARGV[2])
for i, key in ipairs(KEYS) do
  local e = redis.call('XRANGE', key, id, id)[1]
  if e then
    local at, digest = string.match(e[2][2], '^~?(%d+) %w* (%w+) ')
    if digest == ARGV[3] then return {i, tonumber(at)} end
    return {}
  end
end
for i, key in ipairs(KEYS) do
  local e = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  if e then
    local p, s = string.match(e[1], '^(%d+)-(%d+)$')
    if tonumber(p) > pos and tonumber(s) == seq + 1 and string.match(e[2][2], '^%d+ (%w*) ') == ARGV[3] then return {i, 0} end
  end
end
return {}
