#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- dead: a job's dead letter is written, then it is acknowledged, and counted in its batch. Its entry stays: other groups may not
-- have read it.
-- KEYS  the entries' stream, settles, the dead letters; where some are of batches, also those of batches (batched); where they
--       ran alone, also the crashes
-- ARGV  group, consumer, batch number, low id, high id, bound, is_private, how many are of batches, then per entry:
--       id, deliveries (0: its entry was deleted, nobody has its lease), n, then n texts: the letter's fields;
--       then per job that is of a batch: which entry, job id, batch
-- Returns one letter per entry: b buried, l lost, e could not be written.
-- Model  dead
local stream, settles, dead = KEYS[1], KEYS[2], KEYS[3]
local group, consumer, number, is_private = ARGV[1], ARGV[2], ARGV[3], ARGV[7] == '1'
local members, last = members_of(tonumber(ARGV[8]))
local batches, crashes = next(members) and batches_at(4), KEYS[next(members) and 8 or 4]
local wrong = must_be(settles, 'hash', 'the settles') or must_be(dead, 'stream', 'the dead letters') or must_be(stream, 'stream', 'the stream') or
  (crashes and must_be(crashes, 'hash', 'the crashes')) or (batches and wrong_batches(batches))
if wrong then return wrong end
local known = replayed(settles, consumer, number)
if known then return known end

local held = pending_of(stream, group, consumer, ARGV[4], ARGV[5], ARGV[6])
local statuses, i = {}, 9
while i <= last do
  local id, n, status = ARGV[i], tonumber(ARGV[i + 2]), 'l'
  if held[id] == ARGV[i + 1] or ARGV[i + 1] == '0' then
    local letter = {}
    for f = 1, n do letter[f] = ARGV[i + 2 + f] end
    -- unpack inside: of too many fields it is an error, too, and must spoil no other entry
    status = pcall(function() redis.call('XADD', dead, '*', unpack(letter)) end) and 'b' or 'e'
    if status == 'b' then
      local root, member = crashes and root_of(stream, id), members[#statuses + 1]
      settled(stream, group, id, ARGV[i + 1], is_private)
      if root then exonerate(stream, group, crashes, root) end
      if member then pcall(end_member, batches, member[2], member[1], 'dead') end
    end
  elseif crashes then
    excuse(stream, crashes, id)
  end
  statuses[#statuses + 1] = status
  i = i + 3 + n
end
statuses = table.concat(statuses)
redis.call('HSET', settles, consumer, number .. ':' .. statuses)
return statuses
