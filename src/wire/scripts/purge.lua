#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- purge: a key is emptied. It goes whole, which costs Redis nothing; a stream that has groups, which somebody reads, stays with
-- them, and its entries go bit by bit.
-- KEYS  a stream, or a zset and a hash
-- ARGV  1: only look what would be done, how many entries of a stream that stays at most
-- Returns how many went, how many are left.
local is_stream, is_dry = #KEYS == 1, ARGV[1] == '1'
local wrong = is_stream and must_be(KEYS[1], 'stream', KEYS[1])
if not is_stream then wrong = must_be(KEYS[1], 'zset', KEYS[1]) or must_be(KEYS[2], 'hash', KEYS[2]) end
if wrong then return wrong end
local count = redis.call(is_stream and 'XLEN' or 'ZCARD', KEYS[1])
if is_dry then return {count, 0} end
if is_stream and redis.call('EXISTS', KEYS[1]) == 1 and #redis.call('XINFO', 'GROUPS', KEYS[1]) > 0 then
  local gone = redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', 0, 'LIMIT', ARGV[2])
  return {gone, count - gone}
end
redis.call('UNLINK', unpack(KEYS))
return {count, 0}
