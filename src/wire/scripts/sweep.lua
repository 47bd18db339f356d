#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- sweep: consumers that hold nothing and have been silent for long are deleted, or one that takes its leave. Looked at and deleted
-- in one step: with a consumer Redis would also delete what is pending in its name. With the last pool of a group, only what is of
-- use without one stays: a retry stream that nobody reads and that holds nothing goes too, and likewise that of jobs that run alone.
-- KEYS  the stream, the retry stream, settles, whose turn it is, the stream of jobs that run alone
-- ARGV  group, the asking consumer, does it leave? (0: it stays, and whoever was silent goes), silence in ms
-- Returns how many went.
-- Model  none
local stream, retry, settles, group, asker, leaves = KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[3] == '1'
local silence_ms = tonumber(ARGV[4])

local function map(row)
  local fields = {}
  for i = 1, #row, 2 do fields[row[i]] = row[i + 1] end
  return fields
end

-- name -> false: it holds something, or is not silent
local consumers = {}
local function look(key)
  local ok, rows = pcall(redis.call, 'XINFO', 'CONSUMERS', key, group)
  if not ok then return {} end
  local names = {}
  for _, row in ipairs(rows) do
    local consumer = map(row)
    local is_asker = consumer.name == asker
    local may_go = consumer.pending == 0 and (is_asker and leaves or not is_asker and not leaves and consumer.idle >= silence_ms)
    names[#names + 1] = consumer.name
    if consumers[consumer.name] ~= false then consumers[consumer.name] = may_go end
  end
  return names
end

-- Before 7.2, Redis counts as silent who reads and finds nothing. One that holds nothing is as good as new when it is made anew.
local function stay(key)
  if redis.call('EXISTS', key) == 0 or #redis.call('XPENDING', key, group, '-', '+', 1, asker) > 0 then return end
  redis.call('XGROUP', 'DELCONSUMER', key, group, asker)
  redis.call('XGROUP', 'CREATECONSUMER', key, group, asker)
end
if not leaves then
  pcall(stay, stream)
  pcall(stay, retry)
end

local names, swept, left = {[stream] = look(stream), [retry] = look(retry)}, {}, 0
for key, list in pairs(names) do
  for _, name in ipairs(list) do
    if consumers[name] then
      redis.call('XGROUP', 'DELCONSUMER', key, group, name)
      swept[name] = true
    elseif key == retry then
      left = left + 1
    end
  end
end
local count = 0
for name in pairs(swept) do
  redis.call('HDEL', settles, name)
  count = count + 1
end

local function is_empty(key)
  local groups = redis.call('TYPE', key).ok == 'stream' and redis.call('XLEN', key) == 0 and redis.call('XINFO', 'GROUPS', key)
  return groups and #groups <= 1 and (#groups == 0 or map(groups[1]).pending == 0)
end
if left == 0 and is_empty(retry) then redis.call('DEL', retry, KEYS[4]) end
if left == 0 and is_empty(KEYS[5]) then redis.call('DEL', KEYS[5]) end
return count
