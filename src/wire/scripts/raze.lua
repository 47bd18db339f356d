#!lua flags=allow-oom
-- SPDX-License-Identifier: MIT
-- raze: a stream goes, with what its groups share: not while it has a group, nor while it holds anything, unless that is no
-- reason.
-- KEYS  the stream, scheduled, its jobs; then the dead letters, if they are the stream's own
-- ARGV  1: only look what would be done, 1: whatever it holds
-- Returns what became of it (r removed, g not: it has groups, h not: it holds something, n there is nothing), how many groups it
-- has, its length, how many dead letters, how many scheduled jobs.
-- Model  none
local is_dry, is_forced, is_there = ARGV[1] == '1', ARGV[2] == '1', false
local wrong = must_be(KEYS[1], 'stream', KEYS[1]) or must_be(KEYS[2], 'zset', KEYS[2])
if not wrong and KEYS[4] then wrong = must_be(KEYS[4], 'stream', KEYS[4]) end
if wrong then return wrong end

for _, key in ipairs(KEYS) do is_there = is_there or redis.call('EXISTS', key) == 1 end
local groups = redis.call('EXISTS', KEYS[1]) == 1 and #redis.call('XINFO', 'GROUPS', KEYS[1]) or 0
local length, scheduled = redis.call('XLEN', KEYS[1]), redis.call('ZCARD', KEYS[2])
local dead = KEYS[4] and redis.call('XLEN', KEYS[4]) or 0
local function answer(what) return {what, groups, length, dead, scheduled} end

if not is_there then return answer('n') end
if groups > 0 then return answer('g') end
if not is_forced and length + dead + scheduled > 0 then return answer('h') end
if not is_dry then redis.call('UNLINK', unpack(KEYS)) end
return answer('r')
