#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- cancel: jobs that wait for a time and have this id go, from both of their keys at once. A scheduled job lies under its id; a
-- delayed one under the entry it came from, so those places that the caller names are looked into.
-- KEYS  scheduled, the scheduled jobs, delayed, the delayed jobs, those of batches
-- ARGV  id, 1: only look what would be done, how many bytes (one goes whatever it has), group, then places of delayed jobs
-- Returns how many scheduled and how many delayed jobs went, how many places were looked into.
-- Model  none
local scheduled, jobs_scheduled, delayed, jobs, id, is_dry = KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1], ARGV[2] == '1'
local wrong = must_be(scheduled, 'zset', 'the scheduled jobs times') or must_be(jobs_scheduled, 'hash', 'the scheduled jobs') or
  must_be(delayed, 'zset', 'the delayed jobs times') or must_be(jobs, 'hash', 'the delayed jobs')
local batches, PLACES = batches_at(5), 5
wrong = wrong or wrong_batches(batches)
if wrong then return wrong end

local function take(times, packs, member)
  local is_there = redis.call('ZSCORE', times, member)
  if is_there and not is_dry then
    local text = redis.call('HGET', packs, member)
    local ok, fields = pcall(cmsgpack.unpack, text)
    redis.call('ZREM', times, member)
    redis.call('HDEL', packs, member)
    if ok and type(fields) == 'table' then drop_member(batches, fields, ARGV[4]) end
  end
  return is_there and 1 or 0
end

-- Of a job that has none of its own: the entry it came in first. One field that is a whole job holds the id inside.
local function id_of(fields)
  local found, first, single, own, has_event = nil, nil, nil, 0, false
  for f = 1, #fields, 2 do
    local name, value = fields[f], fields[f + 1]
    if name == 'quern_entry' then
      first = value
    elseif string.sub(name, 1, 6) ~= 'quern_' then
      own, single = own + 1, value
      if name == 'id' then found = value end
      has_event = has_event or name == 'event'
    end
  end
  if own == 1 and not has_event then
    local ok, object = pcall(cjson.decode, single)
    found = ok and type(object) == 'table' and object.id or found
  end
  return found or first
end

local function is_it(text)
  if not string.find(text, id, 1, true) then return false end -- nearly all of them
  local ok, fields = pcall(cmsgpack.unpack, text)
  return ok and type(fields) == 'table' and id_of(fields) == id
end

local seen, bytes, gone = 0, 0, 0
for i = PLACES, #ARGV do
  if seen > 0 and bytes > tonumber(ARGV[3]) then break end
  local text = redis.call('HGET', jobs, ARGV[i])
  if text then
    bytes = bytes + #text
    if is_it(text) then gone = gone + take(delayed, jobs, ARGV[i]) end
  end
  seen = seen + 1
end
return {#ARGV < PLACES and take(scheduled, jobs_scheduled, id) or 0, gone, seen}
