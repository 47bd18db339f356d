#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- trim: removes what every group has settled, and nothing else.
-- KEYS  the stream
-- ARGV  how many required groups, their names, then the ignored groups
-- Returns how many entries went; -1: a required group is missing, so nothing may go; -2: the stream has no group to ask.
local stream, ignored, missing, groups_seen = KEYS[1], {}, {}, 0
local required = tonumber(ARGV[1])
for i = 2, 1 + required do missing[ARGV[i]] = true end
for i = 2 + required, #ARGV do ignored[ARGV[i]] = true end
if redis.call('EXISTS', stream) == 0 then return 0 end

-- Ids are compared as text, longer is larger: a part may be beyond what a Lua number holds.
local function parts(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return ms, seq
end
local function less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end
local function is_before(a, b)
  local a_ms, a_seq = parts(a)
  local b_ms, b_seq = parts(b)
  if a_ms ~= b_ms then return less(a_ms, b_ms) end
  return less(a_seq, b_seq)
end
-- The id behind this one; itself where the number is too large to count on, which only keeps one entry longer.
local function behind(id)
  local ms, seq = parts(id)
  if #seq > 15 then return id end
  return ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
end

local low
for _, row in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local group = {}
  for i = 1, #row, 2 do group[row[i]] = row[i + 1] end
  missing[group.name] = nil
  if not ignored[group.name] then
    groups_seen = groups_seen + 1
    local mark = behind(group['last-delivered-id'])
    if group.pending > 0 then
      local oldest = redis.call('XPENDING', stream, group.name)[2]
      if oldest and is_before(oldest, mark) then mark = oldest end
    end
    if not low or is_before(mark, low) then low = mark end
  end
end
if next(missing) then return -1 end
if groups_seen == 0 then return -2 end
return redis.call('XTRIM', stream, 'MINID', '~', low, 'LIMIT', 20000)
