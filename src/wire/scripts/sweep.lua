#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- sweep: consumers that hold nothing and have been silent for long are deleted, or one that takes its leave. Looked at and deleted
-- in one step: with a consumer Redis would also delete what is pending in its name. A retry stream that nobody reads and that
-- holds nothing goes too: with the last pool of a group, only what is of use without one stays.
-- KEYS  the stream, the retry stream, settles, whose turn it is
-- ARGV  group, silence in ms, the name of the one that leaves ('': whoever was silent)
-- Returns how many went.
local stream, retry, settles, group, silence_ms, leaver = KEYS[1], KEYS[2], KEYS[3], ARGV[1], tonumber(ARGV[2]), ARGV[3]

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
    local may_go = consumer.pending == 0 and (consumer.name == leaver or (leaver == '' and consumer.idle >= silence_ms))
    names[#names + 1] = consumer.name
    if consumers[consumer.name] ~= false then consumers[consumer.name] = may_go end
  end
  return names
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
if left == 0 and redis.call('TYPE', retry).ok == 'stream' and redis.call('XLEN', retry) == 0 and
  #redis.call('XINFO', 'GROUPS', retry) <= 1 then
  redis.call('DEL', retry, KEYS[4])
end
return count
