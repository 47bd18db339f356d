#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- skip: what waits for a group is passed over: it has read the stream to its end, as other groups may not have; what waits in its
-- own retry stream, which nobody else reads, is deleted. What is pending stays.
-- KEYS  the stream, the retry stream
-- ARGV  group, 1: only look what would be done, then of the retry stream: behind which id ('': the first call, which passes over
--       the stream's own too), the last id that counts, how many entries at most, how many bytes (one goes whatever it has)
-- Returns how many of the stream (-1: Redis cannot tell; -2: there is no such group), how many of the retry stream, the last of
-- these ids, the last id that counts ('': that was all).
-- Model  none
local stream, retry, group, is_dry, from, last = KEYS[1], KEYS[2], ARGV[1], ARGV[2] == '1', ARGV[3], ARGV[4]
local wrong = must_be(stream, 'stream', 'the stream') or must_be(retry, 'stream', 'the retry stream')
if wrong then return wrong end

local function stream_of(key) return map(redis.call('XINFO', 'STREAM', key)) end
local function group_of(key)
  if redis.call('EXISTS', key) == 0 then return nil end
  for _, row in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local found = map(row)
    if found.name == group then return found end
  end
end

-- So that Redis still knows how many are unread: entries read is what was ever added.
local function pass(key, info)
  redis.call('XGROUP', 'SETID', key, group, info['last-generated-id'], 'ENTRIESREAD', string.format('%.0f', info['entries-added']))
end

local skipped = 0
if from == '' then
  local here = group_of(stream)
  if not here then return {-2, 0, '', ''} end
  local info = stream_of(stream)
  skipped = info['last-generated-id'] == here['last-delivered-id'] and 0 or here.lag or -1
  if not is_dry and skipped ~= 0 then pass(stream, info) end
end
if redis.call('EXISTS', retry) == 0 then return {skipped, 0, '', ''} end

-- What was read since the last call is pending, and stays. A call that deletes begins where the group is; one that looks, where
-- it was.
local own, info, count, bytes = group_of(retry), stream_of(retry), 0, 0
if last == '' then last = info['last-generated-id'] end
local at = own and own['last-delivered-id'] or '0-0'
if is_dry and from ~= '' then at = from end
while count < tonumber(ARGV[5]) and (count == 0 or bytes < tonumber(ARGV[6])) do
  local entry = redis.call('XRANGE', retry, '(' .. at, last, 'COUNT', 1)[1]
  if not entry then
    if own and not is_dry and last == info['last-generated-id'] then pass(retry, info) end
    if not own and not is_dry and redis.call('XLEN', retry) + #redis.call('XINFO', 'GROUPS', retry) == 0 then redis.call('UNLINK', retry) end
    return {skipped, count, at, ''}
  end
  for f = 1, #entry[2] do bytes = bytes + #entry[2][f] end
  at = entry[1]
  count = count + 1
  if not is_dry then redis.call('XDEL', retry, at) end
end
return {skipped, count, at, last}
