#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- purge: a key is emptied. It goes whole, which costs Redis nothing; a stream that has groups, which somebody reads, stays with
-- them, and its entries go bit by bit. So do jobs that wait for a time, while the group has batches: each may be of one.
-- KEYS  a stream, or a zset and a hash, then those of batches
-- ARGV  1: only look what would be done, how many entries of a stream that stays at most, how many jobs that may be of batches,
--       how many bytes of them (one goes whatever it has), group
-- Returns how many went, how many are left.
-- Model  none
local is_stream, is_dry = #KEYS == 1, ARGV[1] == '1'
local wrong = is_stream and must_be(KEYS[1], 'stream', KEYS[1])
if not is_stream then
  wrong = must_be(KEYS[1], 'zset', KEYS[1]) or must_be(KEYS[2], 'hash', KEYS[2]) or wrong_batches(batches_at(3))
end
if wrong then return wrong end
local count = redis.call(is_stream and 'XLEN' or 'ZCARD', KEYS[1])
if is_dry then return {count, 0} end
if is_stream and redis.call('EXISTS', KEYS[1]) == 1 and #redis.call('XINFO', 'GROUPS', KEYS[1]) > 0 then
  local gone = redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', 0, 'LIMIT', ARGV[2])
  return {gone, count - gone}
end

local function drop_some()
  local gone, bytes, batches = 0, 0, batches_at(3)
  for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[3]) - 1)) do
    local text = redis.call('HGET', KEYS[2], name)
    bytes = bytes + #(text or '')
    if gone > 0 and bytes > tonumber(ARGV[4]) then break end
    local ok, fields = pcall(cmsgpack.unpack, text)
    redis.call('ZREM', KEYS[1], name)
    redis.call('HDEL', KEYS[2], name)
    if ok and type(fields) == 'table' then drop_member(batches, fields, ARGV[5]) end
    gone = gone + 1
  end
  return gone
end
if not is_stream and redis.call('EXISTS', KEYS[3]) == 1 then
  local gone = drop_some()
  if gone < count then return {gone, count - gone} end
end
redis.call('UNLINK', unpack(KEYS, 1, is_stream and 1 or 2))
return {count, 0}
