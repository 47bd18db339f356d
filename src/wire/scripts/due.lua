#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- due: retries whose wait is over go to the group's retry stream. Write first: at worst a job is there twice, never nowhere.
-- KEYS  delayed, the delayed jobs, the retry stream, the stream of jobs that run alone
-- ARGV  how many at most, how many bytes (one job goes whatever it has), group, lease in ms
-- Returns how many went, how many had nothing to go with (somebody deleted it), ms until the next is due (-1: none waits), how many
-- could not be moved: these wait another hour, out of the way of the others.
local delayed, jobs, retry, max, max_bytes = KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[1]), tonumber(ARGV[2])
if redis.call('EXISTS', delayed, KEYS[4]) == 0 then return {0, 0, -1, 0, 0, 0} end -- the usual case, twice a second for each pool
local wrong = must_be(delayed, 'zset', 'the delayed jobs times') or must_be(jobs, 'hash', 'the delayed jobs') or must_be(retry, 'stream', 'the retry stream') or
  must_be(KEYS[4], 'stream', 'the jobs that run alone')
if wrong then return wrong end
local now_ms, moved, missing, stuck, bytes = unix_ms(), 0, 0, 0, 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', string.format('%.0f', now_ms), 'LIMIT', 0, max)) do
  local text = redis.call('HGET', jobs, member)
  if text then
    bytes = bytes + #text
    if moved > 0 and bytes > max_bytes then break end
  end
  if not text then
    missing = missing + 1
    redis.call('ZREM', delayed, member)
  elseif pcall(function() redis.call('XADD', retry, '*', unpack(cmsgpack.unpack(text))) end) then
    moved = moved + 1
    redis.call('HDEL', jobs, member)
    redis.call('ZREM', delayed, member)
  else
    stuck = stuck + 1
    redis.call('ZADD', delayed, string.format('%.0f', now_ms + 3600000), member)
  end
end
-- Held by somebody who renews it, it is looked after.
local function alone()
  local all = redis.call('XLEN', KEYS[4])
  local held = all > 0 and redis.pcall('XPENDING', KEYS[4], ARGV[3]) or {0}
  if held.err or held[1] == 0 then return {all, all} end
  return {all, all - held[1] + #redis.call('XPENDING', KEYS[4], ARGV[3], 'IDLE', ARGV[4], '-', '+', 1)}
end

local next_one = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
return {moved, missing, next_one[2] and math.max(tonumber(next_one[2]) - now_ms, 0) or -1, stuck, unpack(alone())}
