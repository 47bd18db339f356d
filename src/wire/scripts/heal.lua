#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- heal: makes a group again that is gone. Without it nothing can be settled, so memory that has run out is no reason to refuse.
-- KEYS  the stream, the retry stream
-- ARGV  group, consumer, the id behind which it begins if the stream is still there and nobody else has held anything of it
-- Returns m made, n made with a new stream, from its beginning, e there was nothing to make.
-- Model  none
local stream, retry, group, consumer, mark = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]

-- Every consumer makes itself known in the retry stream. What others held may be older than what the asker does.
local function is_alone()
  local rows, is_known = redis.pcall('XINFO', 'CONSUMERS', retry, group), false
  for _, row in ipairs(rows) do
    if row[2] ~= consumer then return false end
    is_known = true
  end
  return is_known
end

local wrong = must_be(stream, 'stream', 'the stream')
if wrong then return wrong end
local is_new = redis.call('EXISTS', stream) == 0
if is_new or not is_alone() then mark = '0' end
local made = redis.pcall('XGROUP', 'CREATE', stream, group, mark, 'MKSTREAM')
if made.err then return string.find(made.err, 'BUSYGROUP', 1, true) and 'e' or made end
return is_new and 'n' or 'm'
