-- SPDX-License-Identifier: MIT
-- Shared by the scripts that move a job into the group's private streams.
-- Model  move

-- What a private entry says beside the job's own fields, in this order. They are ours: read from private streams only.
local NOTES = {'quern_entry', 'quern_first_seen', 'quern_deliveries', 'quern_retries', 'quern_updated_at', 'quern_unended', 'quern_born'}

-- And the part of a millisecond.
local function unix_ms()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000), now[2] % 1000 / 1000
end

-- The last one: before it there may be a publisher's own field of that name.
local function note_of(fields, name)
  local value
  for f = 1, #fields, 2 do
    if fields[f] == name then value = fields[f + 1] end
  end
  return value
end

-- The fields of a job's next entry: its own, verbatim, then our notes: those it had, changed by notes. more: deliveries that count.
-- Where there are more fields than a call can have arguments, they become one, which nobody can read, and which keeps them all.
local function packed(own, is_private, id, first_seen, more, notes)
  local fields, had = {}, {quern_entry = id, quern_first_seen = first_seen, quern_deliveries = '0'}
  for _, name in ipairs(NOTES) do if is_private then had[name] = had[name] or '' end end
  -- A publisher's word of that name would be believed, if ours did not stand behind it.
  if not is_private and note_of(own, 'quern_unended') then had.quern_unended = '0' end
  for f = 1, #own, 2 do
    if is_private and had[own[f]] then
      had[own[f]] = own[f + 1]
    else
      fields[#fields + 1] = own[f]
      fields[#fields + 1] = own[f + 1]
    end
  end
  if #fields > 7900 then fields = {'quern_packed', cmsgpack.pack(fields)} end
  had.quern_deliveries = string.format('%.0f', (tonumber(had.quern_deliveries) or 0) + more)
  for _, name in ipairs(NOTES) do
    local value = notes[name] or had[name]
    if value and value ~= '' then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  return fields
end

-- Into the stream of jobs that run alone, which exists only while there are any.
local function move_alone(alone, group, fields)
  redis.call('XADD', alone, '*', unpack(fields))
  redis.pcall('XGROUP', 'CREATE', alone, group, '0')
end

local function bytes_of(fields)
  local bytes = 0
  for f = 1, #fields do bytes = bytes + #fields[f] end
  return bytes
end
