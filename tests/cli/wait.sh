#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/wait.sh BUILD: quern publish --wait: a script gets what its job came to, and a status that says whether it was done.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

readonly worker='read -r data; case $data in 7) echo seven ;; \"dead\") echo no >&2; exit 65 ;; \"steers\") printf "\302\2332J\342\200\256" >&2; exit 65 ;; \"bytes\") printf "a\0\377" ;;
    \"slow\") read -r _ <>/dev/stderr ;; esac'

# works COMPLETED_MAX [OPTION…]: a process that runs the worker above for the event "e".
works() {
    started_quern run run --redis "$url" --completed_max "$1" --no-supervise "${@:2}" e -- sh -c "$worker"
}

one_job_prints_its_result_and_nothing_else() {
    redis_start
    works 100
    run_quern 0 publish --redis "$url" e 7 --wait
    equal "$(<out)" seven
    has err "waiting for its end"
    run_quern 0 publish --redis "$url" --wait_ms 10000 e 7
    equal "$(<out)" seven
    run_quern 0 publish --redis "$url" --wait e '"bytes"'
    printf 'a\0\377' | cmp - out || fail "the bytes differ"
    run_quern 0 publish --redis "$url" --wait e '"nothing"'
    [[ ! -s out ]] || fail "it printed: $(<out)"
}

a_dead_job_is_said_and_exits_with_1() {
    redis_start
    works 100
    run_quern 1 publish --redis "$url" --wait e '"dead"'
    has err "dead (rejected): "
    [[ ! -s out ]] || fail "it printed: $(<out)"
}

what_a_dead_job_has_said_does_not_steer_the_terminal() {
    redis_start
    works 100
    run_quern 1 publish --redis "$url" --wait e '"steers"'
    has err "?2J?"
    ! grep -q -e $'\xc2\x9b' -e $'\xe2\x80\xae' err || fail "a steering character"
}

several_jobs_are_a_line_of_json_each() {
    redis_start
    works 100
    printf '7\n"dead"\n"nothing"\n' | run_quern 1 publish --redis "$url" --wait e -
    equal "$(lines_of out)" 3
    has <(sed -n 1p out) '"outcome":"done","event":"e","retries":0,"result":"seven\n"'
    has <(sed -n 2p out) '"outcome":"dead"'
    has <(sed -n 3p out) '"outcome":"done"'
    has err "2 done, 1 dead, 0 not known, 0 not ended in time"
    printf '7\n7\n' | run_quern 0 publish --redis "$url" --wait e -
    run_quern 0 publish --redis "$url" --wait e - </dev/null
    [[ ! -s out ]] || fail "it printed: $(<out)"
}

what_has_not_ended_in_time_exits_with_1_and_goes_on() {
    redis_start
    run_quern 1 publish --redis "$url" --wait_ms 300 e 7
    has err "it has not ended within 300 ms, and goes on"
    works 100
    wait_for 10 completed_is 1
}

without_a_log_it_says_so() {
    redis_start
    works 0
    run_quern 1 publish --redis "$url" --wait e 7
    has err "group app.workers keeps no completed log; set completed_max above 0"
}

a_unique_job_that_has_ended_is_told_again() {
    redis_start
    works 100
    run_quern 0 publish --redis "$url" --wait --unique a e 7
    run_quern 0 publish --redis "$url" --wait --unique a e '"dead"'
    equal "$(<out)" seven
    has err "not published once more"
}

an_interrupt_ends_the_wait_and_not_the_job() {
    redis_start
    works 100
    # what a script starts in the background ignores it otherwise
    env --default-signal=INT "$quern" publish --redis "$url" --wait --delay_ms 1000 e 7 >out 2>err &
    pid=$!
    wait_for 10 grep -q waiting err
    signal_process INT "$pid"
    status_of "$pid" 10
    equal "$status" 130
    wait_for 10 completed_is 1
}

the_private_server_serves_a_wait_too() {
    start_quern run run --state_dir "$here/state" --completed_max 10 e -- sh -c "$worker"
    run_pid=$pid
    wait_for 20 is_started run
    run_quern 0 publish --state_dir "$here/state" --wait e 7
    equal "$(<out)" seven
    stop_quern "$run_pid"
}

what_is_wrong_is_refused_and_nothing_is_published() {
    redis_start
    run_quern 2 publish --redis "$url" --wait_ms soon e 7
    has err "--wait_ms: 'soon' is not a whole number"
    run_quern 2 publish --redis "$url" --wait=maybe e 7
    has err "--wait: use true or false"
    redis SET app.events:app.workers:completed text
    run_quern 1 publish --redis "$url" --wait e 7
    has err "not published: nobody could wait for it"
    length_is 0 || fail "it was published"
}

run_all one_job_prints_its_result_and_nothing_else \
    a_dead_job_is_said_and_exits_with_1 \
    what_a_dead_job_has_said_does_not_steer_the_terminal \
    several_jobs_are_a_line_of_json_each \
    what_has_not_ended_in_time_exits_with_1_and_goes_on \
    without_a_log_it_says_so \
    a_unique_job_that_has_ended_is_told_again \
    an_interrupt_ends_the_wait_and_not_the_job \
    the_private_server_serves_a_wait_too \
    what_is_wrong_is_refused_and_nothing_is_published
