#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- heal: makes a group again that is gone. Without it nothing can be settled, so memory that has run out is no reason to refuse.
-- KEYS  the stream
-- ARGV  group, the id behind which it begins if the stream is still there
-- Returns m made behind that id, n made with a new stream, from its beginning, e there was nothing to make.
local stream, group, mark = KEYS[1], ARGV[1], ARGV[2]
local wrong = must_be(stream, 'stream', 'the stream')
if wrong then return wrong end
local is_new = redis.call('EXISTS', stream) == 0
local made = redis.pcall('XGROUP', 'CREATE', stream, group, is_new and '0' or mark, 'MKSTREAM')
if made.err then return string.find(made.err, 'BUSYGROUP', 1, true) and 'e' or made end
return is_new and 'n' or 'm'
