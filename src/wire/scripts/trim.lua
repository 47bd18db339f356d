#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- trim: removes what every group has settled, and nothing else.
-- KEYS  the stream
-- ARGV  ~ (whole nodes only, at most so many) or = (to the letter), how many required groups, their names, then the ignored groups
-- Returns how many entries went (-1: a required group is missing, so nothing may go; -2: the stream has no group to ask), the group
-- that holds back the rest, from which id on, is it by a job that is pending, and how many settled entries it holds back: 0 where
-- other groups may not have settled them; -1 where Redis cannot tell: the entry that was read last has been deleted, and there are more.
-- Model  none
local stream, ignored, missing, groups_seen = KEYS[1], {}, {}, 0
local required = tonumber(ARGV[2])
for i = 3, 2 + required do missing[ARGV[i]] = true end
for i = 3 + required, #ARGV do ignored[ARGV[i]] = true end
if redis.call('EXISTS', stream) == 0 then return {0, '', '0-0', 0, 0} end

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
local function behind_of(id)
  local ms, seq = parts(id)
  if #seq > 15 then return id end
  return ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
end

local low, holder, by_pending, behind, groups = nil, '', 0, 0, 0
for _, row in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local group = {}
  for i = 1, #row, 2 do group[row[i]] = row[i + 1] end
  missing[group.name] = nil
  groups = groups + 1
  if not ignored[group.name] then
    groups_seen = groups_seen + 1
    local mark, is_pending = behind_of(group['last-delivered-id']), 0
    if group.pending > 0 then
      local oldest = redis.call('XPENDING', stream, group.name)[2]
      if oldest and is_before(oldest, mark) then mark, is_pending = oldest, 1 end
    end
    if not low or is_before(mark, low) then low, holder, by_pending = mark, group.name, is_pending end
    behind = group.lag and redis.call('XLEN', stream) - group.pending - group.lag
  end
end
if next(missing) then return {-1, holder, low or '0-0', 0, 0} end
if groups_seen == 0 then return {-2, '', '0-0', 0, 0} end
local removed = ARGV[1] == '~' and redis.call('XTRIM', stream, 'MINID', '~', low, 'LIMIT', 20000) or
  redis.call('XTRIM', stream, 'MINID', '=', low)
if groups > 1 then behind = 0 else behind = behind and math.max(behind - removed, 0) or -1 end
return {removed, holder, low, by_pending, behind}
