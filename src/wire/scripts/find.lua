#!lua flags=no-writes
-- SPDX-License-Identifier: MIT
-- find: is a job still anywhere before the group, all its places looked at in one moment: between two looks it could go from
-- the one that is looked at last to the one that was looked at first. Writes nothing.
-- KEYS  the stream, the retry stream, the stream of jobs that run alone, the delayed jobs, the scheduled jobs
-- ARGV  group, how many entries and bytes may be looked through, then per job: id, its first entry ('': not known), not before
--       when that came (Unix ms)
-- Returns one letter per job: n nowhere: the group is through with it, h it is here, or that cannot be told within those bounds.
-- Model  none
local stream, group, entries, bytes = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local wrong = must_be(stream, 'stream', 'the stream') or must_be(KEYS[2], 'stream', 'the retry stream') or
  must_be(KEYS[3], 'stream', 'the jobs that run alone') or must_be(KEYS[4], 'hash', 'the delayed jobs') or
  must_be(KEYS[5], 'hash', 'the scheduled jobs')
if wrong then return wrong end

local last -- what the group was handed out last; nil: there is no group, so all is before it
for _, row in ipairs(redis.call('EXISTS', stream) == 1 and redis.call('XINFO', 'GROUPS', stream) or {}) do
  local info = map(row)
  if info.name == group then last = info['last-delivered-id'] end
end

local function parts(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

local function is_handed_out(id)
  local ms, seq = parts(id)
  local last_ms, last_seq = parts(last)
  return ms < last_ms or (ms == last_ms and seq <= last_seq)
end

local function is_before_group(id)
  return not is_handed_out(id) or #redis.call('XPENDING', stream, group, id, id, 1) > 0
end

-- false: over the bounds.
local function may_take(text)
  entries, bytes = entries - 1, bytes - #text
  return entries >= 0 and bytes >= 0
end

-- Is there anything left of them? Asked before a page is read: it may be as long as a few jobs are.
local function may_read() return entries > 0 and bytes > 0 end

-- Of a job that was published for later: where it came into the stream. nil: it did not, or it is not there any more; false:
-- over the bounds.
local function entry_of(id, from)
  while may_read() do
    local row = redis.call('XRANGE', stream, from, '+', 'COUNT', 1)[1]
    if not row then return nil end
    local text = table.concat(row[2], '\n')
    if not may_take(text) then return false end
    if string.find(text, id, 1, true) then return row[1] end
    from = '(' .. row[1]
  end
  return false
end

-- All that the group's private places hold, in one text. A job lies there with its id, as a field, in an object, or packed.
-- nil: over the bounds.
local private
local function private_text()
  local texts, cursor = {}, '0'
  for place = 2, 3 do
    local from, row = '-', nil
    repeat
      if not may_read() then return nil end
      row = redis.call('XRANGE', KEYS[place], from, '+', 'COUNT', 1)[1]
      if row then
        local text = table.concat(row[2], '\n')
        if not may_take(text) then return nil end
        texts[#texts + 1], from = text, '(' .. row[1]
      end
    until not row
  end
  repeat
    if not may_read() then return nil end
    local page = redis.call('HSCAN', KEYS[4], cursor, 'COUNT', 1)
    cursor = page[1]
    for i = 2, #page[2], 2 do
      if not may_take(page[2][i]) then return nil end
      texts[#texts + 1] = page[2][i]
    end
  until cursor == '0'
  return table.concat(texts, '\n')
end

local function is_here(id, entry, from)
  if not last then return true end
  if entry == '' then
    if redis.call('HEXISTS', KEYS[5], id) == 1 then return true end
    entry = entry_of(id, from)
    if entry == false then return true end
  end
  if entry and is_before_group(entry) then return true end
  if private == nil then private = private_text() or false end
  return not private or string.find(private, id, 1, true) ~= nil
end

local letters = {}
for i = 4, #ARGV, 3 do letters[#letters + 1] = is_here(ARGV[i], ARGV[i + 1], ARGV[i + 2]) and 'h' or 'n' end
return table.concat(letters)
