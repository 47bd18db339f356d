-- SPDX-License-Identifier: MIT
-- Shared by the scripts that end jobs: a job that is of a batch is counted there, and the last one of them lets the closing job
-- go. It is counted once, by whoever takes it out of those that are open: settled twice, late, or again, it is there no more.
-- The batches of a group lie in three keys. times: batch -> when it is closed whatever is still open (Unix ms). open: its jobs
-- that have not ended, batch/job, all of score 0. state: batch:wanted (jobs that its publisher has given), :published, :done,
-- :dead, :sealed (0: its publisher may add more), :job (the closing job's fields, packed; its data ends where the counts go in).
-- Model  none
local COUNTS = {':wanted', ':published', ':done', ':dead', ':sealed'}

-- From the k-th key on: times, open, state, and the retry stream, which the closing job goes to.
local function batches_at(k)
  return {times = KEYS[k], open = KEYS[k + 1], state = KEYS[k + 2], retry = KEYS[k + 3]}
end

local function wrong_batches(batches)
  return must_be(batches.times, 'zset', 'the batches') or must_be(batches.open, 'zset', 'the open jobs of batches') or
    must_be(batches.state, 'hash', 'the state of batches') or must_be(batches.retry, 'stream', 'the retry stream')
end

-- nil: there is no such batch, or not any more.
local function batch_counts(batches, batch)
  local names = {}
  for i, name in ipairs(COUNTS) do names[i] = batch .. name end
  local found = redis.call('HMGET', batches.state, unpack(names))
  if not found[2] then return nil end
  local counts = {published = tonumber(found[2]), done = tonumber(found[3]), dead = tonumber(found[4])}
  counts.is_sealed = found[5] == '1'
  counts.open = counts.published - counts.done - counts.dead
  return counts
end

local TOLD = '"batch":{"id":"%s","published":%.0f,"done":%.0f,"dead":%.0f,"open":%.0f,"complete":%s}}'

-- The closing job is there before its batch is not. Returns the bytes that went.
local function close_batch(batches, batch, counts)
  local text, names = redis.call('HGET', batches.state, batch .. ':job'), {batch .. ':job'}
  local fields, is_complete = cmsgpack.unpack(text), tostring(counts.is_sealed and counts.open == 0)
  local told = string.format(TOLD, batch, counts.published, counts.done, counts.dead, counts.open, is_complete)
  for f = 1, #fields, 2 do
    if fields[f] == 'data' then fields[f + 1] = fields[f + 1] .. told end
  end
  redis.call('XADD', batches.retry, '*', unpack(fields))
  for _, name in ipairs(COUNTS) do names[#names + 1] = batch .. name end
  redis.call('HDEL', batches.state, unpack(names))
  -- what is still open goes in steps (the batch script), and till then the batch stays where it is looked for
  if counts.open == 0 then redis.call('ZREM', batches.times, batch) end
  return #text
end

-- how: done or dead
local function end_member(batches, batch, job, how)
  if redis.call('ZREM', batches.open, batch .. '/' .. job) == 0 then return end
  local counts = batch_counts(batches, batch)
  if not counts then return end
  redis.call('HINCRBY', batches.state, batch .. ':' .. how, 1)
  counts[how], counts.open = counts[how] + 1, counts.open - 1
  if counts.is_sealed and counts.open == 0 then close_batch(batches, batch, counts) end
end

-- Of what the caller knows: the last arguments are, per job that is of a batch, its place among the entries, its id, its batch.
-- Returns place -> {id, batch}, and where the arguments before them end.
local function members_of(count)
  local members, last = {}, #ARGV - 3 * count
  for i = last + 1, #ARGV, 3 do members[tonumber(ARGV[i])] = {ARGV[i + 1], ARGV[i + 2]} end
  return members, last
end

-- Of what only the job itself tells: which batch of this group it is of, if any, and its id. The field is group:batch.
local function batch_of(fields, group)
  local batch, id, has_event
  for f = 1, #fields, 2 do
    if fields[f] == 'batch' then batch = fields[f + 1] end
    if fields[f] == 'id' then id = fields[f + 1] end
    has_event = has_event or fields[f] == 'event'
  end
  if not has_event and fields[2] and string.find(fields[2], '"batch"', 1, true) then -- one field that holds all of it
    local ok, object = pcall(cjson.decode, fields[2])
    if ok and type(object) == 'table' then batch, id = object.batch, object.id end
  end
  if type(batch) ~= 'string' or type(id) ~= 'string' or string.sub(batch, 1, #group + 1) ~= group .. ':' then return nil end
  return string.sub(batch, #group + 2), id
end

-- A job that goes before anybody has run it counts as dead.
local function drop_member(batches, fields, group)
  local batch, id = batch_of(fields, group)
  if batch then pcall(end_member, batches, batch, id, 'dead') end
end
