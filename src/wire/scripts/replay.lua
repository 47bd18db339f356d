#!lua
-- SPDX-License-Identifier: MIT
-- replay: dead letters become jobs again. The letter is the marker: what is gone was replayed already, by this caller whose
-- answer was lost, or by another; so no job comes twice of one letter. The jobs come written out; write first, then delete.
-- KEYS  the dead letters, the stream, then the retry streams of the groups
-- ARGV  1: only look what would be done, the groups, then per letter: its id, which key (2: the stream), n, then n texts: the
--       job's fields
-- Returns one letter per letter: r replayed, g gone, n the group is gone, e could not be written; and what Redis said of the
-- first e.
-- Model  none
local dead, stream, is_dry = KEYS[1], KEYS[2], ARGV[1] == '1'
local wrong = must_be(dead, 'stream', 'the dead letters') or must_be(stream, 'stream', 'the stream')
for k = 3, #KEYS do wrong = wrong or KEYS[k] == '' and redis.error_reply('ERR a key has no name') or must_be(KEYS[k], 'stream', KEYS[k]) end
if wrong then return wrong end

-- What nobody will read must not leave the letters.
local has_group = {[2] = true}
for k = 3, #KEYS do
  local answer = redis.pcall('XPENDING', stream, ARGV[k - 1])
  if answer.err and not string.find(answer.err, 'NOGROUP', 1, true) then return answer end
  has_group[k] = not answer.err
end

-- Who may write but not delete would leave the letters of jobs that are there again: said before the first write.
if not is_dry then redis.call('XDEL', dead, '0-1') end
local statuses, why, i = {}, '', #KEYS
while i <= #ARGV do
  local id, k, n, status = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), 'g'
  if not has_group[k] then
    status = 'n'
  elseif #redis.call('XRANGE', dead, id, id) > 0 then
    -- unpack inside: of too many fields it is an error, too, and must spoil no other letter
    local first, last = i + 3, i + 2 + n
    local is_written, said = is_dry, nil
    if not is_dry then is_written, said = pcall(function() redis.call('XADD', KEYS[k], '*', unpack(ARGV, first, last)) end) end
    status = is_written and 'r' or 'e'
    if not is_written and why == '' then why = type(said) == 'table' and said.err or tostring(said) end
    if is_written and not is_dry then redis.call('XDEL', dead, id) end
  end
  statuses[#statuses + 1] = status
  i = i + 3 + n
end
return {table.concat(statuses), why}
