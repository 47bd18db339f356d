-- SPDX-License-Identifier: MIT
-- Shared by the scripts that may only touch what is still ours.

-- The types of keys, before the first write: a script is atomic, but it does not roll back.
local function must_be(key, kind, what)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    return redis.error_reply('WRONGTYPE the key of ' .. what .. ' holds a ' .. found .. ' instead of a ' .. kind)
  end
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

-- The answer of a batch that was settled already: its reply was lost, and it is asked again.
local function replayed(settles, consumer, number)
  local last = redis.call('HGET', settles, consumer)
  if not last then return nil end
  if string.sub(last, 1, #number + 1) == number .. ':' then return string.sub(last, #number + 2) end
  -- An older call that comes late (its connection was given up): it was asked again, and answered.
  if tonumber(string.match(last, '^%d+')) > tonumber(number) then return redis.error_reply('ERR a later batch was settled') end
end
