#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/long.sh BUILD: what takes minutes: not among the tests of every day.
#
#     tests/cli/long.sh build            all of it, about four minutes
#     ROUNDS=20 tests/cli/supervise.sh build    the crashes of supervise.sh, twenty rounds each
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

readonly JOBS=200000 ROUNDS=20

all_have_run() { completed_reaches 64; }

# Each burns 1.8 s of CPU; on two cores all of them take about a minute.
sixty_four_threads_that_spin_for_a_minute_lose_no_lease() {
    local from_ms
    redis_start
    burn_config '"lease_ms": 1000, "reap_ms": 200'
    burn_jobs 64 '{"us": 1800000}'
    from_ms=$(now_ms)
    started_quern one run -c burn.json --redis "$url" --threads 64 --prefetch_max 128 --state_dir "$here/one"
    started_quern two run -c burn.json --redis "$url" --threads 1 --prefetch_ms 0 --state_dir "$here/two" # takes what is let go
    wait_for 200 all_have_run
    echo "#   64 jobs of 1.8 s in $((($(now_ms) - from_ms) / 1000)) s"
    lacks one.log lease_lost
    lacks one.log event=reclaimed
    lacks two.log event=reclaimed
    equal "$(completed)" 64 "done"
    stop_quern "$pid"
}

child_of() { children_of "$1" | tr ' ' '\n' | head -n 1; }
descriptors() { find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l; }
threads_of() { find "/proc/$1/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l; }
rss_kib() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status" 2>/dev/null; }

is_at_base() {
    local child
    child=$(child_of "$1")
    [[ -n $child && $(descriptors "$1") -le $base_parent_fds && $(descriptors "$child") -le $base_fds &&
        $(threads_of "$child") -le $base_threads && $(rss_kib "$child") -le $((base_rss + 4096)) &&
        $(rss_kib "$1") -le $((base_parent_rss + 1024)) ]]
}

fault() { # ROUND: to one of the two, or to the server
    local of=$((first)) child
    (($1 % 2)) && of=$((second))
    child=$(child_of "$of")
    case $(($1 % 3)) in
    0)
        redis_kill
        redis_start --appendonly yes --appendfsync always
        ;;
    1) [[ -z $child ]] || kill -KILL "$child" ;;
    2)
        [[ -n $child ]] || return 0
        kill -STOP "$child"
        read -rt 2 <&"$never" # the fault itself: longer than a lease
        kill -CONT "$child"
        ;;
    esac
}

twenty_faults_in_200000_jobs_lose_nothing_and_leave_nothing() {
    local round child
    redis_start --appendonly yes --appendfsync always
    burn_config '"lease_ms": 1000, "reap_ms": 200, "retry_base_ms": 100'
    sed -i 's/"completed_max": [0-9]*/"completed_max": 1000000/' burn.json
    burn_jobs $JOBS '{"us": 300}'
    equal "$(remember_ids)" $JOBS ids
    started_quern one run -c burn.json --redis "$url" --threads 2 --state_dir "$here/one"
    first=$pid
    started_quern two run -c burn.json --redis "$url" --threads 2 --state_dir "$here/two"
    second=$pid
    wait_for 30 completed_reaches 3000
    child=$(child_of "$first")
    base_fds=$(descriptors "$child") base_threads=$(threads_of "$child") base_rss=$(rss_kib "$child")
    base_parent_fds=$(descriptors "$first") base_parent_rss=$(rss_kib "$first")
    for ((round = 1; round <= ROUNDS; round++)); do
        fault "$round"
        wait_for 60 completed_reaches $((round * 7000))
        wait_for 30 is_at_base "$first"
        wait_for 30 is_at_base "$second"
    done
    wait_for 200 completed_reaches $JOBS
    wait_for 20 pending_is 0
    equal "$(settled_ids)" "$JOBS more 0 missing 0" ids
    equal "$(redis EXISTS app.events:failed)" 0 "dead letters: nobody is to blame"
    echo "#   child: $base_rss KiB, $base_fds descriptors, $base_threads threads; parent: $base_parent_rss KiB"
    echo "#   crashes $(cat ./*.log | grep -c 'has crashed'), leases lost $(cat ./*.log | grep -c lease_lost), outages $(cat ./*.log | grep -c redis_lost)"
    stop_quern "$first"
    stop_quern "$second"
    equal "$(redis KEYS 'app.events*' | sort | tr '\n' ' ')" "app.events app.events:app.workers:completed " keys
    equal "$(find one/journals two/journals -type f | wc -l)" 0 journals
}

run_all sixty_four_threads_that_spin_for_a_minute_lose_no_lease twenty_faults_in_200000_jobs_lose_nothing_and_leave_nothing
