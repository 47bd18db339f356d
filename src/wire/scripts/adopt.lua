#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- adopt: claims what is still ours but came with a reply that was lost; one delivery more for each.
-- KEYS  the entries' stream
-- ARGV  group, consumer, low id, high id, bound, then per entry: id, deliveries
-- Returns how many of them were deleted while they were pending, and the others, as XCLAIM does.
-- Model  adopt
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local held, ids = pending_of(stream, group, consumer, ARGV[3], ARGV[4], ARGV[5]), {}
for i = 6, #ARGV, 2 do
  if held[ARGV[i]] == ARGV[i + 1] then ids[#ids + 1] = ARGV[i] end
end
if #ids == 0 then return {0, {}} end
-- XCLAIM leaves out, and drops from the pending list, what was deleted
local entries = redis.call('XCLAIM', stream, group, consumer, 0, unpack(ids))
return {#ids - #entries, entries}
