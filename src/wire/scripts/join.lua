#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- join: a pool comes to its group. What is missing of stream, retry stream and group is made, and the consumer made known in the retry
-- stream, so that whoever leaves sees that it is in use. Only pools make room in a full server, so memory that has run out is no reason
-- to refuse one.
-- KEYS  the stream, the retry stream
-- ARGV  group, consumer, where a group begins that was not there: 0, $ or an id
-- Returns OK.
-- Model  none
local stream, retry, group, consumer, start = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
local wrong = must_be(stream, 'stream', 'the stream') or must_be(retry, 'stream', 'the retry stream')
if wrong then return wrong end

-- Returns what went wrong; that the group is there already is no error.
local function create(key, ...)
  local made = redis.pcall('XGROUP', 'CREATE', key, group, ...)
  return made.err and not string.find(made.err, 'BUSYGROUP', 1, true) and made
end

-- Behind the last entry: and how many were added before it, without which Redis could not tell how many wait for a group that begins
-- there, until it has caught up. An error, such as that there is no stream yet, has no names and values.
local function beginning()
  local info = start == '$' and map(redis.pcall('XINFO', 'STREAM', stream)) or {}
  if not info['entries-added'] then return start, 'MKSTREAM' end
  return info['last-generated-id'], 'MKSTREAM', 'ENTRIESREAD', string.format('%.0f', info['entries-added'])
end

wrong = create(stream, beginning()) or create(retry, '0', 'MKSTREAM')
if wrong then return wrong end
redis.call('XGROUP', 'CREATECONSUMER', retry, group, consumer)
return redis.status_reply('OK')
