#!lua
-- SPDX-License-Identifier: MIT
-- publish: a batch, once; where it has windows, of each key only what is the first while its window is open. The marker holds the batch's
-- number and answer: asked again after a lost answer, the script gives the first one. Entries before windows before marker: were these
-- first, a refused XADD would suppress the jobs.
-- KEYS  the stream, the publisher's marker, then the windows
-- ARGV  batch number, marker's life in ms, timestamps, then per message: id, event, data, data_type ('' if it is JSON), and if there are
--       windows: how long its own is open in ms ('' if it has none; else the next key is its)
-- Returns a word per message, parted by spaces: its entry, or =id,entry of the one that has opened its window.
-- Model  publish
-- Locals: each of them is looked up a hundred times.
local KEYS, ARGV, call = KEYS, ARGV, redis.call
local stream, marker, number, stamps, windows = KEYS[1], KEYS[2], ARGV[1], ARGV[3], #KEYS - 2
local wrong = must_be(stream, 'stream', 'the stream') or must_be(marker, 'string', 'the marker')
if wrong then return wrong end
local last = redis.call('GET', marker)
if last and string.sub(last, 1, #number + 1) == number .. ':' then return string.sub(last, #number + 2) end
-- An older call that comes late (its connection was given up): its batch was answered, or is unknown to its publisher.
if last and tonumber(string.match(last, '^%d+')) > tonumber(number) then return redis.error_reply('ERR a later batch was published') end

-- Who has opened them; false: nobody. What MGET does not show is looked for once more: a key of another type would be overwritten.
local function openers()
  local first, unseen = redis.call('MGET', unpack(KEYS, 3)), {}
  for i, opener in ipairs(first) do
    if not opener then
      unseen[#unseen + 1] = KEYS[i + 2]
    elseif not string.find(opener, '^[^ ]+,[%d-]*$') then
      wrong = redis.error_reply('ERR the key of a dedup window holds what no publisher has written')
    end
  end
  if #unseen > 0 and redis.call('EXISTS', unpack(unseen)) > 0 then
    for _, key in ipairs(unseen) do wrong = wrong or must_be(key, 'string', 'a dedup window') end
  end
  return first
end

local function add(i)
  if ARGV[i + 3] == '' then
    return call('XADD', stream, '*', 'id', ARGV[i], 'event', ARGV[i + 1], 'data', ARGV[i + 2], 'retries', '0', 'timestamps', stamps)
  end
  return call('XADD', stream, '*', 'id', ARGV[i], 'event', ARGV[i + 1], 'data', ARGV[i + 2], 'retries', '0', 'timestamps', stamps,
    'data_type', ARGV[i + 3])
end

local first = windows > 0 and openers()
if wrong then return wrong end
local opened, words, n, window = {}, {}, 0, 2 -- opened: by this very call
local width = windows > 0 and 5 or 4
for i = 4, #ARGV, width do
  local life = width == 5 and ARGV[i + 4] or ''
  n = n + 1
  if life == '' then
    words[n] = add(i)
  else
    window = window + 1
    local key = KEYS[window]
    local opener = first[window - 2] or opened[key]
    if opener then
      words[n] = '=' .. opener
    else
      local entry = add(i)
      local own = ARGV[i] .. ',' .. entry
      words[n], opened[key] = entry, own
      call('SET', key, own, 'PX', life)
    end
  end
end
words = table.concat(words, ' ')
redis.call('SET', marker, number .. ':' .. words, 'PX', ARGV[2])
return words
