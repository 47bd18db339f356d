#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- remove: a group goes, with all that is only its own: not while it holds jobs or somebody works for it, unless that is no
-- reason. Looked at and removed in one step, so that nobody comes in between.
-- KEYS  the stream, the group's streams that it reads (retry, alone), then its zset of delayed jobs, that of its batches, then
--       whatever else it has
-- ARGV  group, 1: only look what would be done, 1: whatever it holds, how long ago (ms) a process that works for it was seen at
--       most
-- Returns what became of it (r removed, p not: jobs are pending, w not: jobs wait in keys of its own, or batches are open, c not: a process is known, n there is no such group), how many
-- are pending, how many processes are known, how many jobs are in retry, alone and delayed, how many batches are open; the last process that was seen,
-- how long ago.
-- Model  none
local stream, group, is_dry, is_forced, live_ms = KEYS[1], ARGV[1], ARGV[2] == '1', ARGV[3] == '1', tonumber(ARGV[4])
local wrong = must_be(KEYS[4], 'zset', KEYS[4]) or must_be(KEYS[5], 'zset', KEYS[5])
for k = 1, 3 do wrong = wrong or must_be(KEYS[k], 'stream', KEYS[k]) end
if wrong then return wrong end


local pending, names, processes, name, idle_ms, is_there = 0, {}, 0, '', -1, false
for k = 1, 3 do
  for _, row in ipairs(redis.call('EXISTS', KEYS[k]) == 1 and redis.call('XINFO', 'GROUPS', KEYS[k]) or {}) do
    local found = map(row)
    if found.name == group then
      pending = pending + found.pending
      is_there = true
      for _, one in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[k], group)) do
        local consumer = map(one)
        if consumer.name ~= 'quern-dropped' then -- the enqueue script's name: nobody works by it
          if not names[consumer.name] then processes = processes + 1 end
          names[consumer.name] = true
          if idle_ms < 0 or consumer.idle < idle_ms then name, idle_ms = consumer.name, consumer.idle end
        end
      end
    end
  end
end
for k = 2, #KEYS do is_there = is_there or redis.call('EXISTS', KEYS[k]) == 1 end

local function answer(what)
  return {what, pending, processes, redis.call('XLEN', KEYS[2]), redis.call('XLEN', KEYS[3]), redis.call('ZCARD', KEYS[4]),
    redis.call('ZCARD', KEYS[5]), name, idle_ms}
end
if not is_there then return answer('n') end
if not is_forced and pending > 0 then return answer('p') end
local waiting = redis.call('XLEN', KEYS[2]) + redis.call('XLEN', KEYS[3]) + redis.call('ZCARD', KEYS[4])
waiting = waiting + redis.call('ZCARD', KEYS[5])
if not is_forced and waiting > 0 then return answer('w') end
if not is_forced and idle_ms >= 0 and idle_ms < live_ms then return answer('c') end
local said = answer('r')
if not is_dry then
  if redis.call('EXISTS', stream) == 1 then redis.call('XGROUP', 'DESTROY', stream, group) end
  redis.call('UNLINK', unpack(KEYS, 2))
end
return said
