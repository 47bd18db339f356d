#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- ack: acknowledges as XACK does, and deletes what it has acknowledged if there is no other group that could want it: the second
-- gear of trimming, for as long as one old job holds back the first.
-- KEYS  the stream
-- ARGV  group, then ids
-- Returns how many were acknowledged.
-- Model  ack
local stream, group, acked = KEYS[1], ARGV[1], {}
for i = 2, #ARGV do
  -- only what was ours to acknowledge may go: another consumer may be running the rest
  if redis.call('XACK', stream, group, ARGV[i]) == 1 then acked[#acked + 1] = ARGV[i] end
end
if #acked > 0 and #redis.call('XINFO', 'GROUPS', stream) == 1 then redis.call('XDEL', stream, unpack(acked)) end
return #acked
