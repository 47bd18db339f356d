#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- release: what was fetched but not started goes to the group's private retry stream, at no cost to the job.
-- KEYS  the entries' stream, settles, the retry stream
-- ARGV  group, consumer, batch number, low id, high id, bound, is_private, then per entry:
--       id, deliveries (0: its entry was deleted, nobody has its lease), n, then n texts: the fields, if an earlier call found the entry gone
-- Returns one letter per entry: r released, l lost, g gone from the stream (send the fields), e could not be moved.
local stream, settles, retry = KEYS[1], KEYS[2], KEYS[3]
local group, consumer, number, is_private = ARGV[1], ARGV[2], ARGV[3], ARGV[7] == '1'
local wrong = must_be(settles, 'hash') or must_be(retry, 'stream') or must_be(stream, 'stream')
if wrong then return wrong end
local known = replayed(settles, consumer, number)
if known then return known end
local now = redis.call('TIME')
local now_ms = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))

-- The fields of the new entry: its own, verbatim, then where the job came from. A delivery that did not run is not counted.
local function packed(own, id, deliveries)
  local fields, from = {}, {quern_entry = id, quern_first_seen = now_ms, quern_deliveries = '0'}
  for f = 1, #own, 2 do
    if is_private and from[own[f]] then
      from[own[f]] = own[f + 1]
    else
      fields[#fields + 1] = own[f]
      fields[#fields + 1] = own[f + 1]
    end
  end
  local before = tonumber(from.quern_deliveries) or 0
  from.quern_deliveries = string.format('%.0f', before + math.max(tonumber(deliveries) - 1, 0))
  for name, value in pairs(from) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  return fields
end

local held = pending_of(stream, group, consumer, ARGV[4], ARGV[5], ARGV[6])
local statuses, i = {}, 8
while i <= #ARGV do
  local id, n, status = ARGV[i], tonumber(ARGV[i + 2]), 'l'
  if held[id] == ARGV[i + 1] or ARGV[i + 1] == '0' then
    local own
    if n > 0 then
      own = {}
      for f = 1, n do own[f] = ARGV[i + 2 + f] end
    else
      local found = redis.call('XRANGE', stream, id, id)[1]
      own = found and found[2]
    end
    status = 'g'
    if own then
      local moved = pcall(function() redis.call('XADD', retry, '*', unpack(packed(own, id, ARGV[i + 1]))) end)
      status = moved and 'r' or 'e'
    end
    if status == 'r' then
      redis.call('XACK', stream, group, id)
      if is_private then redis.call('XDEL', stream, id) end
    end
  end
  statuses[#statuses + 1] = status
  i = i + 3 + n
end
statuses = table.concat(statuses)
redis.call('HSET', settles, consumer, number .. ':' .. statuses)
return statuses
