#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- reclaim: entries whose owner has let its lease run out go to the group's retry stream, where whoever has a thread for them reads
-- them; those that have ended so too often go to the stream of jobs that run alone. Each goes only if it is still as it was seen:
-- the same owner, the same delivery, idle for a lease; or still idle for exactly 0 ms, as for an hour after a step back of the clock
-- by an hour, if it was seen so for a lease.
-- KEYS  the entries' stream, the retry stream, the stream of jobs that run alone
-- ARGV  group, lease in ms, is_private, how many bytes (one entry goes whatever it has), after how many deliveries without an
--       outcome a job runs alone (0: never), then per entry: id, consumer, deliveries, is it to be idle for 0 ms?
-- Returns one letter per entry: m moved, g gone: it was deleted while it was pending, k kept,
--         e could not be moved, n not looked at yet.
-- Model  reclaim
local stream, retry, group, lease_ms, is_private = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local wrong = must_be(stream, 'stream', 'the stream') or must_be(retry, 'stream', 'the retry stream') or
  must_be(KEYS[3], 'stream', 'the jobs that run alone')
if wrong then return wrong end
local most, now_ms, max_bytes, bytes, letters = tonumber(ARGV[5]), unix_ms(), tonumber(ARGV[4]), 0, {}

-- seen: nobody is left to say when it was first handed out; at least so long ago
local function take(id, deliveries, seen)
  local found = redis.call('XRANGE', stream, id, id)[1]
  if found then
    bytes = bytes + bytes_of(found[2])
    local unended = (is_private and tonumber(note_of(found[2], 'quern_unended')) or 0) + deliveries
    local fields = packed(found[2], is_private, id, seen, deliveries, {quern_unended = string.format('%.0f', unended)})
    local is_moved
    if most > 0 and unended >= most then
      is_moved = pcall(move_alone, KEYS[3], group, fields)
    else
      is_moved = pcall(function() redis.call('XADD', retry, '*', unpack(fields)) end)
    end
    if not is_moved then return 'e' end
  end
  settled(stream, group, id, nil, is_private)
  return found and 'm' or 'g'
end

for i = 6, #ARGV, 4 do
  local letter = 'n'
  if bytes < max_bytes then
    local row = redis.call('XPENDING', stream, group, ARGV[i], ARGV[i], 1)[1]
    local is_same = row and row[2] == ARGV[i + 1] and string.format('%.0f', row[4]) == ARGV[i + 2] and
      (row[3] >= lease_ms or ARGV[i + 3] == '1' and row[3] == 0)
    letter = is_same and take(ARGV[i], row[4], string.format('%.0f', now_ms - row[3])) or 'k'
  end
  letters[#letters + 1] = letter
end
return table.concat(letters)
