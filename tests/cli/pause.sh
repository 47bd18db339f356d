#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/pause.sh BUILD: SIGTSTP and SIGCONT: a paused process starts nothing and keeps what it holds; then it goes on, or ends.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

# Looks again for $1 milliseconds: the command must succeed each time.
stays() {
    local end=$(($(now_ms) + $1))
    shift
    while (($(now_ms) < end)); do
        "$@" || fail "did not stay: $*"
        read -rt 0.01 <&"$never" || true
    done
}

holds() { at_least "$(pending)" "$1"; }

# Starts "one" on 30 jobs of 200 ms; it has fetched all of them, done some, and is paused. In $done: how many it will have done.
paused_quern() {
    redis_start
    burn_config '"lease_ms": 500, "reap_ms": 100, "prefetch_ms": 20000'
    burn_jobs 30 '{"sleep_us": 200000}'
    remember_ids >/dev/null
    started_quern one run -c burn.json --redis "$url" --threads 2
    one=$pid
    wait_for 10 completed_reaches 4
    wait_for 10 everything_is_fetched
    signal_process TSTP "$one"
    wait_for 5 grep -q "paused: .*kill -CONT $one" one.log
    wait_for 5 is_quiet
    done=$(completed)
    ((done < 30)) || fail "nothing was left to be paused"
}
everything_is_fetched() { equal_lag 0; }
equal_lag() { [[ $(redis XINFO GROUPS app.events | grep -A 1 -x lag | tail -n 1) == "$1" ]]; }
# The running ones have ended: two looks, further apart than a job is long, find the same.
is_quiet() {
    local before
    before=$(completed)
    read -rt 0.5 <&"$never" || true
    completed_is "$before"
}

a_paused_process_keeps_its_jobs_for_many_leases_and_then_goes_on() {
    paused_quern
    started_quern two run -c burn.json --redis "$url" --threads 2
    two=$pid
    stays 2500 completed_is "$done"
    equal "$(pending)" $((30 - done)) "held while paused"
    ! has_ended "$one" || fail "it has ended"
    signal_process CONT "$one"
    wait_for 20 completed_is 30
    has one.log "going on"
    equal "$(settled_ids)" "30 more 0 missing 0"
    equal "$(completed_field consumer | sort -u | wc -l)" 1 "processes that ran a job"
    stop_quern "$one"
    equal "$status" 0 "status of the paused one"
    stop_quern "$two"
    equal "$status" 0 "status of the other one"
}

a_process_that_is_stopped_while_paused_gives_its_jobs_back() {
    paused_quern
    signal_process TERM "$one"
    status_of "$one" 5
    equal "$status" 0 status
    equal "$(completed)" "$done" "done while paused"
    equal "$(pending)" 0 "still pending after the stop"
    run_quern 0 run -c burn.json --redis "$url" --threads 8 --until-empty
    equal "$(settled_ids)" "30 more 0 missing 0"
}

signals_that_ask_for_nothing_new_change_nothing() {
    redis_start
    burn_config
    started_quern one run -c burn.json --redis "$url" --threads 2
    one=$pid
    signal_process CONT "$one" # as whoever was stopped by SIGSTOP is continued
    burn_jobs 5
    wait_for 10 completed_is 5
    lacks one.log "going on"
    signal_process TSTP "$one"
    wait_for 5 grep -q paused: one.log
    signal_process TSTP "$one"
    signal_process TERM "$one"
    status_of "$one" 5
    equal "$status" 0 status
    equal "$(count_in one.log paused:)" 1 "lines that say it is paused"
}

who_is_paused_before_redis_is_there_starts_when_it_goes_on() {
    redis_start
    burn_config
    redis_kill
    start_quern one run -c burn.json --redis "$url" --threads 2
    one=$pid
    wait_for 10 grep -q "waiting for it" one.log
    signal_process TSTP "$one"
    wait_for 5 grep -q paused: one.log
    redis_start
    stays 1500 is_not_started one
    signal_process CONT "$one"
    wait_for 10 is_started one
    stop_quern "$one"
    equal "$status" 0 status
}
is_not_started() { ! is_started "$1"; }

run_all a_paused_process_keeps_its_jobs_for_many_leases_and_then_goes_on \
    a_process_that_is_stopped_while_paused_gives_its_jobs_back \
    signals_that_ask_for_nothing_new_change_nothing \
    who_is_paused_before_redis_is_there_starts_when_it_goes_on
