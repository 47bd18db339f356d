#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/supervise.sh BUILD [TEST]: handlers that end their process, and processes that are ended from outside. The job that does it is
# found and buried; nobody else is. With ROUNDS=20 in the environment, crashes and kills come twenty times.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

rounds=${ROUNDS:-1}
# These processes are meant to crash: their sanitizers must neither report that nor take the signals for themselves.
export ASAN_OPTIONS=detect_leaks=0:handle_segv=0:handle_abort=0:detect_stack_use_after_return=0:exitcode=0
export TSAN_OPTIONS=handle_segv=0:handle_abort=0:report_bugs=0:exitcode=0

zoo_config() {
    export QUERN_STATE_DIR=$here/state
    printf '{"completed_max": 1000000, "retry_base_ms": 0, "workers": [{"event": "*", "module": "%s/fixtures/zoo.so"%s}]}\n' \
        "$build" "${1:-}" >zoo.json
}

# publish_jobs N WORD: N innocents, and one that says WORD among the first of them.
publish_jobs() {
    { echo "\"$2\"" && printf '"calm"\n%.0s' $(seq "$1"); } | "$quern" publish --redis "$url" job - 2>publish.log || fail "$(<publish.log)"
}

# 49 of 49 are done, and the one is dead for being poison.
one_is_buried() {
    local signal=$1
    equal "$(completed)" 49 "done"
    equal "$(dead)" 1 dead
    equal "$(dead_member reason) $(dead_member signal)" "poison $signal" "reason, signal"
    equal "$(redis EXISTS app.events:app.workers:crashes app.events:app.workers:alone)" 0 "keys of jobs that run alone"
    equal "$(find state/journals -type f | wc -l)" 0 journals
}

# judge WORD SIGNAL: beside one job that says WORD.
poison() {
    local round
    redis_start
    zoo_config
    for ((round = 0; round < rounds; round++)); do
        publish_jobs 49 "$1"
        run_quern 0 run -c zoo.json --redis "$url" --threads 4 --until-empty
        one_is_buried "$2"
        redis FLUSHALL >/dev/null
    done
}

a_job_that_segfaults_is_buried_and_its_neighbours_are_done() {
    poison segv SIGSEGV
    is_plain || return 0
    has err "has crashed: SIGSEGV"
}
a_job_that_aborts_is_buried() { poison abort SIGABRT; }
a_job_that_calls_exit_is_buried() { poison exit 'exit(3)'; }
a_job_that_overflows_its_stack_is_buried() { poison overflow SIGSEGV; }
# Nobody can be named by the process itself: several ran, so each runs alone, and only the one does it again.
a_job_that_ends_the_process_without_a_word_is_buried() { poison _exit 'exit(4)'; }
a_job_that_is_killed_for_its_memory_is_buried() { poison kill SIGKILL; }

calm() { # WORD RETRIES: it is a failed attempt, or none at all, and no crash
    redis_start
    zoo_config ', "retry_limit": 1'
    publish_jobs 20 "$1"
    run_quern 0 run -c zoo.json --redis "$url" --threads 2 --until-empty
    lacks err crashed
    equal "$(completed) $(redis EXISTS app.events:failed)" "$2" "done, dead"
}
an_exception_is_a_failed_attempt() {
    calm throw "20 1"
    equal "$(dead_member reason)" retries_exhausted reason
    has err "thrown an exception"
}
a_handler_that_ends_its_thread_has_failed_and_the_thread_is_replaced() {
    calm thread "20 1"
    has err "pthread_exit"
}
a_child_that_a_handler_forks_is_not_one_of_us() {
    calm fork "21 0"
}
# Whoever has become quern by exec had children: a container's script, a shell that writes the log.
what_ran_before_us_is_not_ours_to_end() {
    local side group
    redis_start
    zoo_config
    publish_jobs 20 segv
    # The first shares our group. The second has one of its own, in which it leaves something behind.
    QUERN=$quern URL=$url setsid bash -c 'sleep 1000 & echo $! >side; set -m
        (sh -c "until test -d state; do sleep 0.01; done; sleep 1000 &"; sleep 1000) & echo $! >>side
        exec "$QUERN" run -c zoo.json --redis "$URL" --until-empty' >one.out 2>one.log &
    status_of $! 60
    equal "$status" 0 status
    { read -r side && read -r group; } <side
    kill "$side" && kill -- "-$group" || fail "what was started before is not there any more"
}
a_child_that_a_handler_forks_may_exit() {
    calm fork-exit "21 0"
}
descriptors_that_a_handler_closes_are_made_again() {
    redis_start
    zoo_config
    started_quern one run -c zoo.json --redis "$url" --threads 2
    publish_jobs 20 close
    wait_for 20 completed_is 21
    wait_for 40 grep -q "this process ends, another is to begin" one.log
    wait_for 40 is_started_times 2
    publish_jobs 20 calm
    wait_for 20 completed_is 42
    stop_quern "$pid"
    equal "$status" 0 status
}
is_started_times() { (($(count_in one.log event=started) >= $1)); }
a_handler_that_spins_for_ever_is_given_up() {
    redis_start
    zoo_config ', "retry_limit": 0, "timeout_ms": 200, "timeout_grace_ms": 100'
    started_quern one run -c zoo.json --redis "$url" --threads 2 --drain_ms 1000
    publish_jobs 20 spin
    wait_for 20 completed_is 20
    wait_for 20 dead_is 1
    equal "$(dead_member reason)" timeout reason
    signal_process TERM "$pid"
    status_of "$pid" 20
    equal "$status" 1 "status: a handler still runs"
    equal "$(find state/journals -type f | wc -l)" 0 journals
}

pool_child() { children_of "$1" | tr ' ' '\n' | head -n 1; }
has_child() { [[ -n $(pool_child "$1") && $(pool_child "$1") != "${2:-}" ]]; }

# Nobody did it: each that ran is a suspect, runs alone, and is done.
a_process_that_is_killed_from_outside_buries_nobody() {
    local round child at_ms took_ms
    redis_start
    zoo_config
    started_quern one run -c zoo.json --redis "$url" --threads 4
    for ((round = 1; round <= 2 * rounds; round++)); do
        publish_jobs 399 calm # two seconds' worth: it is killed long before they are done
        wait_for 20 completed_reaches $((400 * round - 380))
        child=$(pool_child "$pid")
        [[ $(ps_parent "$child") == "$pid" ]] || fail "$child is no child of $pid"
        at_ms=$(now_ms)
        before=$(completed)
        kill -KILL "$child"
        wait_for 10 completed_reaches $((before + 1))
        took_ms=$(($(now_ms) - at_ms))
        echo "# other jobs ran again after $took_ms ms"
        # Later ones come so soon behind each other that the parent pauses.
        ((round > 2 || took_ms < 3000 * slower)) || fail "other jobs ran again only after $took_ms ms"
        wait_for 20 completed_is $((400 * round))
    done
    equal "$(redis EXISTS app.events:failed app.events:app.workers:crashes)" 0 "dead letters, crashes"
    stop_quern "$pid"
    equal "$status" 0 status
}

# Its own crash takes it along once; then the crasher runs elsewhere, and crashes there.
a_long_job_beside_a_crasher_that_crashes_ten_times_is_done() {
    redis_start
    zoo_config
    { echo '"long"' && echo '"segv"'; } | "$quern" publish --redis "$url" job - 2>publish.log
    started_quern one run -c zoo.json --redis "$url" --threads 2 --max_crashes 10
    wait_for 30 dead_is 1
    wait_for 30 completed_is 1
    equal "$(dead_member reason) $(dead_member error)" \
        "poison it has ended the process that ran it 10 times; the last time: SIGSEGV" "reason, error"
    stop_quern "$pid"
}

without_a_parent_the_next_start_finds_who_it_was() {
    redis_start
    zoo_config
    publish_jobs 49 segv
    for _ in 1 2 3; do
        "$quern" run -c zoo.json --redis "$url" --threads 4 --no-supervise --until-empty >>out 2>>err
    done
    run_quern 0 run -c zoo.json --redis "$url" --threads 4 --no-supervise --until-empty
    one_is_buried SIGSEGV
}

# loses_what_was_deleted RUN...: the process that works is killed while it runs a job whose entry somebody has deleted.
loses_what_was_deleted() {
    started_quern one run -c zoo.json --redis "$url" --threads 1 --lease_ms 600000 "$@"
    echo '"spin"' | "$quern" publish --redis "$url" job - 2>publish.log || fail "$(<publish.log)"
    wait_for 20 pending_is 1
    redis XTRIM app.events MAXLEN 0 >/dev/null
    kill -KILL "$(worker_of "$pid")"
}
worker_of() { if has_child "$1"; then pool_child "$1"; else echo "$1"; fi; }
what_was_deleted_while_a_process_that_died_held_it_is_said() {
    redis_start
    zoo_config
    loses_what_was_deleted
    wait_for 20 grep -q '1 jobs that it held are lost: somebody has deleted them' one.log
    wait_for 20 pending_is 0
    stop_quern "$pid"
    loses_what_was_deleted --no-supervise
    status_of "$pid" 20
    run_quern 0 run -c zoo.json --redis "$url" --no-supervise --until-empty
    grep -q 'event=pending_deleted entries=1 consumer=' err || fail "nothing is said: $(<err)"
    equal "$(pending)" 0 pending
}

commands_of_a_process_that_was_killed_are_ended() {
    local child command
    redis_start
    export QUERN_STATE_DIR=$here/state
    started_quern one run --redis "$url" --threads 1 --drain_ms 300 job -- sh -c 'echo $$ >>command; while :; do sleep 1; done'
    run_quern 0 publish --redis "$url" job
    wait_for 10 test -s command
    command=$(head -n 1 command)
    child=$(pool_child "$pid")
    kill -KILL "$child"
    wait_for 10 has_ended "$command"
    wait_for 10 has_child "$pid" "$child"
    signal_process TERM "$pid"
    status_of "$pid" 20
    wait_for 10 has_ended "$(tail -n 1 command)"
}

a_parent_that_is_killed_takes_its_child_along_gently() {
    local child
    redis_start
    zoo_config
    started_quern one run -c zoo.json --redis "$url" --threads 2
    publish_jobs 300 calm
    wait_for 20 completed_reaches 5
    child=$(pool_child "$pid")
    signal_process KILL "$pid"
    wait_for 20 has_ended "$child"
    has one.log event=stopped
    equal "$(pending)" 0 pending
    run_quern 0 run -c zoo.json --redis "$url" --threads 4 --until-empty
    equal "$(completed)" 301 "done"
}

a_child_that_cannot_begin_is_not_started_again() {
    redis_start
    zoo_config
    redis SET app.events text >/dev/null
    run_quern 1 run -c zoo.json --redis "$url"
    equal "$(count_in err "the key app.events")" 1 "lines"
}

run_all a_job_that_segfaults_is_buried_and_its_neighbours_are_done a_job_that_aborts_is_buried a_job_that_calls_exit_is_buried \
    a_job_that_overflows_its_stack_is_buried a_job_that_ends_the_process_without_a_word_is_buried \
    a_job_that_is_killed_for_its_memory_is_buried an_exception_is_a_failed_attempt \
    a_handler_that_ends_its_thread_has_failed_and_the_thread_is_replaced a_child_that_a_handler_forks_is_not_one_of_us \
    what_ran_before_us_is_not_ours_to_end a_child_that_a_handler_forks_may_exit descriptors_that_a_handler_closes_are_made_again \
    a_handler_that_spins_for_ever_is_given_up a_process_that_is_killed_from_outside_buries_nobody \
    a_long_job_beside_a_crasher_that_crashes_ten_times_is_done without_a_parent_the_next_start_finds_who_it_was \
    what_was_deleted_while_a_process_that_died_held_it_is_said commands_of_a_process_that_was_killed_are_ended \
    a_parent_that_is_killed_takes_its_child_along_gently \
    a_child_that_cannot_begin_is_not_started_again
