#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/sizes.sh BUILD: looking at and repairing queues of many jobs, and how long Redis is busy with one call: at most 5 ms,
# by its own slow log. Not among the tests of every day: a machine that is busy with something else is slow, too.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

readonly MANY=10000 SLOW_US=5000

# fill LUA: in Redis, MANY times, a hundred at a time; n is the number, pad a text of 300 bytes.
fill() {
    local from
    for ((from = 1; from <= MANY; from += 100)); do
        redis EVAL "local pad = string.rep('x', 300) for n = tonumber(ARGV[1]), ARGV[1] + 99 do $1 end return 1" 0 "$from" >/dev/null
    done
}

watch() {
    redis CONFIG SET slowlog-log-slower-than $SLOW_US >/dev/null
    redis SLOWLOG RESET >/dev/null
    redis CONFIG RESETSTAT >/dev/null
}

# How long the server has run, and waited for a core, so far, in µs: what was slow while it waited was not Redis.
server_us() {
    local run_ns wait_ns
    read -r run_ns wait_ns _ <"/proc/$redis_pid/schedstat" || return
    echo $((run_ns / 1000)) $((wait_ns / 1000))
}

scripts() { redis INFO commandstats | sed -n 's/^cmdstat_evalsha:calls=\([0-9]*\).*/\1/p'; }

# quick STATUS ARGUMENT…: none of the verb's calls was slow.
quick() {
    local began_ms ran waited now_ran now_waited slow calls
    began_ms=$(now_ms)
    watch
    read -r ran waited <<<"$(server_us)"
    timeout 60 "$quern" "${@:2}" --redis "$url" >out 2>err
    equal "$?" "$1" "status of $2"
    read -r now_ran now_waited <<<"$(server_us)"
    calls=$(scripts) slow=$(redis SLOWLOG LEN)
    echo "#   $2 $3: $(($(now_ms) - began_ms)) ms, server's CPU $(((now_ran - ran) / 1000)) ms, ${calls:-0} scripts," \
        "$slow slow calls: $(head -c 100 out | head -n 1)"
    ((slow == 0)) && return
    redis SLOWLOG GET 3 | head -c 1000
    echo
    ((now_waited - waited >= SLOW_US)) || fail "slow calls of $2 $3, and the server waited for a core for $((now_waited - waited)) µs only"
    echo "#   the server waited for a core for $(((now_waited - waited) / 1000)) ms: not judged"
}

letters() {
    fill 'local stamp = "2026-01-01T00:00:00.000000+00:00"
        redis.call("XADD", "app.events:failed", "*", "id", "l" .. n, "event", "e", "retries", "3",
            "timestamps", string.format([[{"created_at":"%s","updated_at":"%s"}]], stamp, stamp),
            "data", string.format([[{"original_id":"job-%d","original_event":"e","reason":"timeout","group":"app.workers",]] ..
                [["retries":3,"source_stream_id":"%d-1","original_data":{"n":%d,"pad":"%s"}}]], n, n, n, pad))'
    equal "$(dead)" $MANY letters
}

delayed_jobs() {
    fill "redis.call('ZADD', '$1', 1999999000000 + n, '$2' .. n .. '$3')
        redis.call('HSET', '$1:jobs', '$2' .. n .. '$3',
            cmsgpack.pack({'id', 'job-' .. n, 'event', 'e', 'data', '{\"pad\":\"' .. pad .. '\"}', 'retries', '0'}))"
}

ten_thousand_dead_letters_are_replayed() {
    redis_start
    redis XGROUP CREATE app.events app.workers 0 MKSTREAM >/dev/null
    letters
    quick 0 dead list --limit $MANY
    quick 0 replay all --dry_run
    quick 1 replay nobody
    quick 0 replay job-$MANY
    quick 0 replay all --event e --reason timeout
    has out "$((MANY - 1)) dead letters were replayed"
    equal "$(retry_length) $(dead)" "$MANY 0"
    equal "$(redis EVAL 'local ids, n = {}, 0 for _, entry in ipairs(redis.call("XRANGE", KEYS[1], "-", "+")) do
        if not ids[entry[2][2]] then n = n + 1 end ids[entry[2][2]] = true end return n' 1 app.events:app.workers:retry)" $MANY "different ids"
    quick 0 peek waiting --limit $MANY
    quick 0 purge waiting --dry_run
    quick 0 purge waiting
    has out "$MANY waiting were purged"
}

ten_thousand_jobs_that_wait_for_a_time_are_looked_through() {
    redis_start
    redis XGROUP CREATE app.events app.workers 0 MKSTREAM >/dev/null
    delayed_jobs app.events:app.workers:delayed s: -1
    delayed_jobs app.events:scheduled job- ''
    equal "$(delayed) $(redis ZCARD app.events:scheduled)" "$MANY $MANY"
    quick 0 peek delayed --limit $MANY
    quick 0 peek scheduled --limit $MANY
    quick 0 cancel job-7777
    quick 0 cancel nobody
    quick 0 purge scheduled
    quick 0 purge delayed
    has out "$((MANY - 1)) delayed were purged"
}

ten_thousand_entries_of_logs_are_purged_and_a_group_removed() {
    redis_start
    redis XGROUP CREATE app.events app.workers 0 MKSTREAM >/dev/null
    letters
    redis XGROUP CREATE app.events:failed alarm 0 >/dev/null
    fill 'redis.call("XADD", "app.events:app.workers:completed", "*", "id", n, "result", pad)'
    quick 0 purge dead
    quick 0 peek completed --limit $MANY
    quick 0 purge completed
    delayed_jobs app.events:app.workers:delayed s: -1
    letters
    fill 'redis.call("XADD", "app.events", "*", "id", n, "event", "e", "data", pad)'
    redis XREADGROUP GROUP app.workers first COUNT $MANY STREAMS app.events '>' >/dev/null
    quick 0 replay all
    quick 0 remove app.workers --force
}

# Larger letters, fewer at a time.
letters_of_a_hundred_kilobytes_are_replayed() {
    redis_start
    redis XGROUP CREATE app.events app.workers 0 MKSTREAM >/dev/null
    redis EVAL 'for n = 1, 300 do redis.call("XADD", KEYS[1], "*", "id", n, "event", "e", "data",
        "{\"original_event\":\"e\",\"group\":\"app.workers\",\"original_data\":\"" .. string.rep("x", 100000) .. "\"}") end' 1 \
        app.events:failed >/dev/null
    quick 0 replay all
    has out "300 dead letters were replayed"
    quick 0 purge waiting
}

run_all ten_thousand_dead_letters_are_replayed \
    ten_thousand_jobs_that_wait_for_a_time_are_looked_through \
    ten_thousand_entries_of_logs_are_purged_and_a_group_removed \
    letters_of_a_hundred_kilobytes_are_replayed
