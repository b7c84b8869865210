-- trim lets go of the oldest messages of a room that has annotations, each with those that came before the
-- next message: until there are at most limit of them, and 4 * limit + 100 annotations, or one message. last
-- is the sequence of the newest message.
local function trim(stream, limit, last)
  local len, drop, from, count, messages = redis.call('XLEN', stream), 0, '-', 2, nil
  repeat
    local got = redis.call('XRANGE', stream, from, '+', 'COUNT', count)
    for _, e in ipairs(got) do
      from = '(' .. e[1]
      local isNote = string.byte(e[2][2], 1) == 126
      if not messages then messages = last - string.match(e[1], '%d+$') + (isNote and 0 or 1) end
      if isNote then
        drop = drop + 1
      elseif messages <= 1 or messages <= limit and len - drop - messages <= 4 * limit + 100 then
        if drop > 0 then redis.call('XTRIM', stream, 'MAXLEN', '=', string.format('%d', len - drop)) end
        return messages, len - drop - messages
      else
        drop, messages = drop + 1, messages - 1
      end
    end
    local ended = #got < count
    count = 64
  until ended
  return 0, 0
end
