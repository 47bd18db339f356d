#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/run.sh BUILD: quern run: a command or the modules of a file per job; what becomes of each outcome; and a server that
# is not there yet, goes and comes back, refuses us, or is something else.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

a_command_is_run_per_job_and_its_exit_code_decides() {
    redis_start
    for code in 0 65 1 0; do run_quern 0 publish --redis "$url" exit "$code"; done
    # shellcheck disable=SC2016 # for the command's shell
    run_quern 0 run --redis "$url" --completed_max 10 --threads 1 --retry_limit 1 --retry_base_ms 0 --until-empty exit -- \
        sh -c 'read -r code; exit "$code"'
    equal "$(completed)" 2 "done"
    equal "$(dead_member error | sort | tr '\n' ,)" "exit code 1,exit code 65," "errors of the dead"
    equal "$(dead_member reason | sort | tr '\n' ,)" "rejected,retries_exhausted," "reasons of the dead"
    has err 'reason=rejected retries=0 error="exit code 65"'
    equal "$(count_in err 'outcome=retry retries=0 again_in_ms=0 error="exit code 1"')" 1 "lines of the retry"
    has err 'reason=retries_exhausted retries=1 error="exit code 1"'
    has err left_pending=0
    equal "$(pending) $(retry_length) $(delayed)" "0 0 0" "pending, given back, delayed"
}

a_command_gets_the_job_and_its_output_is_the_result() {
    redis_start
    run_quern 0 publish --redis "$url" greet '{"name": "x"}'
    local id
    id=$(<out)
    # shellcheck disable=SC2016
    run_quern 0 run --redis "$url" --completed_max 10 --until-empty greet -- \
        sh -c 'printf "%s %s %s %s %s" "$QUERN_ID" "$QUERN_EVENT" "$QUERN_RETRIES" "$1" "$(cat)"' sh '{id}'
    equal "$(completed_field result)" "$id greet 0 $id {\"name\": \"x\"}"
}

the_workers_of_a_file_share_a_process_with_a_command() {
    redis_start
    cat >quern.json <<'END'
{"completed_max": 10, "workers": [
    {"event": "burn", "module": "burn", "options": {"echo": "by burn"}},
    {"event": "digest", "module": "digest"},
    {"event": "*", "module": "burn", "options": {"echo": "by the rest"}}]}
END
    run_quern 0 publish --redis "$url" burn
    run_quern 0 publish --redis "$url" digest '{"text": "abc"}'
    run_quern 0 publish --redis "$url" command
    run_quern 0 publish --redis "$url" unknown
    run_quern 0 run --redis "$url" -c quern.json --threads 1 --until-empty command -- echo by a command
    completed_field result >results
    has results "by burn"
    has results ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
    has results "by the rest"
    has results "by a command"
    equal "$(pending)" 0 pending
}

an_event_without_a_handler_waits_and_is_said() {
    redis_start
    run_quern 0 publish --redis "$url" other
    run_quern 0 run --redis "$url" --until-empty mine -- true
    has err 'outcome=unhandled retries=0'
    has err 'error="no handler here takes its event"'
    equal "$(delayed) $(pending) $(dead)" "1 0 0" "delayed, pending, dead"
}

an_event_without_a_handler_is_dead_or_passed_over_where_that_is_asked() {
    redis_start
    run_quern 0 publish --redis "$url" other
    run_quern 0 run --redis "$url" --unhandled dead --until-empty mine -- true
    equal "$(dead_member reason)" unhandled reason
    run_quern 0 publish --redis "$url" other
    run_quern 0 run --redis "$url" --unhandled ack --until-empty mine -- true
    equal "$(delayed) $(pending) $(dead)" "0 0 1" "delayed, pending, dead"
}

no_redis_is_one_line_and_it_starts_when_there_is_one() {
    url=unix://$here/redis.sock
    start_quern one run --redis "$url" --completed_max 10 event -- true
    wait_for 10 grep -q waiting one.log
    read -rt 1.5 <&"$never" # an attempt or two later it still is one line
    equal "$(lines_of one.log)" 1 lines
    has one.log "no Redis at $url"
    redis_start
    run_quern 0 publish --redis "$url" event
    wait_for 5 completed_is 1
    stop_quern $pid
    equal "$status" 0 status
}

a_server_that_refuses_for_a_while_is_waited_for() {
    redis_start
    redis CONFIG SET min-replicas-to-write 1 >/dev/null
    start_quern one run --redis "$url" event -- true
    wait_for 10 grep -q "waiting for it" one.log
    has one.log NOREPLICAS
    redis CONFIG SET min-replicas-to-write 0 >/dev/null
    wait_for 10 is_started one
    stop_quern $pid
    equal "$status" 0 status
    redis CLIENT PAUSE 60000 WRITE >/dev/null
    start_quern two run --redis "$url" --lease_ms 3000 event -- true # a second for an answer
    wait_for 20 grep -q "waiting for it" two.log
    redis CLIENT UNPAUSE >/dev/null
    wait_for 20 is_started two
    stop_quern $pid
    equal "$status" 0 status
}

a_stop_is_heard_while_it_waits_for_redis() {
    local began
    start_quern one run --redis unix:///nowhere event -- true
    wait_for 10 grep -q waiting one.log
    began=$(now_ms)
    stop_quern $pid
    equal "$status" 0 status
    (($(now_ms) - began < 5000 * slower)) || fail "it took $(($(now_ms) - began)) ms"
}

# Says at once that it waits: who starts it with a wrong address should not have to wonder for seconds.
that_it_waits_is_said_at_once() {
    local began
    began=$(now_ms)
    start_quern one run --redis unix:///nowhere event -- true
    wait_for 10 grep -q waiting one.log
    (($(now_ms) - began < 5000 * slower)) || fail "it took $(($(now_ms) - began)) ms"
}

refused_with() {
    run_quern 1 "${@:2}"
    equal "$(lines_of err)" 1 "lines of '${*:2}'"
    has err "$1"
}

a_wrong_password_is_one_line_and_is_never_shown() {
    local wrong
    redis_port_start
    for wrong in "redis://:swordfish@127.0.0.1:$port" "redis://nobody:swordfish@127.0.0.1:$port"; do
        refused_with "wrong user or password" run --redis "$wrong" event -- true
        lacks err swordfish
        refused_with "wrong user or password" publish --redis "$wrong" event
        lacks err swordfish
    done
    refused_with "asks for a password" run --redis "redis://127.0.0.1:$port" event -- true
    refused_with "asks for a password" publish --redis "redis://127.0.0.1:$port" event
    run_quern 0 publish --redis "redis://:open-sesame@127.0.0.1:$port" event
    lacks err sesame
    run_quern 0 run --redis "redis://default:open-sesame@127.0.0.1:$port/0" --log_level debug --until-empty event -- env
    lacks err sesame
    has err started
}

# A server with a password on a port of its own choice below the loopback address: passwords travel in redis:// URLs.
redis_port_start() {
    local program=redis-server
    command -v redis-server >/dev/null || program=redis-check-rdb
    for port in $((20000 + RANDOM % 10000)) $((20000 + RANDOM % 10000)) $((20000 + RANDOM % 10000)); do
        (exec -a redis-server "$program" --port "$port" --bind 127.0.0.1 --dir "$here" --save '' --requirepass open-sesame) \
            </dev/null >port.log 2>&1 &
        redis_pid=$!
        wait_for 5 port_is_decided
        has_ended "$redis_pid" || return 0
    done
    fail "no port was free"
}
port_is_decided() { has_ended "$redis_pid" || grep -q 'Ready to accept' port.log; }

fake_start() {
    printf -- "$1" >answer
    "$build/fake_server" "$here/fake.sock" answer >fake.out &
    url=unix://$here/fake.sock
    wait_for 5 grep -q ready fake.out
}

an_older_redis_is_refused_with_one_line() {
    fake_start '+OK\r\n:7\r\n$22\r\nredis_version:6.2.14\r\n\r\n'
    refused_with "7.0 is the least" run --redis "$url" event -- true
    has err "version 6"
    refused_with "7.0 is the least" publish --redis "$url" event
}

what_is_no_redis_is_refused_with_one_line() {
    fake_start 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'
    refused_with "does not speak Redis's protocol" run --redis "$url" event -- true
    refused_with "does not speak Redis's protocol" publish --redis "$url" event
}

a_server_that_goes_and_comes_back_is_two_lines() {
    redis_start --appendonly yes
    burn_config
    started_quern one run -c burn.json --redis "$url"
    burn_jobs 20 '{"sleep_us": 1000}'
    wait_for 10 completed_is 20
    redis_kill
    wait_for 10 grep -q redis_lost one.log
    read -rt 1 <&"$never"
    redis_start --appendonly yes
    burn_jobs 20 '{"sleep_us": 1000}'
    wait_for 20 completed_is 40
    wait_for 20 grep -q redis_back one.log
    stop_quern $pid
    equal "$status" 0 status
    equal "$(count_in one.log redis_lost)" 1 "lines of loss"
    equal "$(count_in one.log redis_back)" 1 "lines of return"
    equal "$(pending)" 0 pending
}

until_empty_takes_what_is_there_and_ends() {
    redis_start
    burn_config
    burn_jobs 2000
    start_quern one run -c burn.json --redis "$url" --until-empty --threads 2
    local first=$pid
    start_quern two run -c burn.json --redis "$url" --until-empty --threads 2
    status_of "$first" 20
    equal "$status" 0 status
    status_of "$pid" 20
    equal "$status" 0 status
    equal "$(completed)" 2000 "done"
    equal "$(pending) $(length)" "0 0" "pending, entries"
}

run_all a_command_is_run_per_job_and_its_exit_code_decides \
    a_command_gets_the_job_and_its_output_is_the_result \
    the_workers_of_a_file_share_a_process_with_a_command \
    an_event_without_a_handler_waits_and_is_said \
    an_event_without_a_handler_is_dead_or_passed_over_where_that_is_asked \
    no_redis_is_one_line_and_it_starts_when_there_is_one \
    a_server_that_refuses_for_a_while_is_waited_for \
    a_stop_is_heard_while_it_waits_for_redis \
    that_it_waits_is_said_at_once \
    a_wrong_password_is_one_line_and_is_never_shown \
    an_older_redis_is_refused_with_one_line \
    what_is_no_redis_is_refused_with_one_line \
    a_server_that_goes_and_comes_back_is_two_lines \
    until_empty_takes_what_is_there_and_ends
