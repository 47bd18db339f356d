#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- logged: acknowledges a batch whose records were added to the completed log right before it, in the same transaction; but only if they
-- are there. No owner is checked: for what is in no doubt. Asked again, it is asked by the script done, under the same number.
-- KEYS  the entries' stream, settles, completed
-- ARGV  group, consumer, batch number, completed_max, the last record's job id, is the stream private, then ids
-- Returns one letter per entry: d done, l lost: which of them were not pending any more is not known, the last ones are taken for it.
-- Model  logged
local stream, settles, completed, group, consumer, number = KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[3]
local count = #ARGV - 6
local is_log, kind, of_stream = redis.call('TYPE', completed).ok == 'stream', redis.call('TYPE', settles).ok, redis.call('TYPE', stream).ok
local newest = is_log and redis.call('XREVRANGE', completed, '+', '-', 'COUNT', 1)[1]
if not newest or newest[2][2] ~= ARGV[5] then return redis.error_reply('ERR the completed log did not take the records') end
if kind ~= 'hash' and kind ~= 'none' then return redis.error_reply('WRONGTYPE the key of the settles holds a ' .. kind) end
if of_stream ~= 'stream' and of_stream ~= 'none' then return redis.error_reply('WRONGTYPE the key of the stream holds a ' .. of_stream) end

-- A call that comes late (its connection was given up): it was asked again, and answered. Its records, the newest ones, go again.
local last = redis.call('HGET', settles, consumer)
if last and tonumber(string.match(last, '^%d+')) >= tonumber(number) then
  for _, row in ipairs(redis.call('XREVRANGE', completed, '+', '-', 'COUNT', count)) do redis.call('XDEL', completed, row[1]) end
  return redis.error_reply('ERR this batch was settled already, or a later one')
end

local acked = redis.call('XACK', stream, group, unpack(ARGV, 7))
if ARGV[6] == '1' then redis.call('XDEL', stream, unpack(ARGV, 7)) end
local letters = string.rep('d', acked) .. string.rep('l', count - acked)
redis.call('HSET', settles, consumer, number .. ':' .. letters)
redis.call('XTRIM', completed, 'MAXLEN', '~', ARGV[4])
return letters
