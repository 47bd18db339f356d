#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- logged: acknowledges a batch whose records were added to the completed log right before it, in the same transaction; but only if they
-- are there. No owner is checked: for what is in no doubt. Asked again, it is asked by the script done, under the same number.
-- KEYS  the entries' stream, settles, completed
-- ARGV  group, consumer, batch number, completed_max, the last record's job id, is the stream private, then ids
-- Returns how many were acknowledged.
-- Model  logged
local stream, settles, completed, group = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local is_log, kind = redis.call('TYPE', completed).ok == 'stream', redis.call('TYPE', settles).ok
local newest = is_log and redis.call('XREVRANGE', completed, '+', '-', 'COUNT', 1)[1]
if not newest or newest[2][2] ~= ARGV[5] then return redis.error_reply('ERR the completed log did not take the records') end
if kind ~= 'hash' and kind ~= 'none' then return redis.error_reply('WRONGTYPE the key of the settles holds a ' .. kind) end
local acked = redis.call('XACK', stream, group, unpack(ARGV, 7))
if ARGV[6] == '1' then redis.call('XDEL', stream, unpack(ARGV, 7)) end
-- which of them were not pending any more is not known: the last ones are taken for it
redis.call('HSET', settles, ARGV[2], ARGV[3] .. ':' .. string.rep('d', acked) .. string.rep('l', #ARGV - 6 - acked))
redis.call('XTRIM', completed, 'MAXLEN', '~', ARGV[4])
return acked
