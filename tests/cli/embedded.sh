#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/embedded.sh BUILD: with no Redis named, the program brings its own, in one line: shared by all its processes of one
# state directory, gone with the last of them, and with the data still there for the next.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

# Each test has a state directory of its own; what redis() asks is the server in there.
state_here() {
    export XDG_STATE_HOME=$here/state
    socket=$XDG_STATE_HOME/quern/redis.sock
    trap 'end_children; wait_for 20 nobody_lives' EXIT
}

# Processes that have this test's folder in their arguments, and are not part of the test: keepers and servers.
living() {
    local entry
    for entry in /proc/[0-9]*/cmdline; do
        { tr '\0' ' ' <"$entry" | grep -F -- "$here/state"; } 2>/dev/null
    done
}
nobody_lives() { [[ -z $(living) ]]; }

the_private_server_is_said_in_one_line() {
    state_here
    run_quern 0 publish event
    equal "$(lines_of err)" 1 lines
    has err "no Redis was named"
    has err "$socket"
    [[ $(<out) == *-*-*-*-* ]] || fail "no id"
    wait_for 10 nobody_lives
    equal "$(stat -c %a "$here/state/quern")" 700 "mode of the state directory"
}

what_was_published_is_there_at_the_next_start() {
    state_here
    run_quern 0 publish event '{"kept": 1}'
    wait_for 10 nobody_lives
    run_quern 0 publish event - < <(seq 200)
    run_quern 0 run --until-empty --completed_max 2000 --threads 4 event -- sh -c 'read -r x; exit 0'
    has err done=201
    wait_for 10 nobody_lives
    run_quern 0 run --until-empty event -- true
    has err done=0
}

a_folder_may_have_any_name() {
    local name
    for name in $'of a%41b?db=3 #' $'no UTF-8: \xff' $'a line\nand another'; do
        trap 'end_children; wait_for 20 nobody_lives' EXIT
        export XDG_STATE_HOME=$here/state-$name
        run_quern 0 publish event
        run_quern 0 run --until-empty event -- true
        has err done=1
        [[ -d $XDG_STATE_HOME/quern ]] || fail "no folder $XDG_STATE_HOME"
        wait_for 10 nobody_lives
    done
}

two_processes_share_it_and_one_may_be_interrupted() {
    local one two
    state_here
    burn_config
    started_quern one run -c burn.json --threads 1
    one=$pid
    started_quern two run -c burn.json --threads 1
    two=$pid
    equal "$(living | grep -c 'redis.sock\|quern.*keeper')" 2 "keepers and servers"
    run_quern 0 publish burn - < <(yes '{"us": 1000}' | head -n 200)
    signal_process INT $one
    status_of $one 10
    equal "$status" 0 status
    wait_for 10 completed_is 200
    [[ -n $(living) ]] || fail "the server went with the first"
    lacks two.log redis_lost
    stop_quern $two
    equal "$status" 0 status
    wait_for 10 nobody_lives
}

# From a terminal, Ctrl-C goes to the whole foreground group: here a group of its own, by a shell with job control. Not by setsid,
# which would leave that group.
an_interrupt_of_the_whole_group_leaves_the_server_to_the_others() {
    local group
    state_here
    burn_config
    started_quern other run -c burn.json --threads 1
    set -m
    "$quern" run -c burn.json --threads 1 </dev/null >one.out 2>one.log &
    group=$!
    set +m
    wait_for 10 is_started one
    run_quern 0 publish burn - < <(yes '{"us": 1000}' | head -n 200)
    [[ $(ps_parent "$group") == "$BASHPID" ]] || fail "process $group is not ours"
    kill -INT -- "-$group"
    status_of $group 10
    equal "$status" 0 status
    has one.log event=stopped
    wait_for 10 completed_is 200
    lacks other.log redis_lost
}

a_named_folder_is_used_and_its_users_killed_leave_nothing() {
    state_here
    mkdir -p "$here/state/mine"
    chmod 700 "$here/state/mine"
    socket=$here/state/mine/redis.sock
    burn_config
    started_quern one run -c burn.json --redis "embedded:$here/state/mine"
    [[ -S $socket ]] || fail "no socket in the folder"
    run_quern 0 publish --redis "embedded:$here/state/mine" burn
    wait_for 10 completed_is 1
    signal_process KILL $pid
    status_of $pid 5
    wait_for 10 nobody_lives
}

a_server_that_is_killed_comes_back_with_its_data() {
    local server
    state_here
    burn_config
    started_quern one run -c burn.json --threads 1
    run_quern 0 publish burn - < <(yes '{"us": 2000}' | head -n 400)
    wait_for 10 completed_reaches 50
    server=$(redis INFO server | sed -n 's/^process_id:\([0-9]*\).*/\1/p')
    [[ $(tr '\0' ' ' <"/proc/$server/cmdline") == *"$here"* && $server -gt 1 ]] || fail "not our server: $server"
    kill -KILL "$server"
    wait_for 20 completed_reaches 400
    has one.log redis_lost
    wait_for 10 grep -q redis_back one.log
    stop_quern $pid
    equal "$status" 0 status
    wait_for 10 nobody_lives
}

a_folder_that_others_may_write_to_is_refused() {
    state_here
    mkdir -p "$here/state/open"
    chmod 777 "$here/state/open"
    run_quern 2 publish --redis "embedded:$here/state/open" event
    equal "$(lines_of err)" 1 lines
    has err "others may write to"
    run_quern 2 publish --state_dir "$(printf '/very%.0s' {1..30})" event
    equal "$(lines_of err)" 1 lines
}

# A server program that stands still before it serves, until the gate is opened: as one that loads for long. Each is a line in starts.
slow_server() {
    local real
    real=$(command -v redis-server || command -v redis-check-rdb)
    mkdir -- "$here/bin"
    mkfifo -- "$here/gate"
    : >starts
    cat >"$here/bin/redis-server" <<END
#!/bin/bash
echo started >>"$here/starts"
read -r word <"$here/gate"
exec -a redis-server "$real" "\$@"
END
    chmod 700 "$here/bin/redis-server"
    PATH=$here/bin:$PATH
}
open_gate() { timeout 10 bash -c 'echo go >"$1"' open "$here/gate" || fail "nobody stands at the gate"; }
starts_are() { [[ $(lines_of starts) == "$1" ]]; }

a_server_that_loads_for_long_is_waited_for_and_started_once() {
    local supervise n=0
    state_here
    slow_server
    for supervise in true false; do
        n=$((n + 1))
        start_quern run$n run --connect_ms 200 --supervise $supervise event -- true
        wait_for 10 grep -q "waiting for it" run$n.log
        wait_for 10 starts_are $n
        equal "$(lines_of run$n.log)" 1 lines
        open_gate
        wait_for 10 is_started run$n
        has run$n.log "Redis answers"
        run_quern 0 publish event
        stop_quern $pid
        equal "$status" 0 status
        wait_for 10 nobody_lives
        starts_are $n || fail "the server was started anew"
    done
}

a_stop_is_heard_while_the_private_server_loads() {
    local supervise n=0
    state_here
    slow_server
    for supervise in true false; do
        n=$((n + 1))
        start_quern run$n run --connect_ms 60000 --supervise $supervise event -- true
        wait_for 10 starts_are $n
        signal_process TERM $pid
        status_of $pid 10
        equal "$status" 0 status
        equal "$(lines_of run$n.log)" 0 lines
        wait_for 10 nobody_lives
    done
}

one_attempt_is_patient_with_a_server_that_has_to_be_started() {
    state_here
    run_quern 0 publish --connect_ms 0 event
    wait_for 10 nobody_lives
    run_quern 0 stats --connect_ms 0
    wait_for 10 nobody_lives
}

run_all the_private_server_is_said_in_one_line \
    what_was_published_is_there_at_the_next_start \
    a_folder_may_have_any_name two_processes_share_it_and_one_may_be_interrupted \
    an_interrupt_of_the_whole_group_leaves_the_server_to_the_others \
    a_named_folder_is_used_and_its_users_killed_leave_nothing \
    a_server_that_is_killed_comes_back_with_its_data \
    a_folder_that_others_may_write_to_is_refused \
    a_server_that_loads_for_long_is_waited_for_and_started_once \
    a_stop_is_heard_while_the_private_server_loads \
    one_attempt_is_patient_with_a_server_that_has_to_be_started
