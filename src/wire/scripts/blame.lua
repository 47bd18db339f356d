#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- blame: what a process that has died held goes back to the group: what it had not started at no cost; what may have ended it is to
-- run alone from now on; what has certainly ended it is counted too. Each goes only if it is still as it was: so a second reading
-- of the same journal changes nothing.
-- KEYS  the entries' stream, the retry stream, the stream of jobs that run alone, the crashes
-- ARGV  group, the consumer that has died, is_private, how many bytes (one entry goes whatever it has), after how many deliveries
--       without an outcome a job runs alone (0: never), then per entry: id,
--       deliveries, what it is: u not started, n likewise, but nothing else ran, b innocent, s a suspect, c to blame, a likewise, and
--       it ran alone (it was counted when it started), how it ended the process ('': unknown)
-- Returns one letter per entry: m moved, g gone: it was deleted, k it is not that process's any more, e could not be moved,
--         n not looked at yet.
-- Model  blame
local stream, retry, alone, crashes, group, consumer = KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1], ARGV[2]
local is_private, max_bytes, most, bytes, letters, now_ms = ARGV[3] == '1', tonumber(ARGV[4]), tonumber(ARGV[5]), 0, {}, unix_ms()
local wrong = must_be(stream, 'stream', 'the stream') or must_be(retry, 'stream', 'the retry stream') or
  must_be(alone, 'stream', 'the jobs that run alone') or must_be(crashes, 'hash', 'the crashes')
if wrong then return wrong end

-- The job is on its way by then: what is wrong with a count must not keep it here, to be moved again.
local function count(root, what, how)
  if what == 'c' then redis.pcall('HINCRBY', crashes, root, 1) end
  if how ~= '' then redis.pcall('HSET', crashes, root .. ':how', how) end
  local is_excused = stream == alone and what ~= 'c' and what ~= 'a'
  local left = is_excused and redis.pcall('HINCRBY', crashes, root, -1)
  if type(left) == 'number' and left <= 0 then redis.pcall('HDEL', crashes, root) end
end

local function move(own, id, row, what)
  local more = what == 'u' and math.max(row[4] - 1, 0) or row[4] -- a delivery that did not start is not counted
  local unended = (is_private and tonumber(note_of(own, 'quern_unended')) or 0) + 1
  local notes = what == 'n' and {quern_unended = string.format('%.0f', unended)} or {}
  local fields = packed(own, is_private, id, string.format('%.0f', now_ms - row[3]), more, notes)
  local is_worn = what == 'n' and most > 0 and unended >= most
  if (what == 'u' or what == 'n' or what == 'b') and not is_worn and stream ~= alone then
    redis.call('XADD', retry, '*', unpack(fields))
  else
    move_alone(alone, group, fields)
  end
  return note_of(fields, 'quern_entry')
end

local function take(id, row, what, how)
  local found = redis.call('XRANGE', stream, id, id)[1]
  if found then
    bytes = bytes + bytes_of(found[2])
    local ok, root = pcall(move, found[2], id, row, what)
    if not ok then return 'e' end
    count(root, what, how)
  end
  settled(stream, group, id, nil, is_private)
  if not found and stream == alone then drop_empty(stream, group) end
  return found and 'm' or 'g'
end

for i = 6, #ARGV, 4 do
  local letter = 'n'
  if bytes < max_bytes then
    local row = redis.call('XPENDING', stream, group, ARGV[i], ARGV[i], 1, consumer)[1]
    local is_same = row and string.format('%.0f', row[4]) == ARGV[i + 1]
    letter = is_same and take(ARGV[i], row, ARGV[i + 2], ARGV[i + 3]) or 'k'
  end
  letters[#letters + 1] = letter
end
return table.concat(letters)
