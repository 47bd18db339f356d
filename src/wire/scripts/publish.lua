#!lua
-- SPDX-License-Identifier: MIT
-- publish: a batch, once; where it has windows, of each key only what is the first while its window is open. The marker holds the batch's
-- number and answer: asked again after a lost answer, the script gives the first one. It may be sent while the batch before it is not
-- answered yet: then it is refused unless that one is done, and the marker keeps both answers. Entries before windows before marker: were
-- these first, a refused XADD would suppress the jobs.
-- KEYS  the stream, the publisher's marker, then the windows
-- ARGV  batch number, marker's life in ms, timestamps, number of the batch that has to be there ('': any), how many arguments a message has,
--       then of all messages: event, data_type ('' if it is JSON), how long its window is open in ms ('' if it has none; else the next
--       key is its); then per message: id, data, and where they have five arguments, these three by its own: each argument costs as much
--       as a field
-- Returns a word per message, parted by spaces: its entry, or =id,entry of the one that has opened its window.
-- Model  publish
-- Locals: each of them is looked up a hundred times.
local KEYS, ARGV, call = KEYS, ARGV, redis.call
local stream, marker, number, stamps, behind, windows = KEYS[1], KEYS[2], ARGV[1], ARGV[3], ARGV[4], #KEYS - 2
local wrong = must_be(stream, 'stream', 'the stream') or must_be(marker, 'string', 'the marker')
if wrong then return wrong end
local last = redis.call('GET', marker)
local lines = last and string.find(last, '\n', 1, true) or 0
local newest, older = lines > 0 and string.sub(last, 1, lines - 1) or last, lines > 0 and string.sub(last, lines + 1)
local function answer_in(line)
  if line and string.sub(line, 1, #number + 1) == number .. ':' then return string.sub(line, #number + 2) end
end
local answer = answer_in(newest) or answer_in(older)
if answer then return answer end
local done = newest and string.match(newest, '^%d+')
-- An older call that comes late (its connection was given up): its batch was answered, or is unknown to its publisher.
if done and tonumber(done) > tonumber(number) then return redis.error_reply('ERR a later batch was published') end
if behind ~= '' and done ~= behind then return redis.error_reply('AHEAD the batch before this one is not there') end

-- Who has opened them; false, or nothing at all: nobody. Mostly none is open, and to ask for that alone costs less. What MGET does not show
-- is looked for once more: a key of another type would be overwritten.
local function openers()
  if call('EXISTS', unpack(KEYS, 3)) == 0 then return {} end
  local first, unseen = redis.call('MGET', unpack(KEYS, 3)), {}
  for i, opener in ipairs(first) do
    if not opener then
      unseen[#unseen + 1] = KEYS[i + 2]
    elseif not string.find(opener, '^[^ \n]+,[%d-]*$') then
      wrong = redis.error_reply('ERR the key of a dedup window holds what no publisher has written')
    end
  end
  if #unseen > 0 and redis.call('EXISTS', unpack(unseen)) > 0 then
    for _, key in ipairs(unseen) do wrong = wrong or must_be(key, 'string', 'a dedup window') end
  end
  return first
end

local function add(id, event, data, kind)
  if kind == '' then
    return call('XADD', stream, '*', 'id', id, 'event', event, 'data', data, 'retries', '0', 'timestamps', stamps)
  end
  return call('XADD', stream, '*', 'id', id, 'event', event, 'data', data, 'retries', '0', 'timestamps', stamps, 'data_type', kind)
end

local first = windows > 0 and openers()
if wrong then return wrong end
local opened, words, n, window = {}, {}, 0, 2 -- opened: by this very call
local width, event, kind, life = tonumber(ARGV[5]), ARGV[6], ARGV[7], ARGV[8]
for i = 9, #ARGV, width do
  local id, data = ARGV[i], ARGV[i + 1]
  if width == 5 then event, kind, life = ARGV[i + 2], ARGV[i + 3], ARGV[i + 4] end
  n = n + 1
  if life == '' then
    words[n] = add(id, event, data, kind)
  else
    window = window + 1
    local key = KEYS[window]
    local opener = first[window - 2] or opened[key]
    if opener then
      words[n] = '=' .. opener
    else
      local entry = add(id, event, data, kind)
      local own = id .. ',' .. entry
      words[n], opened[key] = entry, own
      call('SET', key, own, 'PX', life)
    end
  end
end
words = table.concat(words, ' ')
redis.call('SET', marker, number .. ':' .. words .. (behind ~= '' and '\n' .. newest or ''), 'PX', ARGV[2])
return words
