#!lua
-- SPDX-License-Identifier: MIT
-- enqueue: a batch, once, of which some are to be there only once, or later, or only if not too many wait. Marker as in publish.
-- All of it may be of a batch of jobs that have a closing job in common (batched): its first call makes it, its last seals it.
-- What may be refused is refused before anything is written for it, and from the first that finds no room all others behind it are:
-- they keep their order when they are sent again. A window opens behind its entry: were it first, a refused XADD would suppress the job.
-- KEYS  the stream, the publisher's marker, scheduled, the scheduled jobs, the dead letters, those of batches, then a window for
--       each that has one
-- ARGV  batch number, marker's life in ms, timestamps, group, how many may wait (0: no bound), is_dropping: the oldest makes room,
--       a letter's data in four parts, between which come the dropped job's id, its event and its entry's id; their batch ('':
--       none), and if there is one: how long it waits for its next call (ms), how long for its jobs from now on (0: it is not sealed
--       yet), n, n texts: the closing job's fields (0: it is made); then per message:
--       id, due (Unix ms, 0: now), delay in ms (both with parts of a ms, by which those of one time keep their order), id of a letter, its window's place among the keys (0: none), window in ms, n, n texts: the fields
-- Returns a word per message, parted by spaces: its entry, with /n behind it if n older ones were dropped for it; =id,entry of the one
-- that has opened the window; @ms when it is due; !n for want of room where n wait, with /n if n were dropped nevertheless.
-- Or only -: the batch is over, nothing was done.
-- Model  publish
local stream, marker, scheduled, jobs, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local number, stamps, group, max, is_dropping = ARGV[1], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6] == '1'
local COUNTED, COUNTED_BYTES, DROPPED, DROPPED_BYTES = 1000, 262144, 64, 1048576
local batches, batch, WINDOWS = batches_at(6), ARGV[11], 10
local wrong = must_be(stream, 'stream', 'the stream') or must_be(marker, 'string', 'the marker') or must_be(scheduled, 'zset', 'the scheduled jobs times') or
  must_be(jobs, 'hash', 'the scheduled jobs') or must_be(dead, 'stream', 'the dead letters')
if batch ~= '' or is_dropping then wrong = wrong or wrong_batches(batches) end
for place = WINDOWS, #KEYS do wrong = wrong or must_be(KEYS[place], 'string', 'a dedup window') end
if not wrong and #KEYS >= WINDOWS then -- as in publish
  for _, opener in ipairs(redis.call('MGET', unpack(KEYS, WINDOWS))) do
    if opener and not string.find(opener, '^[^ \n]+,[%d-]*$') then
      wrong = redis.error_reply('ERR the key of a dedup window holds what no publisher has written')
    end
  end
end
if wrong then return wrong end
local last = redis.call('GET', marker)
if last and string.sub(last, 1, #number + 1) == number .. ':' then return string.sub(last, #number + 2) end
if last and tonumber(string.match(last, '^%d+')) > tonumber(number) then return redis.error_reply('ERR a later batch was published') end

-- Where Redis has lost count (somebody has deleted entries that nobody had read, a group was begun in the middle), those that wait are
-- counted one by one, as far as that is cheap. true: there are no more.
local function count_unread(from)
  local count, bytes = 0, 0
  while count < COUNTED and bytes < COUNTED_BYTES do
    local row = redis.call('XRANGE', stream, '(' .. from, '+', 'COUNT', 1)[1]
    if not row then return count, true end
    count, bytes, from = count + 1, bytes + bytes_of(row[2]), row[1]
  end
  return count, false
end

-- How many the group has not taken yet. Where that is not known, a publisher that is refused may be so too early, for then it is the
-- whole stream, but one that drops takes what was counted: never is a job dropped that was within the bound.
local function count_waiting()
  if redis.call('EXISTS', stream) == 0 then return nil end
  for _, row in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local info = map(row)
    if info.name == group then
      if info.lag then return info.lag end
      local count, is_all = count_unread(info['last-delivered-id'])
      return (is_all or is_dropping) and count or redis.call('XLEN', stream)
    end
  end
end

local waiting, is_full, now_ms, part_ms = 0, false, unix_ms()
if max > 0 then waiting = count_waiting() end
if not waiting then return redis.error_reply('NOGROUP there is no group ' .. group .. ' to count for') end
local dropped, dropped_bytes = 0, 0

-- As JSON, where that is plain; else null: it goes along as a field in any case.
local function quoted(text)
  return text and string.match(text, '^[%w .:_/-]+$') and '"' .. text .. '"' or 'null'
end

local function letter_of(row, id)
  local job, event
  for f = 1, #row[2], 2 do
    if row[2][f] == 'id' then job = row[2][f + 1] end
    if row[2][f] == 'event' then event = row[2][f + 1] end
  end
  local data = ARGV[7] .. quoted(job) .. ARGV[8] .. quoted(event) .. ARGV[9] .. row[1] .. ARGV[10]
  local letter = {'id', id, 'event', 'quern.dropped', 'retries', '0', 'timestamps', stamps, 'data', data}
  for f = 1, #row[2], 2 do
    if row[2][f] == 'event' then letter[4] = row[2][f + 1] end
    letter[#letter + 1] = 'original:' .. row[2][f]
    letter[#letter + 1] = row[2][f + 1]
  end
  return letter
end

-- One message may drop many: each letter gets an id of its own, from the message's one.
local function nth_id(id, n)
  return string.format('%s%02x', string.sub(id, 1, -3), (tonumber(string.sub(id, -2), 16) + n) % 256)
end

-- Jobs join their batch together, but before one of them may be dropped.
local joined = {}
local function join_batch(job)
  joined[#joined + 1] = 0
  joined[#joined + 1] = batch .. '/' .. job
end

local function count_joined()
  if #joined == 0 then return end
  redis.call('ZADD', batches.open, unpack(joined))
  redis.call('HINCRBY', batches.state, batch .. ':published', #joined / 2)
  joined = {}
end

-- The oldest that waits goes to the dead letters of the group, and for the group only: it counts as read, and is in nobody's hands.
local function drop_one(id)
  if dropped >= DROPPED or dropped_bytes > DROPPED_BYTES then return false end
  count_joined()
  local found = redis.pcall('XREADGROUP', 'GROUP', group, 'quern-dropped', 'COUNT', 1, 'STREAMS', stream, '>')
  local row = found and not found.err and found[1][2][1]
  if not row then return false end
  -- one that cannot be buried is in the hands of that name, and comes back to the group when its lease is over
  if not pcall(function() redis.call('XADD', dead, '*', unpack(letter_of(row, id))) end) then return false end
  redis.call('XACK', stream, group, row[1])
  drop_member(batches, row[2], group)
  dropped, dropped_bytes = dropped + 1, dropped_bytes + bytes_of(row[2])
  waiting = waiting - 1
  return true
end

-- All that a batch needs is written before the first of its jobs: a right that is missing is said before anything is there.
-- false: it was closed.
local function open_batch()
  local n, is_there = tonumber(ARGV[14]), redis.call('HEXISTS', batches.state, batch .. ':job') == 1
  if not is_there and n == 0 then return false end
  if not is_there then
    redis.call('HSET', batches.state, batch .. ':wanted', 0, batch .. ':published', 0, batch .. ':done', 0, batch .. ':dead', 0,
      batch .. ':sealed', 0, batch .. ':job', cmsgpack.pack({unpack(ARGV, 15, 14 + n)}))
  end
  redis.call('ZADD', batches.times, string.format('%.0f', now_ms + tonumber(ARGV[12])), batch)
  redis.call('HINCRBY', batches.state, batch .. ':published', 0)
  return true
end

-- Its jobs may all have ended by now.
local function seal_batch()
  redis.call('HSET', batches.state, batch .. ':sealed', 1)
  redis.call('ZADD', batches.times, string.format('%.0f', now_ms + tonumber(ARGV[13])), batch)
  local counts = batch_counts(batches, batch)
  if counts.open == 0 then close_batch(batches, batch, counts) end
end

local function later(at, due)
  redis.call('HSET', jobs, ARGV[at], cmsgpack.pack({unpack(ARGV, at + 7, at + 6 + tonumber(ARGV[at + 6]))}))
  redis.call('ZADD', scheduled, string.format('%.3f', due), ARGV[at])
  return '@' .. string.format('%.0f', math.floor(due))
end

local function now(at)
  local before = dropped
  while is_dropping and waiting >= max and drop_one(nth_id(ARGV[at + 3], dropped)) do end
  is_full = max > 0 and waiting >= max
  if is_full then return nil, dropped - before end
  waiting = waiting + 1
  local entry = redis.call('XADD', stream, '*', unpack(ARGV, at + 7, at + 6 + tonumber(ARGV[at + 6])))
  return dropped > before and entry .. '/' .. (dropped - before) or entry
end

local function put(at)
  local delay, window = tonumber(ARGV[at + 2]), KEYS[tonumber(ARGV[at + 4])]
  local due = math.max(tonumber(ARGV[at + 1]), delay > 0 and now_ms + part_ms + delay or 0)
  local first = window and redis.call('GET', window)
  if first then return '=' .. first end
  local word, in_vain
  if math.floor(due) > now_ms then word = later(at, due) else word, in_vain = now(at) end
  if word and batch ~= '' then join_batch(ARGV[at]) end
  if window and word then
    redis.call('SET', window, ARGV[at] .. ',' .. (string.match(word, '^%d+-%d+') or ''), 'PX', ARGV[at + 5])
  end
  return word or '!' .. string.format('%.0f', waiting) .. (in_vain > 0 and '/' .. in_vain or '')
end

local words, at, taken = {}, 12, 0
if batch ~= '' then
  at = 15 + tonumber(ARGV[14])
  if not open_batch() then return '-' end
end
while at <= #ARGV do
  words[#words + 1] = is_full and '!' .. string.format('%.0f', waiting) or put(at)
  at = at + 7 + tonumber(ARGV[at + 6])
  if not is_full then taken = taken + 1 end
end
count_joined()
if batch ~= '' then redis.call('HINCRBY', batches.state, batch .. ':wanted', taken) end
if batch ~= '' and ARGV[13] ~= '0' and not is_full then seal_batch() end
words = table.concat(words, ' ')
redis.call('SET', marker, number .. ':' .. words, 'PX', ARGV[2])
return words
