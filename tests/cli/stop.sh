#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/stop.sh BUILD: how quern run ends: asked, asked twice, in vain, and without being asked. What it had not started
# runs elsewhere at once, what it had started is finished once, and what it could not finish is not lost.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

# For processes that must leave threads behind, because a handler does not return.
may_leave_threads() { export TSAN_OPTIONS=${TSAN_OPTIONS:+$TSAN_OPTIONS:}report_thread_leaks=0; }

# Does the group hold so many?
holds() { at_least "$(pending)" "$1"; }

a_stop_finishes_what_runs_and_the_rest_runs_elsewhere_at_once() {
    local began before one took
    redis_start
    burn_config '"lease_ms": 60000, "prefetch_ms": 20000'
    burn_jobs 30 '{"sleep_us": 500000}'
    remember_ids >/dev/null
    started_quern one run -c burn.json --redis "$url" --threads 2 --consumer one
    one=$pid
    wait_for 10 completed_reaches 2
    wait_for 10 holds 8
    before=$(completed)
    signal_process TERM "$one"
    status_of "$one" 10
    equal "$status" 0 status
    # Two that run, and two that may have begun since it was counted.
    (($(completed) <= before + 4)) || fail "it went on with new jobs: $before done before, $(completed) behind it"
    equal "$(pending)" 0 "still pending after the stop"
    began=$(now_ms)
    run_quern 0 run -c burn.json --redis "$url" --threads 30 --until-empty
    took=$(($(now_ms) - began))
    equal "$(settled_ids)" "30 more 0 missing 0"
    ((took < 40000)) || fail "the rest took $took ms: its lease is 60 s"
    lacks one.log job_left
    has one.log left_pending=0
}

a_second_signal_ends_it_at_once() {
    may_leave_threads
    redis_start
    burn_config
    burn_jobs 2 '{"sleep_us": 20000000}'
    started_quern one run -c burn.json --redis "$url" --threads 2
    wait_for 10 holds 2
    signal_process INT $pid
    wait_for 5 grep -q . one.log
    read -rt 0.2 <&"$never"
    ! has_ended $pid || fail "it did not wait for its jobs"
    signal_process INT $pid
    status_of $pid 4 # its jobs take 20 s
    equal "$status" 1 status
    has one.log "second signal: leaving at once"
    equal "$(pending) $(retry_length)" "0 2" "pending, given back"
}

# exec's commands do not listen to SIGTERM, and kill_grace_ms is long: nothing can end this handler.
a_handler_that_never_returns_is_said_within_drain_ms() {
    local began took
    may_leave_threads
    redis_start
    cat >quern.json <<'END'
{"drain_ms": 700, "workers": [{"event": "hang", "module": "exec", "options": {"command": ["/bin/sh", "-c",
 "trap '' TERM; while :; do read -t 1 x < never || sleep 0.1; done"], "kill_grace_ms": 20000}}]}
END
    run_quern 0 publish --redis "$url" hang
    started_quern one run -c quern.json --redis "$url" --threads 2
    wait_for 10 holds 1
    began=$(now_ms)
    signal_process TERM $pid
    status_of $pid 20
    took=$(($(now_ms) - began))
    equal "$status" 1 status
    has one.log "still running: 1 handlers"
    ((took >= 600)) || fail "it gave up after $took ms"
    ((took < 15000)) || fail "it took $took ms: its command would have been killed after 20 s"
    equal "$(pending) $(retry_length)" "0 1" "pending, given back"
    group=$(pgrep_hanging)
    [[ -z $group ]] || kill -KILL -- "-$group"
}
# The command that outlives its worker here is ours to end: the leader of a group, whose working directory is the test's.
pgrep_hanging() {
    local entry stat
    for entry in /proc/[0-9]*; do
        [[ $(readlink "$entry/cwd" 2>/dev/null) == "$here" && $(tr '\0' ' ' <"$entry/cmdline" 2>/dev/null) == *"trap '' TERM"* ]] ||
            continue
        stat=$(<"$entry/stat") || continue
        stat=${stat##*) }
        set -- $stat
        [[ $3 == "${entry#/proc/}" && $3 -gt 1 ]] && echo "$3"
    done
}

a_kill_loses_nothing() {
    local left
    redis_start
    burn_config
    burn_jobs 3000 '{"us": 300}'
    remember_ids >/dev/null
    started_quern one run -c burn.json --redis "$url" --threads 2 --trim false --no-supervise --state_dir "$here/one"
    wait_for 20 completed_reaches 300
    signal_process KILL $pid
    status_of $pid 5
    # Done, pending with the dead one, or not yet delivered: every id is in one of them.
    left=$(redis EVAL '
        local from, held, waiting = "-", #redis.call("XPENDING", KEYS[1], ARGV[1], "-", "+", 100000), 0
        for _, group in ipairs(redis.call("XINFO", "GROUPS", KEYS[1])) do waiting = group[12] end
        return held + waiting + redis.call("XLEN", KEYS[2])' 2 app.events app.events:app.workers:completed app.workers)
    ((left >= 3000)) || fail "$left of 3000 are done, pending or waiting"
    equal "$(length)" 3000 "entries (untrimmed)"
    started_quern two run -c burn.json --redis "$url" --threads 2
    wait_for 20 waiting_is_nothing
    stop_quern $pid
    # What the second one still held when it was told to stop it has released: to the retry stream.
    (($(completed) + $(pending) + $(retry_length) >= 3000)) ||
        fail "$(completed) done, $(pending) pending and $(retry_length) released of 3000"
    (($(pending) <= 1024)) || fail "$(pending) pending"
}
# Of the group: everything was delivered, and is done or held.
waiting_is_nothing() {
    local all
    all=$(redis EVAL 'return redis.call("XINFO", "GROUPS", KEYS[1])[1][12]' 1 app.events)
    [[ $all == 0 && $(($(completed) + $(pending))) -ge 3000 ]]
}

a_stop_while_redis_is_away_ends_within_drain_ms() {
    redis_start
    burn_config '"drain_ms": 1000'
    burn_jobs 100 '{"sleep_us": 300000}'
    started_quern one run -c burn.json --redis "$url" --threads 2
    wait_for 10 holds 2
    redis_kill
    wait_for 10 grep -q redis_lost one.log
    signal_process TERM $pid
    status_of $pid 5 # drain_ms by itself is 25 s
}

# Threads that had nothing to say during the outage find their connections broken only now.
a_stop_after_an_outage_is_as_quick_as_any() {
    local began took
    redis_start --appendonly yes
    burn_config
    started_quern one run -c burn.json --redis "$url" --threads 2
    redis_kill
    wait_for 10 grep -q redis_lost one.log
    redis_start --appendonly yes
    wait_for 10 grep -q redis_back one.log
    began=$(now_ms)
    stop_quern $pid
    took=$(($(now_ms) - began))
    equal "$status" 0 status
    ! is_plain || ((took < 3000)) || fail "it took $took ms"
    equal "$(count_in one.log redis_lost)" 1 "lines of loss"
    lacks one.log farewell_failed
}

# Left at once by their process, they would run beside the ones that the next start begins for the same jobs.
a_second_signal_ends_the_commands_too() {
    may_leave_threads
    redis_start
    started_quern one run --redis "$url" --threads 1 job -- sh -c 'echo $$ >command; exec sleep 1000'
    run_quern 0 publish --redis "$url" job
    wait_for 10 test -s command
    signal_process INT "$pid"
    wait_for 5 grep -q 'quern: stopping' one.log
    read -rt 0.2 <&"$never" # two signals at once are one wish
    signal_process INT "$pid"
    status_of "$pid" 5
    has one.log "second signal: leaving at once"
    wait_for 10 has_ended "$(<command)"
}

run_all a_stop_finishes_what_runs_and_the_rest_runs_elsewhere_at_once \
    a_second_signal_ends_it_at_once \
    a_second_signal_ends_the_commands_too \
    a_handler_that_never_returns_is_said_within_drain_ms \
    a_kill_loses_nothing \
    a_stop_while_redis_is_away_ends_within_drain_ms \
    a_stop_after_an_outage_is_as_quick_as_any
