#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/faults.sh BUILD: processes and servers that die or stand still in the middle of work. Nothing is lost, and nobody who is
# too late changes anything.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

export QUERN_SUPERVISE=false # it is the process that works which is killed and stopped here; its parent: supervise.sh

short_leases='"lease_ms": 1000, "reap_ms": 200, "retry_base_ms": 100'

completed_is_at_least() { at_least "$(completed)" "$1"; }
all_is_settled() { [[ "$(pending) $(pending app.events:app.workers:retry) $(retry_length)" == "0 0 0" ]]; }

a_process_may_be_killed_ten_times_in_50000_jobs() {
    local kill first
    redis_start
    burn_config "$short_leases"
    burn_jobs 50000 '{"us": 50}'
    equal "$(remember_ids)" 50000 ids
    started_quern first run -c burn.json --redis "$url" --threads 1
    first=$pid
    for kill in {1..10}; do
        # Half of them find the journal of the last one; what the others leave comes back when its lease is over.
        started_quern "second-$kill" run -c burn.json --redis "$url" --threads 2 --state_dir "$here/state-$((kill / 2))"
        wait_for 60 completed_is_at_least $((kill * 4500))
        signal_process KILL "$pid"
        wait "$pid" 2>/dev/null
    done
    wait_for 60 completed_is 50000
    wait_for 10 all_is_settled
    equal "$(settled_ids)" "50000 more 0 missing 0" ids
    equal "$(redis EXISTS app.events:failed)" 0 "dead letters: nobody is to blame"
    grep -q -e event=crash_settled -e event=reclaimed ./*.log || fail "nothing ever came back from a killed process"
    stop_quern "$first"
    equal "$status" 0 status
}

# Who waits there may have been ended already: opened for both, it does not wait for a reader.
open_gate() { echo open 1<>gate; }

# The job waits for the gate, then says what it is told; its process is stopped until another one has taken it over and done it.
a_stopped_process_says_too_late() {
    local first
    redis_start
    mkfifo gate
    started_quern late run --redis "$url" --threads 1 --lease_ms 500 --reap_ms 3600000 job -- sh -c "cat gate >/dev/null; exit $1"
    first=$pid
    run_quern 0 publish --redis "$url" job
    wait_for 10 pending_is 1
    signal_process STOP "$first"
    started_quern other run --redis "$url" --threads 1 --lease_ms 500 --reap_ms 50 --completed_max 10 job -- true
    wait_for 20 completed_is 1
    signal_process CONT "$first"
    open_gate
    wait_for 20 late_has_noticed
    equal "$(redis EXISTS app.events:failed) $(redis EXISTS app.events:app.workers:delayed) $(retry_length)" "0 0 0" \
        "letters, delayed, retries"
    stop_quern "$first"
    stop_quern "$pid"
    equal "$(completed) $(pending)" "1 0" "completed, pending"
}

late_has_noticed() { grep -q -e event=lease_lost -e event=not_recorded late.log; }

a_stopped_process_cannot_bury_when_it_wakes() { a_stopped_process_says_too_late 65; }
a_stopped_process_cannot_retry_when_it_wakes() { a_stopped_process_says_too_late 1; }

# It has fetched ten jobs behind the one it runs; when it wakes, they have been done elsewhere, and it starts none of them.
a_process_that_was_stopped_for_long_does_not_start_what_it_had_fetched() {
    local first command='read -r line; case $line in *gate*) cat gate >/dev/null ;; esac; echo "$line" >>late.ran'
    redis_start
    mkfifo gate
    : >late.ran
    started_quern late run --redis "$url" --threads 1 --lease_ms 500 --prefetch_ms 20000 --reap_ms 3600000 job -- sh -c "$command"
    first=$pid
    run_quern 0 publish --redis "$url" job '{"n": 0}'
    wait_for 10 test -s late.ran
    { echo '{"gate": 1}' && yes '{"n": 1}' | head -n 10; } | run_quern 0 publish --redis "$url" job -
    wait_for 10 pending_is 11
    signal_process STOP "$first"
    started_quern other run --redis "$url" --threads 1 --lease_ms 500 --reap_ms 50 --completed_max 100 job -- true
    wait_for 20 completed_is 11
    signal_process CONT "$first"
    open_gate
    wait_for 20 eleven_are_refused
    (($(lines_of late.ran) <= 2)) || fail "it has started $(lines_of late.ran) jobs"
    stop_quern "$first"
    stop_quern "$pid"
}
eleven_are_refused() { (($(count_in late.log event=not_recorded) >= 11)); }

a_server_may_be_killed_and_started_again_under_load() {
    local first round
    redis_start --appendonly yes
    burn_config "$short_leases"
    burn_jobs 30000 '{"us": 50}'
    equal "$(remember_ids)" 30000 ids
    started_quern first run -c burn.json --redis "$url" --threads 1
    first=$pid
    started_quern second run -c burn.json --redis "$url" --threads 1
    for round in 1 2 3; do
        wait_for 60 completed_is_at_least $((round * 7000))
        redis_kill
        redis_start --appendonly yes
    done
    wait_for 60 completed_is 30000
    wait_for 20 all_is_settled
    equal "$(settled_ids)" "30000 more 0 missing 0" ids
    stop_quern "$first"
    equal "$status" 0 "status of the first"
    stop_quern "$pid"
    equal "$status" 0 "status of the second"
}

run_all a_process_may_be_killed_ten_times_in_50000_jobs \
    a_stopped_process_cannot_bury_when_it_wakes \
    a_stopped_process_cannot_retry_when_it_wakes \
    a_process_that_was_stopped_for_long_does_not_start_what_it_had_fetched \
    a_server_may_be_killed_and_started_again_under_load
