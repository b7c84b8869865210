-- Has a dead notice told after all, tried from now on. KEYS: those of the notices. ARGV: its place in dead
-- Returns 1, or 0 if there is none.
local found = redis.call('XRANGE', dead, ARGV[1], ARGV[1])[1]
if not found then return 0 end
local head, text = string.match(found[2][4], '^(1 %S+ [+-] %d+ %d+ )%d+ (.*)$')
if not head then return 0 end
redis.call('XDEL', dead, ARGV[1])
queue(found[2][2], head .. string.format('%.0f', (clock())) .. ' ' .. text)
return 1
