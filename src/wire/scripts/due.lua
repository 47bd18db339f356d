#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- due: what has waited for its time goes on: retries to the group's retry stream, jobs published for later to the stream. Write first:
-- at worst a job is there twice, never nowhere.
-- KEYS  delayed, the delayed jobs, the retry stream, the stream of jobs that run alone, scheduled, the scheduled jobs, the stream, the paused
--       events, the cancelled jobs, the batches' times
-- ARGV  how many at most, how many bytes (one job goes whatever it has), group, lease in ms, how many paused events at most, after how many
--       ms a cancellation is forgotten
-- Returns of the retries: how many went, how many had nothing to go with (somebody deleted it), how many could not be moved: these wait
-- another hour, out of the way of the others; the same of the scheduled jobs; ms until the next of either is due (-1: none waits); how
-- many are to run alone, and whether nobody looks after some of these (0: somebody does); 1: the time of a batch is over (batch);
-- the paused events; how many jobs are cancelled, when the last one was.
-- Model  due
local max, max_bytes = tonumber(ARGV[1]), tonumber(ARGV[2])
if redis.call('EXISTS', KEYS[1], KEYS[4], KEYS[5], KEYS[8], KEYS[9], KEYS[10]) == 0 then return {0, 0, 0, 0, 0, 0, -1, 0, 0, 0, {}, 0, 0} end -- the usual case, twice a second for each pool
local wrong = must_be(KEYS[1], 'zset', 'the delayed jobs times') or must_be(KEYS[2], 'hash', 'the delayed jobs') or must_be(KEYS[3], 'stream', 'the retry stream') or
  must_be(KEYS[4], 'stream', 'the jobs that run alone') or must_be(KEYS[5], 'zset', 'the scheduled jobs times') or
  must_be(KEYS[6], 'hash', 'the scheduled jobs') or must_be(KEYS[7], 'stream', 'the stream') or
  must_be(KEYS[8], 'set', 'the paused events') or must_be(KEYS[9], 'zset', 'the cancelled jobs') or
  must_be(KEYS[10], 'zset', 'the batches')
if wrong then return wrong end
local now_ms, moved, bytes = unix_ms(), 0, 0

-- The parts of a millisecond are for the order alone.
local function move(times, jobs, to)
  local count, missing, stuck = 0, 0, 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', times, '-inf', string.format('(%.0f', now_ms + 1), 'LIMIT', 0, max - moved)) do
    local text = redis.call('HGET', jobs, member)
    bytes = bytes + (text and #text or 0)
    if text and moved > 0 and bytes > max_bytes then break end
    if not text then
      missing = missing + 1
      redis.call('ZREM', times, member)
    elseif pcall(function() redis.call('XADD', to, '*', unpack(cmsgpack.unpack(text))) end) then
      count, moved = count + 1, moved + 1
      redis.call('HDEL', jobs, member)
      redis.call('ZREM', times, member)
    else
      stuck = stuck + 1
      redis.call('ZADD', times, string.format('%.0f', now_ms + 3600000), member)
    end
  end
  return count, missing, stuck
end

local function next_ms(times)
  local first = redis.call('ZRANGE', times, 0, 0, 'WITHSCORES')
  return first[2] and math.max(math.floor(tonumber(first[2])) - now_ms, 0) or math.huge
end

local function own_group(key)
  local groups = redis.call('EXISTS', key) == 1 and redis.call('XINFO', 'GROUPS', key) or {}
  for _, row in ipairs(groups) do
    local found = map(row)
    if found.name == ARGV[3] then return found end
  end
end

-- Held by somebody who renews it, it is looked after. One that was deleted while it was held is not in the stream any more, and still is
-- to be met by somebody.
local function alone()
  local all, own = redis.call('XLEN', KEYS[4]), own_group(KEYS[4])
  if not own then return all, all end
  local unread = #redis.call('XRANGE', KEYS[4], '(' .. own['last-delivered-id'], '+', 'COUNT', 1)
  local idle = own.pending > 0 and #redis.call('XPENDING', KEYS[4], ARGV[3], 'IDLE', ARGV[4], '-', '+', 1) or 0
  return all, unread + idle
end

-- What operators have ordered: bounded by who writes it (so many events, and all of them), and here by a second look.
local function ordered()
  local paused = redis.call('SCARD', KEYS[8]) <= tonumber(ARGV[5]) and redis.call('SMEMBERS', KEYS[8]) or redis.call('SRANDMEMBER', KEYS[8], ARGV[5])
  redis.call('ZREMRANGEBYSCORE', KEYS[9], '-inf', string.format('%.0f', now_ms - tonumber(ARGV[6])))
  local last = redis.call('ZRANGE', KEYS[9], -1, -1, 'WITHSCORES')
  return paused, redis.call('ZCARD', KEYS[9]), last[2] and tonumber(last[2]) or 0
end

local retries, no_retries, stuck_retries = move(KEYS[1], KEYS[2], KEYS[3])
local jobs, no_jobs, stuck_jobs = move(KEYS[5], KEYS[6], KEYS[7])
local next_one = math.min(next_ms(KEYS[1]), next_ms(KEYS[5]))
local alone_all, alone_waiting = alone()
return {retries, no_retries, stuck_retries, jobs, no_jobs, stuck_jobs, next_one < math.huge and next_one or -1, alone_all,
  alone_waiting, next_ms(KEYS[10]) == 0 and 1 or 0, ordered()}
