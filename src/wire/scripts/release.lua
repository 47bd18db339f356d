#!lua flags=allow-oom
-- release: what was fetched but not started goes to the group's private retry stream, at no cost to the job.
-- KEYS  the entries' stream, settles, the retry stream
-- ARGV  group, consumer, batch number, low id, high id, bound, is_private, then per entry:
--       id, deliveries, first entry, first seen, deliveries so far, n, then n texts: the payload, if the entry was found gone
-- Returns one letter per entry: r released, l lost, g gone from the stream (send the payload), e could not be moved.
local stream, settles, retry = KEYS[1], KEYS[2], KEYS[3]
local group, consumer, number, is_private = ARGV[1], ARGV[2], ARGV[3], ARGV[7] == '1'
local wrong = must_be(settles, 'hash') or must_be(retry, 'stream') or must_be(stream, 'stream')
if wrong then return wrong end
local known = replayed(settles, consumer, number)
if known then return known end

-- The fields of the new entry: its own, verbatim, then where it came from.
local function packed(own, i)
  local fields = {}
  for f = 1, #own, 2 do
    if not (is_private and string.sub(own[f], 1, 6) == 'quern_') then
      fields[#fields + 1] = own[f]
      fields[#fields + 1] = own[f + 1]
    end
  end
  for f, name in ipairs({'quern_entry', 'quern_first_seen', 'quern_deliveries'}) do
    fields[#fields + 1] = name
    fields[#fields + 1] = ARGV[i + 1 + f]
  end
  return fields
end

local held = pending_of(stream, group, consumer, ARGV[4], ARGV[5], ARGV[6])
local statuses, i = {}, 8
while i <= #ARGV do
  local id, n, status = ARGV[i], tonumber(ARGV[i + 5]), 'l'
  if held[id] == ARGV[i + 1] then
    local own
    if n > 0 then
      own = {unpack(ARGV, i + 6, i + 5 + n)}
    else
      local found = redis.call('XRANGE', stream, id, id)[1]
      own = found and found[2]
    end
    status = 'g'
    if own then
      local moved = pcall(function() redis.call('XADD', retry, '*', unpack(packed(own, i))) end)
      status = moved and 'r' or 'e'
    end
    if status == 'r' then
      redis.call('XACK', stream, group, id)
      if is_private then redis.call('XDEL', stream, id) end
    end
  end
  statuses[#statuses + 1] = status
  i = i + 6 + n
end
statuses = table.concat(statuses)
redis.call('HSET', settles, consumer, number .. ':' .. statuses)
return statuses
