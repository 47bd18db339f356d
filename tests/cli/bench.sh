#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/bench.sh BUILD: quern bench measures, says which side is the limit, and leaves nothing behind, however it ends.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

readonly nowhere=unix:///nobody/listens/here

# A number of out's JSON.
member() { grep -o "\"$1\":[^,}]*" out | head -n 1 | sed 's/^[^:]*://'; }
is_positive() { [[ $1 =~ ^[0-9.]+$ && $1 != 0 && $1 != 0.0 ]] || fail "$2: $1"; }
keys() { redis KEYS "$1"; }
has_keys() { [[ -n $(keys "$1") ]]; }
is_empty() { equal "$(redis DBSIZE)" "${1:-0}" "keys"; }

a_bench_measures_both_sides_and_leaves_nothing() {
    local limit
    redis_start
    run_quern 0 bench --redis "$url" --jobs 3000 --bytes 100 --threads 3
    has out "3000 jobs of 100 bytes, 3 threads"
    grep -qE '^publish +[0-9]+ ' out || fail "no line for publish"
    grep -qE '^drain +[0-9]+ ' out || fail "no line for drain"
    limit='(server|process|machine|neither side|which side) is the limit'
    (($(grep -cE "$limit" out) == 2)) || fail "no verdicts: $(<out)"
    grep -qE '^latency .* p50 [0-9]+ us, p99 [0-9]+ us' out || fail "no latency"
    grep -qE '^handlers longer than [0-9.]+ us keep all 3 threads busy' out || fail "no duration"
    [[ ! -s err ]] || fail "something was said: $(<err)"
    is_empty
    run_quern 0 bench --redis "$url" --jobs 40000 --json
    [[ $(redis EVAL 'return pcall(cjson.decode, ARGV[1]) and 1 or 0' 0 "$(<out)") == 1 ]] || fail "no JSON: $(<out)"
    equal "$(lines_of out)" 1 lines
    equal "$(member jobs) $(member bytes)" "40000 64"
    for name in per_s our_cpu_us server_cpu_us round_trip_us p50_us p99_us fills_threads_us; do
        is_positive "$(member $name)" $name
    done
    is_empty
}

what_others_have_stays_as_it_is() {
    redis_start
    redis XADD app.events 1-0 id a event e data 1 >/dev/null
    redis XADD letters 1-0 id a event e data 1 >/dev/null
    redis XGROUP CREATE app.events app.workers 0 >/dev/null
    run_quern 0 bench --redis "$url" --jobs 100 --completed_max 50 --dead_letter_stream letters --max_pending 10 \
        --required_groups '["app.workers"]' --unique_by content --stream app.events --group app.workers --json
    is_empty 2
    equal "$(length) $(length letters) $(pending)" "1 1 0"
}

# ended_by SIGNAL JOBS KEYS: once there are such keys. Behind the jobs come single ones, which take more than a second.
ended_by() {
    setsid env --default-signal=INT "$quern" bench --redis "$url" --jobs "$2" </dev/null >bench.out 2>bench.log &
    pid=$!
    wait_for 20 has_keys "$3"
    signal_process "$1" "$pid"
    status_of "$pid" 30
    equal "$status" 1 "status after SIG$1"
    has bench.log "stopped by a signal"
    is_empty
}

one_that_is_stopped_leaves_nothing() {
    redis_start
    ended_by INT 20000000 'quern-bench-*'
    ended_by TERM 20000000 'quern-bench-*'
    ended_by INT 20000 'quern-bench-*:retry'
}

one_that_has_no_room_publishes_nothing() {
    redis_start --maxmemory 20mb
    run_quern 1 bench --redis "$url" --jobs 1000000
    has err "has not room enough"
    is_empty
}

in_a_cluster_its_stream_has_a_hash_tag() {
    local port
    port=$((20000 + RANDOM % 10000))
    redis_start --cluster-enabled yes --cluster-port "$port" --bind 127.0.0.1
    redis CLUSTER ADDSLOTSRANGE 0 16383 >/dev/null
    wait_for 10 cluster_is_whole
    run_quern 0 bench --redis "$url" --jobs 500
    is_empty
}
cluster_is_whole() { redis CLUSTER INFO | grep -q cluster_state:ok; }

without_a_server_it_says_so_and_fails() {
    run_quern 1 bench --redis $nowhere
    has err "no Redis at $nowhere"
    equal "$(lines_of err)" 1 lines
}

wrong_words_are_refused() {
    local words
    for words in 'bench now' 'bench --jobs 0' 'bench --jobs x' 'bench --bytes 1' 'bench --bytes -5' \
        'bench --jobs 100000000 --bytes 1000' 'bench --limit 5'; do
        # shellcheck disable=SC2086 # the words
        run_quern 2 $words --redis $nowhere
        equal "$(lines_of err)" 1 "lines for '$words'"
    done
    redis_start
    run_quern 2 bench --redis "$url" --jobs 10 --bytes 2000000
    has err payload_max_bytes
    is_empty
}

what_cannot_be_written_is_an_error() {
    local status=0
    redis_start
    "$quern" bench --redis "$url" --jobs 100 >/dev/full 2>err || status=$?
    equal "$status" 1 status
    has err "standard output"
    is_empty
}

run_all a_bench_measures_both_sides_and_leaves_nothing \
    what_others_have_stays_as_it_is \
    one_that_is_stopped_leaves_nothing \
    one_that_has_no_room_publishes_nothing \
    in_a_cluster_its_stream_has_a_hash_tag \
    without_a_server_it_says_so_and_fails \
    wrong_words_are_refused \
    what_cannot_be_written_is_an_error
