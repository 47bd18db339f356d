#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/notify.sh BUILD: what systemd is told, on a socket that a test plays.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

# systemd_start [WATCHDOG_USEC]: what is said comes into the file told.
systemd_start() {
    "$build/notified" "$here/notify" >told 2>notified.log &
    wait_for 5 test -S notify
    export NOTIFY_SOCKET=$here/notify
    [[ -z ${1:-} ]] || export WATCHDOG_USEC=$1
}

told_is() { (($(count_in told "$1") >= $2)); }
is_stopped() { [[ $(</proc/"$1"/stat) == *') T '* ]]; }

a_service_is_ready_when_its_pool_runs_and_says_that_it_stops() {
    local way
    redis_start
    systemd_start
    for way in --supervise --no-supervise; do
        : >told
        started_quern run run --redis "$url" $way show -- true
        wait_for 10 told_is READY=1 1
        stop_quern "$pid"
        wait_for 5 told_is STOPPING=1 1
        lacks told WATCHDOG
    done
}

# It is not ready before, and it waits for it.
a_service_is_not_ready_while_it_waits_for_its_server() {
    socket=$here/redis.sock
    systemd_start
    start_quern run run --redis "unix://$socket" --backoff_max_ms 100 show -- true
    wait_for 10 grep -q "waiting for it" run.log
    lacks told READY
    redis_start
    wait_for 10 told_is READY=1 1
    stop_quern "$pid"
}

# The watchdog is fed by the process that does the work: its parent cannot do so for it.
a_watchdog_is_fed_while_the_pool_gets_on_and_no_longer() {
    local child before
    redis_start
    systemd_start 400000
    started_quern run run --redis "$url" show -- true
    wait_for 10 told_is READY=1 1
    before=$(count_in told WATCHDOG=1)
    wait_for 10 told_is WATCHDOG=1 $((before + 4))
    child=$(children_of "$pid" | tr -d ' ')
    [[ $(ps_parent "$child") == "$pid" ]] || fail "no child: $child"
    kill -STOP "$child"
    wait_for 5 is_stopped "$child"
    wait_for 5 eval 'before=$(count_in told WATCHDOG=1); read -rt 1 <&"$never"; (($(count_in told WATCHDOG=1) == before))'
    kill -CONT "$child"
    wait_for 10 told_is WATCHDOG=1 $((before + 2))
    stop_quern "$pid"
}

# A job's id is anybody's: what is told of it stays readable.
a_watchdog_is_fed_whatever_the_id_of_a_running_job_is() {
    local before
    redis_start
    systemd_start 400000
    burn_config
    started_quern run run -c burn.json --redis "$url" --drain_ms 100
    printf 'a\0b' | redis -x XADD app.events '*' event burn data '{"sleep_us": 600000000}' id >/dev/null
    wait_for 10 pending_is 1
    before=$(count_in told WATCHDOG=1)
    wait_for 10 told_is WATCHDOG=1 $((before + 4))
    stop_quern "$pid"
}

# Another process would not make it better.
an_outage_of_the_server_is_no_reason_for_the_watchdog() {
    local before
    redis_start
    systemd_start 400000
    started_quern run run --redis "$url" --backoff_max_ms 100 show -- true
    redis_kill
    wait_for 10 grep -q redis_lost run.log
    before=$(count_in told WATCHDOG=1)
    wait_for 20 told_is WATCHDOG=1 $((before + 10)) # two watchdogs of time
    stop_quern "$pid"
}

what_a_job_runs_cannot_speak_for_the_service() {
    redis_start
    systemd_start 60000000
    started_quern run run --redis "$url" --completed_max 10 show -- env
    run_quern 0 publish --redis "$url" show
    wait_for 10 completed_is 1
    completed_field result >result
    has result QUERN_ID
    lacks result NOTIFY_SOCKET
    stop_quern "$pid"
}

run_all a_service_is_ready_when_its_pool_runs_and_says_that_it_stops \
    a_service_is_not_ready_while_it_waits_for_its_server \
    a_watchdog_is_fed_while_the_pool_gets_on_and_no_longer \
    a_watchdog_is_fed_whatever_the_id_of_a_running_job_is \
    an_outage_of_the_server_is_no_reason_for_the_watchdog \
    what_a_job_runs_cannot_speak_for_the_service
