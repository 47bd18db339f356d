#!lua
-- SPDX-License-Identifier: MIT
-- publish: a batch, once. Its marker holds the batch's number and ids: asked again after a lost answer, the script gives the
-- first answer. Entries before marker: were the marker first, a refused XADD would suppress the batch.
-- KEYS  the stream, the publisher's marker
-- ARGV  batch number, marker's life in ms, timestamps, then per message: id, event, data, data_type ('' if it is JSON)
-- Returns the entries' ids, parted by spaces.
local stream, marker, number, stamps = KEYS[1], KEYS[2], ARGV[1], ARGV[3]
local kind = redis.call('TYPE', stream).ok
if kind ~= 'stream' and kind ~= 'none' then
  return redis.error_reply('WRONGTYPE the key of the stream holds a ' .. kind)
end
local last = redis.call('GET', marker)
if last and string.sub(last, 1, #number + 1) == number .. ':' then return string.sub(last, #number + 2) end
-- An older call that comes late (its connection was given up): its batch was answered, or is unknown to its publisher.
if last and tonumber(string.match(last, '^%d+')) > tonumber(number) then return redis.error_reply('ERR a later batch was published') end
local ids = {}
for i = 4, #ARGV, 4 do
  if ARGV[i + 3] == '' then
    ids[#ids + 1] = redis.call('XADD', stream, '*', 'id', ARGV[i], 'event', ARGV[i + 1], 'data', ARGV[i + 2],
      'retries', '0', 'timestamps', stamps)
  else
    ids[#ids + 1] = redis.call('XADD', stream, '*', 'id', ARGV[i], 'event', ARGV[i + 1], 'data', ARGV[i + 2],
      'retries', '0', 'timestamps', stamps, 'data_type', ARGV[i + 3])
  end
end
ids = table.concat(ids, ' ')
redis.call('SET', marker, number .. ':' .. ids, 'PX', ARGV[2])
return ids
