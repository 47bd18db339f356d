#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- renew: the leases that are still ours begin anew; a bare XCLAIM would steal what another owner has by now.
-- KEYS  the entries' stream
-- ARGV  group, consumer, low id, high id, bound, then per entry: id, deliveries
-- Returns the places (from 0) of those that are lost.
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local held = pending_of(stream, group, consumer, ARGV[3], ARGV[4], ARGV[5])
local ids, lost = {}, {}
for i = 6, #ARGV, 2 do
  if held[ARGV[i]] == ARGV[i + 1] then
    ids[#ids + 1] = ARGV[i]
  else
    lost[#lost + 1] = (i - 6) / 2
  end
end
if #ids > 0 then
  local arguments = {'XCLAIM', stream, group, consumer, 0, unpack(ids)}
  arguments[#arguments + 1] = 'JUSTID'
  redis.call(unpack(arguments))
end
return lost
