#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- done: acknowledges what is still ours, and writes it to the completed log and counts it in its batch in the same step.
-- KEYS  the entries' stream, settles, completed; where some are of batches, also those of batches (batched); where they ran
--       alone, also the crashes
-- ARGV  group, consumer, batch number, low id, high id, bound, completed_max, what is deleted (0 nothing, 1 all: a private stream,
--       2 all if there is no other group: the second gear of trimming), how many are of batches, then per entry:
--       id, deliveries (0: its entry was deleted, nobody has its lease), job id, event, result, retries, wait_ms, run_ms,
--       finished_at; then per job that is of a batch: which entry, job id, batch
-- Returns one letter per entry: d done, l lost, e its record could not be written: it stays pending.
-- Model  done
local stream, settles, completed = KEYS[1], KEYS[2], KEYS[3]
local group, consumer, number, max = ARGV[1], ARGV[2], ARGV[3], ARGV[7]
local members, last = members_of(tonumber(ARGV[9]))
local batches, crashes = next(members) and batches_at(4), KEYS[next(members) and 8 or 4]
local wrong = must_be(settles, 'hash', 'the settles') or must_be(completed, 'stream', 'the completed log') or must_be(stream, 'stream', 'the stream') or
  (crashes and must_be(crashes, 'hash', 'the crashes')) or (batches and wrong_batches(batches))
if wrong then return wrong end
local known = replayed(settles, consumer, number)
if known then return known end

-- An error in the middle of a batch would leave the records before it without their acknowledgement.
local function record(i)
  return max == '0' or pcall(redis.call, 'XADD', completed, 'MAXLEN', '~', max, '*', 'id', ARGV[i + 2], 'event', ARGV[i + 3],
    'result', ARGV[i + 4], 'retries', ARGV[i + 5], 'wait_ms', ARGV[i + 6], 'run_ms', ARGV[i + 7], 'consumer', consumer,
    'finished_at', ARGV[i + 8])
end

local held = pending_of(stream, group, consumer, ARGV[4], ARGV[5], ARGV[6])
local ids, statuses, roots = {}, {}, {}
for i = 10, last, 9 do
  if held[ARGV[i]] == ARGV[i + 1] or ARGV[i + 1] == '0' then
    local is_recorded = record(i)
    if is_recorded and crashes then roots[#roots + 1] = root_of(stream, ARGV[i]) end
    if is_recorded and ARGV[i + 1] == '0' then
      settled(stream, group, ARGV[i], '0', ARGV[8] == '1')
    elseif is_recorded then
      ids[#ids + 1] = ARGV[i]
    end
    statuses[#statuses + 1] = is_recorded and 'd' or 'e'
  else
    statuses[#statuses + 1] = 'l'
    if crashes then excuse(stream, crashes, ARGV[i]) end
    -- our own XACK may have run without the XDEL behind it: what nobody holds in a private stream is of no use any more
    if ARGV[8] == '1' and #redis.call('XPENDING', stream, group, ARGV[i], ARGV[i], 1) == 0 then
      redis.call('XDEL', stream, ARGV[i])
    end
  end
end
if #ids > 0 then
  redis.call('XACK', stream, group, unpack(ids))
  if ARGV[8] == '1' or (ARGV[8] == '2' and #redis.call('XINFO', 'GROUPS', stream) == 1) then
    redis.call('XDEL', stream, unpack(ids))
  end
end
for _, root in ipairs(roots) do exonerate(stream, group, crashes, root) end
for place, member in pairs(members) do
  if statuses[place] == 'd' then pcall(end_member, batches, member[2], member[1], 'done') end
end
statuses = table.concat(statuses)
redis.call('HSET', settles, consumer, number .. ':' .. statuses)
return statuses
