#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- renew: the leases that are still ours begin anew; a bare XCLAIM would steal what another owner has by now.
-- KEYS  the entries' stream
-- ARGV  group, consumer, low id, high id, bound, then per entry: id, deliveries
-- Returns one letter per entry: k kept, l lost to another owner, g gone: deleted from the stream, so that nobody has it any more.
-- Model  renew
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local held = pending_of(stream, group, consumer, ARGV[3], ARGV[4], ARGV[5])
local ids, letters = {}, {}
for i = 6, #ARGV, 2 do
  if held[ARGV[i]] == ARGV[i + 1] then
    ids[#ids + 1] = ARGV[i]
    letters[#letters + 1] = 'g'
  else
    letters[#letters + 1] = 'l'
  end
end
if #ids > 0 then
  local arguments = {'XCLAIM', stream, group, consumer, 0, unpack(ids)}
  arguments[#arguments + 1] = 'JUSTID'
  local kept = {}
  -- XCLAIM leaves out, and drops from the pending list, what was deleted
  for _, id in ipairs(redis.call(unpack(arguments))) do kept[id] = true end
  for i = 1, #letters do
    if kept[ARGV[4 + 2 * i]] then letters[i] = 'k' end
  end
end
return table.concat(letters)
