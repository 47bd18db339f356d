-- SPDX-License-Identifier: MIT
-- Shared by the scripts that may only touch what is still ours.
-- Model  is_ours

-- The types of keys, before the first write: a script is atomic, but it does not roll back.
local function must_be(key, kind, what)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    return redis.error_reply('WRONGTYPE the key of ' .. what .. ' holds a ' .. found .. ' instead of a ' .. kind)
  end
end

-- An answer of names and values as a table.
local function map(row)
  local fields = {}
  for i = 1, #row, 2 do fields[row[i]] = row[i + 1] end
  return fields
end

-- Which entries of a consumer are pending between two ids: id -> delivery count. bound is all the consumer may hold: a
-- smaller COUNT would cut off ids that are settled out of order, and so refuse them falsely.
local function pending_of(stream, group, consumer, low, high, bound)
  local held = {}
  local rows = redis.call('XPENDING', stream, group, low, high, bound, consumer)
  for _, row in ipairs(rows) do held[row[1]] = string.format('%.0f', row[4]) end
  if #rows < tonumber(bound) then return held end
  -- Cut off: what was left pending lies between. What was not seen is asked for by its own id.
  return setmetatable(held, {__index = function(_, id)
    local row = redis.call('XPENDING', stream, group, id, id, 1, consumer)[1]
    return row and string.format('%.0f', row[4])
  end})
end

-- For a job that ran alone: the entry it came in first, under which it is counted.
local function root_of(stream, id)
  local found = redis.call('XRANGE', stream, id, id)[1]
  local root = id
  for f = 1, found and #found[2] or 0, 2 do -- the last one is ours
    if found[2][f] == 'quern_entry' then root = found[2][f + 1] end
  end
  return root
end

-- The stream goes with its last entry, but not while one that somebody has deleted is pending: whoever meets it says so.
local function drop_empty(stream, group)
  local held = redis.call('XLEN', stream) == 0 and redis.pcall('XPENDING', stream, group)
  if held and (held.err or held[1] == 0) then redis.call('DEL', stream) end
end

-- It has come to an outcome: nobody blames it any more.
local function exonerate(stream, group, crashes, root)
  redis.pcall('HDEL', crashes, root, root .. ':how')
  drop_empty(stream, group)
end

-- Who asks for a job that ran alone, and is another's by now, lives: that start, which was counted before it was made, has ended
-- no process.
local function excuse(stream, crashes, id)
  local root = root_of(stream, id)
  local left = redis.pcall('HINCRBY', crashes, root, -1)
  if type(left) == 'number' and left <= 0 then redis.pcall('HDEL', crashes, root) end
end

-- Ends a lease that was checked, whoever's it is. deliveries 0: nobody had one any more, and the id may be another job's by now,
-- pending for its owner.
local function settled(stream, group, id, deliveries, is_private)
  if deliveries ~= '0' then
    redis.call('XACK', stream, group, id)
  elseif #redis.call('XPENDING', stream, group, id, id, 1) > 0 then
    return
  end
  if is_private then redis.call('XDEL', stream, id) end
end

-- The answer of a batch that was settled already: its reply was lost, and it is asked again.
local function replayed(settles, consumer, number)
  local last = redis.call('HGET', settles, consumer)
  if not last then return nil end
  if string.sub(last, 1, #number + 1) == number .. ':' then return string.sub(last, #number + 2) end
  -- An older call that comes late (its connection was given up): it was asked again, and answered.
  if tonumber(string.match(last, '^%d+')) > tonumber(number) then return redis.error_reply('ERR a later batch was settled') end
end
