#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- retry: what is to run again leaves its stream: a failed attempt to wait for its time, or, if there is no time to wait for, to the
-- group's private retry stream at once; what was fetched and not started likewise, at no cost to the job.
-- KEYS  the entries' stream, settles, the retry stream, delayed, the delayed jobs; where they ran alone, also the crashes
-- ARGV  group, consumer, batch number, low id, high id, bound, is_private, updated_at, then per entry:
--       id, deliveries (0: its entry was deleted, nobody has its lease), retries from now on ('': it was not started),
--       delay in ms (of one that was not started: where it is not to come again at once), when it was first handed out (Unix ms), n, then n texts: the fields, if an earlier call found the entry gone
-- Returns one letter per entry: r moved, l lost, g gone from the stream (send the fields), e could not be moved.
-- Model  retry
local stream, settles, retry, delayed, jobs = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, consumer, number, is_private, updated_at = ARGV[1], ARGV[2], ARGV[3], ARGV[7] == '1', ARGV[8]
local wrong = must_be(settles, 'hash', 'the settles') or must_be(retry, 'stream', 'the retry stream') or must_be(stream, 'stream', 'the stream') or must_be(delayed, 'zset', 'the delayed jobs times') or
  must_be(jobs, 'hash', 'the delayed jobs') or (KEYS[6] and must_be(KEYS[6], 'hash', 'the crashes'))
if wrong then return wrong end
local known = replayed(settles, consumer, number)
if known then return known end
local now_ms = unix_ms()

-- Ids are given out anew where a server has lost some: two jobs that wait may have had the same one.
local function member_of(id)
  local member = (is_private and 'r:' or 's:') .. id
  while redis.call('HEXISTS', jobs, member) == 1 do member = member .. '+' end
  return member
end

-- What was not started goes back to where it was taken from; one that was to run alone is not blamed for it.
local function release(fields, root)
  if not KEYS[6] then
    redis.call('XADD', retry, '*', unpack(fields))
    return
  end
  move_alone(stream, group, fields)
  local left = redis.pcall('HINCRBY', KEYS[6], root, -1)
  if type(left) == 'number' and left <= 0 then redis.call('HDEL', KEYS[6], root) end
end

local function move(fields, id, delay_ms)
  if delay_ms <= 0 then
    redis.call('XADD', retry, '*', unpack(fields))
    return
  end
  local member = member_of(id)
  redis.call('HSET', jobs, member, cmsgpack.pack(fields))
  redis.call('ZADD', delayed, string.format('%.0f', now_ms + delay_ms), member)
end

local held = pending_of(stream, group, consumer, ARGV[4], ARGV[5], ARGV[6])
local statuses, i = {}, 9
while i <= #ARGV do
  local id, deliveries, retries, n, status = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 5]), 'l'
  if held[id] == deliveries or deliveries == '0' then
    local own
    if n > 0 then
      own = {}
      for f = 1, n do own[f] = ARGV[i + 5 + f] end
    else
      local found = redis.call('XRANGE', stream, id, id)[1]
      own = found and found[2]
    end
    status = 'g'
    if own then
      -- a delivery that did not start is not counted
      local more = math.max(tonumber(deliveries) - (retries == '' and 1 or 0), 0)
      local notes = retries == '' and {} or {quern_retries = retries, quern_updated_at = updated_at, quern_unended = ''}
      local fields, root = packed(own, is_private, id, ARGV[i + 4], more, notes), KEYS[6] and root_of(stream, id)
      local delay_ms = tonumber(ARGV[i + 3])
      local is_moved = retries == '' and delay_ms <= 0 and pcall(release, fields, root) or (retries ~= '' or delay_ms > 0) and pcall(move, fields, id, delay_ms)
      status = is_moved and 'r' or 'e'
      if is_moved then
        settled(stream, group, id, deliveries, is_private)
        if root and retries ~= '' then exonerate(stream, group, KEYS[6], root) end
      end
    end
  elseif KEYS[6] then
    excuse(stream, KEYS[6], id)
  end
  statuses[#statuses + 1] = status
  i = i + 6 + n
end
statuses = table.concat(statuses)
redis.call('HSET', settles, consumer, number .. ':' .. statuses)
return statuses
