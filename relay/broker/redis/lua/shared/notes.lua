-- What scripts share that know of annotations. An annotation is an entry of its room's stream, behind the
-- messages that came before it: its id has the sequence of the last of them, its text begins with "~", and
-- of one that changes its message's body, n is that message's id. notes is a hash {id of a message: how its
-- annotations stand}, for messages that have any. Messages behind an annotation have a field n as well, so that the newest
-- entry tells whether there are annotations: they are there as long as their message.

-- isNote reports whether a stream's entry is an annotation.
local function isNote(e) return string.byte(e[2][2], 1) == 126 end

-- textOf returns what a relay is to know of an entry: of an annotation that changes a body, what that is now
-- comes behind it; before a message comes how its annotations stand, "+<bytes of that> <that>".
local function textOf(stream, notes, e)
  local text = e[2][2]
  if isNote(e) then
    local target = e[2][4]
    if target == '' then return text end
    local about = redis.call('XRANGE', stream, target, target)[1]
    return about and text .. string.match(about[2][2], '^%d+ %w* %w+ (.*)$') or text
  end
  local note = notes and redis.call('HGET', notes, e[1])
  return note and '+' .. #note .. ' ' .. note .. text or text
end
