#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/reload.sh BUILD: SIGHUP: what the file says now holds from the next job on, all of it or, with the reason, nothing.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

# exec_config COMMAND [KEY: VALUE, …]: a file whose only worker runs this shell command for the event "say".
exec_config() {
    printf '{%s"completed_max": 1000, "workers": [{"event": "say", "module": "exec", "options": {"shell": true, "command": "%s"}}]}\n' \
        "${2:+$2, }" "$1" >quern.json
}

publish_say() { run_quern 0 publish --redis "$url" say; }

# In the background, in a configuration of exec_config; its number in $one.
started_one() {
    started_quern one run -c quern.json --redis "$url" --threads 2 "$@"
    one=$pid
}

hang_up() { signal_process HUP "$one"; }
reloads() { [[ $(count_in one.log event=reloaded) == "$1" ]]; }
refusals() { [[ $(count_in one.log "reload refused; nothing was changed") == "$1" ]]; }
results() { completed_field result | sort | xargs; }

another_command_runs_from_the_next_job_on_and_a_running_one_ends_as_it_began() {
    redis_start
    exec_config 'echo old; touch begun; while [ ! -e gate ]; do sleep 0.02; done'
    started_one
    publish_say
    wait_for 10 test -e begun
    exec_config 'echo new'
    hang_up
    wait_for 5 reloads 1
    publish_say
    publish_say
    wait_for 10 completed_is 2
    equal "$(results)" "new new" "results while the old one runs"
    touch gate
    wait_for 10 completed_is 3
    equal "$(results)" "new new old" results
    stop_quern "$one"
    equal "$status" 0 status
    equal "$(pending)" 0 pending
}

a_file_that_is_broken_is_refused_with_all_its_problems_and_the_old_one_goes_on() {
    redis_start
    exec_config 'echo old'
    started_one
    printf '{"threads": "many", "retry_limit": -7, "workers": [{"event": "say", "module": "exec", "options": {}}]}\n' >quern.json
    hang_up
    wait_for 5 refusals 1
    has one.log 'threads: "many"'
    has one.log 'retry_limit: -7'
    printf '{"workers": [{"event": "say", "module": "exec"}, {"event": "b", "module": "no-such-module"}]}\n' >quern.json
    hang_up
    wait_for 5 refusals 2
    has one.log 'module exec for event say: command'
    has one.log 'module no-such-module for event b'
    printf '{' >quern.json
    hang_up
    wait_for 5 refusals 3
    rm quern.json
    hang_up
    wait_for 5 refusals 4
    publish_say
    wait_for 10 completed_is 1
    equal "$(results)" old results
    exec_config 'echo new'
    hang_up
    wait_for 5 reloads 1
    publish_say
    wait_for 10 completed_is 2
    equal "$(results)" "new old" results
    stop_quern "$one"
    equal "$status" 0 status
}

a_key_that_cannot_change_is_refused_and_what_could_have_changed_does_not() {
    redis_start
    exec_config 'echo old'
    started_one --log_level info
    exec_config 'echo new' '"lease_ms": 77000, "retry_limit": 9, "log_level": "debug"'
    hang_up
    wait_for 5 refusals 1
    has one.log "lease_ms (is 30000, asked 77000)"
    lacks one.log "retry_limit ("
    publish_say
    wait_for 10 completed_is 1
    equal "$(results)" old results
    lacks one.log event=reloaded
    stop_quern "$one"
    equal "$status" 0 status
}

another_server_is_refused_and_its_password_is_not_shown() {
    redis_start
    exec_config 'echo old' "\"redis\": \"$url\""
    started_quern one run -c quern.json
    one=$pid
    exec_config 'echo new' '"redis": "redis://:open-sesame@10.0.0.9"'
    hang_up
    wait_for 5 refusals 1
    has one.log "redis (differs)"
    exec_config 'echo new' # none any more: the private one is another one
    hang_up
    wait_for 5 refusals 2
    lacks one.log sesame
    exec_config 'echo new' "\"redis\": \"$url\", \"threads\": 3"
    hang_up
    wait_for 5 reloads 1
    has one.log threads=3
    stop_quern "$one"
    equal "$status" 0 status
}

without_a_file_there_is_nothing_new_and_nothing_breaks() {
    redis_start
    started_quern one run --redis "$url" --completed_max 100 say -- echo word
    one=$pid
    hang_up
    wait_for 5 reloads 1
    publish_say
    wait_for 10 completed_is 1
    equal "$(results)" word results
    stop_quern "$one"
    equal "$status" 0 status
}

the_private_server_stays_the_one_of_the_start() {
    export XDG_STATE_HOME=$here/state
    socket=$XDG_STATE_HOME/quern/redis.sock
    trap 'end_children; wait_for 20 no_server_lives' EXIT
    exec_config 'echo old'
    started_quern one run -c quern.json
    one=$pid
    exec_config 'echo new'
    hang_up
    wait_for 5 reloads 1
    run_quern 0 publish say
    wait_for 10 completed_is 1
    equal "$(results)" new results
    exec_config 'echo newer' "\"redis\": \"embedded:$here/elsewhere\""
    hang_up
    wait_for 5 refusals 1
    [[ ! -e $here/elsewhere ]] || fail "it has opened another one"
    equal "$(count_in one.log "no Redis was named")" 1 "lines about the private server"
    stop_quern "$one"
    equal "$status" 0 status
}
no_server_lives() { [[ $(redis PING) != PONG ]]; }

what_is_asked_before_redis_is_there_is_done_once_it_is() {
    redis_start
    exec_config 'echo old'
    redis_kill
    start_quern one run -c quern.json --redis "$url"
    one=$pid
    wait_for 10 grep -q "waiting for it" one.log
    exec_config 'echo new'
    hang_up
    redis_start
    wait_for 20 reloads 1
    publish_say
    wait_for 10 completed_is 1
    equal "$(results)" new results
    stop_quern "$one"
    equal "$status" 0 status
}

while_it_stops_it_does_not_reload_and_is_not_hurried() {
    redis_start
    exec_config 'echo old; touch begun; while [ ! -e gate ]; do sleep 0.02; done'
    started_one
    publish_say
    wait_for 10 test -e begun
    signal_process TERM "$one"
    wait_for 5 stop_is_heard
    exec_config 'echo new'
    hang_up
    wait_for 5 nothing_is_left_to_hear
    ! has_ended "$one" || fail "it did not wait for its job"
    touch gate
    status_of "$one" 10
    equal "$status" 0 status
    equal "$(results)" old results
    lacks one.log event=reloaded
}
# Jobs that come now are not taken any more, for longer than one belongs to the signal before.
stop_is_heard() { nothing_is_left_to_hear && ! read -rt 0.3 <&"$never"; }
nothing_is_left_to_hear() { grep -q '^ShdPnd:[[:space:]]*0*$' "/proc/$one/status"; }

a_hundred_reloads_under_load_lose_and_double_nothing() {
    local i
    redis_start
    burn_config '"lease_ms": 5000'
    burn_jobs 3000 '{"us": 300}'
    remember_ids >/dev/null
    started_quern one run -c burn.json --redis "$url"
    one=$pid
    mkdir next
    for ((i = 1; i <= 100; i++)); do
        (cd next && burn_config "\"lease_ms\": 5000, \"threads\": $((i % 5 + 1)), \"timeout_ms\": $((i * 1000))")
        mv next/burn.json burn.json # at once: it may be read just now
        hang_up
        wait_for 5 nothing_is_left_to_hear
    done
    wait_for 20 completed_is 3000
    equal "$(settled_ids)" "3000 more 0 missing 0"
    lacks one.log refused
    has one.log event=reloaded
    stop_quern "$one"
    equal "$status" 0 status
}

run_all another_command_runs_from_the_next_job_on_and_a_running_one_ends_as_it_began \
    a_file_that_is_broken_is_refused_with_all_its_problems_and_the_old_one_goes_on \
    a_key_that_cannot_change_is_refused_and_what_could_have_changed_does_not \
    another_server_is_refused_and_its_password_is_not_shown \
    without_a_file_there_is_nothing_new_and_nothing_breaks \
    the_private_server_stays_the_one_of_the_start \
    what_is_asked_before_redis_is_there_is_done_once_it_is \
    while_it_stops_it_does_not_reload_and_is_not_hurried \
    a_hundred_reloads_under_load_lose_and_double_nothing
