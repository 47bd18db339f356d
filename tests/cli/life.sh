#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/life.sh BUILD: 100,000 entries live through everything that may become of them: jobs that are done, fail once, always
# fail, and what cannot be read, in two processes that share a group, beside another group that sees each job once. At the end
# each is in exactly one place, and nothing else is left. Lines that begin with # are figures.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

# Of a quarter: 24,750 jobs, 1,250 of which fail once and 25 always, then 250 entries of five kinds that cannot be read. To burn
# each job is an order, to digest it is a text: there it succeeds.
publish_a_quarter() {
    awk 'BEGIN {
        for (i = 1; i <= 24750; i++) {
            fails = i % 990 == 0 ? 1000000 : i % 19 == 1 && once++ < 1250
            print fails ? "{\"text\": \"x\", \"fail_times\": " fails "}" : "{\"text\": \"x\"}"
        }
    }' >lines
    timeout 60 "$quern" publish --redis "$url" --publish_marked false burn - <lines 2>publish.log ||
        fail "publishing: $(tail -n 1 publish.log)"
    redis EVAL '
        for i = 1, 50 do
            redis.call("XADD", KEYS[1], "*", "event", "burn")
            redis.call("XADD", KEYS[1], "*", "data", "{}", "retries", "0")
            redis.call("XADD", KEYS[1], "*", "message", "{\"event\": \"burn\"")
            redis.call("XADD", KEYS[1], "*", "\255\254", "\0\1")
            redis.call("XADD", KEYS[1], "*", "event", "burn", "data", "{}", "retries", "many")
        end' 1 app.events >/dev/null
}

everything_is_settled() {
    length_is 98900 app.events:app.workers:completed && length_is 99000 app.events:g2:completed && dead_is 2100 &&
        nothing_is_pending app.workers && nothing_is_pending g2
}
nothing_is_pending() {
    [[ $(pending app.events "$1") == 0 && $(pending app.events:"$1":retry "$1") == 0 ]] &&
        [[ $(redis EXISTS "app.events:$1:delayed" "app.events:$1:delayed:jobs") == 0 ]]
}

every_entry_ends_in_exactly_one_place_and_no_other_group_sees_of_it() {
    local began pids=() name
    redis_start
    burn_config '"retry_base_ms": 300'
    printf '{"completed_max": 1000000, "workers": [{"event": "burn", "module": "digest"}]}\n' >digest.json
    redis XGROUP CREATE app.events app.workers 0 MKSTREAM >/dev/null
    redis XGROUP CREATE app.events g2 0 >/dev/null
    for name in 1 2 3 4; do publish_a_quarter; done
    equal "$(length) $(remember_ids)" "100000 100000" "entries, ids"
    redis COPY remembered remembered:g2 >/dev/null
    began=$(now_ms)
    start_quern one run -c burn.json --redis "$url" --threads 2
    pids+=("$pid")
    start_quern two run -c burn.json --redis "$url" --threads 2
    pids+=("$pid")
    start_quern three run -c digest.json --redis "$url" --threads 2 --group g2
    pids+=("$pid")
    wait_for 120 everything_is_settled
    echo "#   100,000 entries with 1 % unreadable, 5 % retries and two groups in $(($(now_ms) - began)) ms"
    for pid in "${pids[@]}"; do
        stop_quern "$pid"
        equal "$status" 0 status
    done
    equal "$(settled_ids)" "98900 more 0 missing 1100" "done in app.workers"
    equal "$(buried_ids)" "1100 more 0 missing 0" "dead in app.workers"
    equal "$(settled_ids g2 remembered:g2)" "99000 more 0 missing 1000" "done in g2"
    equal "$(buried_ids g2 remembered:g2)" "1000 more 0 missing 0" "dead in g2"
    equal "$(settled_retries)" "0:93900 1:5000" "retries in app.workers"
    equal "$(settled_retries g2)" "0:99000" "retries in g2"
    equal "$(dead_member reason | sort | uniq -c | tr -s ' \n' ' ')" " 2000 malformed 100 retries_exhausted " reasons
    equal "$(pending) $(pending app.events g2)" "0 0" pending
    (($(length) <= 200)) || fail "$(length) entries are left in the stream"
    equal "$(redis KEYS '*' | sort | tr '\n' ' ')" \
        "app.events app.events:app.workers:completed app.events:failed app.events:g2:completed " keys
    for name in one two three; do
        lacks $name.log lease_lost
        lacks $name.log not_recorded
        has $name.log left_pending=0
    done
}

run_all every_entry_ends_in_exactly_one_place_and_no_other_group_sees_of_it
