-- Ends the turn of a notice that was taken, or that is dead, and begins that of the next one of its subject.
-- KEYS: those of the notices. ARGV: turn, subject, fence, why it is dead or nothing
-- Returns 1, or 0 if it was settled before.
local acked = redis.call('XACK', turns, 'relays', ARGV[1])
redis.call('XDEL', turns, ARGV[1])
local lines = redis.call('HGET', waiting, ARGV[2])
if not lines then return 0 end
local line, rest = string.match(lines, '^([^\n]*)\n?(.*)$')
if string.match(line, '^1 %S+ [+-] (%d+) ') ~= ARGV[3] then
  if acked == 1 then redis.call('XADD', turns, '*', 's', ARGV[2]) end -- Redis has come back as it was before
  return 0
end
if rest == '' then
  redis.call('HDEL', waiting, ARGV[2])
else
  redis.call('HSET', waiting, ARGV[2], rest)
  redis.call('XADD', turns, '*', 's', ARGV[2])
end
if ARGV[4] ~= '' then die(ARGV[2], line, ARGV[4]) end
return 1
