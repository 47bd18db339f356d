#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- batch: batches whose time is over are closed, whatever of them is still open: their closing jobs say so. What was open is then
-- taken away, so many at a time: a batch stays among the times until none is left.
-- KEYS  the batches' times, the open jobs, their state, the retry stream
-- ARGV  how many at most, how many bytes (one closing job goes whatever it has), how many open jobs are taken away
-- Returns how many were closed, how many could not be: they wait another hour; 1: there is more to do now.
-- Model  none
local batches, most, max_bytes, left = batches_at(1), tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local wrong = wrong_batches(batches)
if wrong then return wrong end
local now_ms, closed, stuck, bytes = unix_ms(), 0, 0, 0

local function sweep(batch)
  local from, to = '[' .. batch .. '/', '(' .. batch .. '0' -- the character behind the slash
  local names = left > 0 and redis.call('ZRANGEBYLEX', batches.open, from, to, 'LIMIT', 0, left) or {}
  if #names > 0 then redis.call('ZREM', batches.open, unpack(names)) end
  local is_all = #names < left
  left = left - #names
  if is_all then redis.call('ZREM', batches.times, batch) end
end

local due = redis.call('ZRANGEBYSCORE', batches.times, '-inf', string.format('%.0f', now_ms), 'LIMIT', 0, most + 1)
for i, batch in ipairs(due) do
  if i > most or bytes > max_bytes then break end
  local is_fine, counts = pcall(batch_counts, batches, batch)
  if is_fine and counts then
    local size
    is_fine, size = pcall(close_batch, batches, batch, counts)
    if is_fine then closed, bytes = closed + 1, bytes + size end
  end
  if is_fine then
    sweep(batch)
  else
    stuck = stuck + 1
    redis.call('ZADD', batches.times, string.format('%.0f', now_ms + 3600000), batch)
  end
end
local first = redis.call('ZRANGE', batches.times, 0, 0, 'WITHSCORES')
return {closed, stuck, first[2] and tonumber(first[2]) <= now_ms and 1 or 0}
