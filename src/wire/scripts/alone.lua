#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- alone: the next job that is to run with nothing else beside it. It is counted before it starts, so that a crash of whoever runs
-- it is its own, even if the machine goes down with it. The asker holds none: what is pending in its name came with an answer
-- that was lost, and is counted already.
-- KEYS  the stream of jobs that run alone, the crashes
-- ARGV  group, consumer, lease in ms
-- Returns nothing, or: the entry ('': there is none), its deliveries, how often it has been started alone or blamed (this time
-- included, but not where another copy of it is under way: a group that was made again may have handed it out twice), how it ended the
-- process the last time, how many it has met that were deleted while they were pending.
-- Model  alone
local stream, crashes, group, consumer, lease_ms = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
local wrong = must_be(stream, 'stream', 'the jobs that run alone') or must_be(crashes, 'hash', 'the crashes')
if wrong then return wrong end
if redis.call('EXISTS', stream) == 0 then return {} end
redis.pcall('XGROUP', 'CREATE', stream, group, '0')

-- XCLAIM leaves out, and drops from the pending list, what was deleted
local deleted = 0
local function claim(row, more)
  if not row then return nil end
  local entry = redis.call('XCLAIM', stream, group, consumer, 0, row[1])[1]
  if not entry then deleted = deleted + 1 end
  return entry, row[4] + 1, more
end

local function read()
  local answer = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', 1, 'STREAMS', stream, '>')
  if not answer then return nil end
  return answer[1][2][1], 1, 1
end

local function root_of(found) return note_of(found[2], 'quern_entry') or found[1] end

local function under_way(root, own)
  local others = 0
  for _, row in ipairs(redis.call('XPENDING', stream, group, '-', '+', 64)) do
    local found = row[1] ~= own and redis.call('XRANGE', stream, row[1], row[1])[1]
    if found and root_of(found) == root then others = others + 1 end
  end
  return others
end

local entry, deliveries, more = claim(redis.call('XPENDING', stream, group, '-', '+', 1, consumer)[1], 0)
if not entry then entry, deliveries, more = read() end
-- somebody else's, who has let it go
if not entry then entry, deliveries, more = claim(redis.call('XPENDING', stream, group, 'IDLE', lease_ms, '-', '+', 1)[1], 1) end
if not entry then
  if deleted > 0 then drop_empty(stream, group) end
  return {'', 0, 0, '', deleted}
end
local root = root_of(entry)
local count = redis.call('HINCRBY', crashes, root, more) - under_way(root, entry[1])
return {entry, deliveries, count, redis.call('HGET', crashes, root .. ':how') or '', deleted}
