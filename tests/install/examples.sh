#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/install/examples.sh BUILD: the examples in C below config/examples, built against an installed quern by whoever has
# nothing else of this tree, and run: each does what its first lines say.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"
umask 022 # a module that others may write is refused

# ── Installing and building, once ──

install_quern() {
    cmake --install "$build" --prefix "$scratch/prefix" >"$scratch/log" || { cat "$scratch/log" && exit 1; }
    LD_LIBRARY_PATH=$(dirname "$(find "$scratch/prefix" -name libquern.so)")
    export LD_LIBRARY_PATH PKG_CONFIG_PATH=$LD_LIBRARY_PATH/pkgconfig CFLAGS=-Werror
    quern=$scratch/prefix/bin/quern
}

# build_example NAME PRODUCT: by make, and by CMake into cmake/; both must be there.
build_example() {
    cp -r -- "$tree/config/examples/$1/." .
    { make && cmake -S . -B cmake -G Ninja -DCMAKE_PREFIX_PATH="$scratch/prefix" && cmake --build cmake; } >build.log 2>&1 ||
        fail "$1 is not built: $(tail -n 20 build.log)"
    [[ -s $2 && -s cmake/$2 ]] || fail "$2 is missing"
}

# ── The module ──

the_module_counts_words_whichever_way_it_was_built() {
    local folder
    redis_start
    build_example module words.so
    for folder in . cmake; do
        run_quern 0 publish --redis "$url" text.words '{"text": "to be or not to be said the miller"}'
        run_quern 0 run -c quern.json --redis "$url" --module_path "$here/$folder" --until-empty
    done
    equal "$(completed_field result | sort -u)" '{"words":4,"longest":"miller"}' result
    equal "$(completed)" 2 "done"
}

what_is_wrong_with_a_text_or_an_option_is_said() {
    redis_start
    build_example module words.so
    run_quern 0 publish --redis "$url" text.words '{"text": 7}'
    run_quern 0 run -c quern.json --redis "$url" --module_path "$here" --until-empty
    equal "$(dead_member error)" "text: must be a text"
    sed 's/"min_letters": 3/"min_letters": 0/' quern.json >wrong.json
    run_quern 2 run -c wrong.json --redis "$url" --module_path "$here"
    has err "min_letters: must be a whole number from 1 to 64"
    sed 's/"min_letters"/"letters"/' quern.json >wrong.json
    run_quern 2 run -c wrong.json --redis "$url" --module_path "$here"
    has err "options: there is no key letters"
}

# ── The event loop ──

the_event_loop_publishes_and_runs_each_line() {
    redis_start
    build_example event-loop loop
    seq 5000 >lines
    printf 'no newline' >>lines
    QUERN_REDIS=$url QUERN_COMPLETED_MAX=10000 QUERN_PUBLISH_QUEUE_MAX=100 timeout 30 ./loop <lines >out 2>err ||
        fail "loop: $(<err)"
    equal "$(<out)" "5001 published, 0 not, 5001 ended"
    completed_is 5001 || fail "$(completed) in the log"
    completed_field result | grep -qxF "$(fnv 'no newline')" || fail "the last line is not there"
    [[ ! -s err ]] || fail "it said: $(<err)"
}

# FNV-1a, 64 bits, of a text.
fnv() {
    local i byte hash=$((0xcbf29ce484222325))
    for ((i = 0; i < ${#1}; i++)); do
        printf -v byte %d "'${1:i:1}"
        hash=$(((hash ^ byte) * 1099511628211))
    done
    printf '%016x\n' "$hash"
}

# The rest that has no newline finds the queue full, too.
a_queue_of_one_loses_the_event_loop_no_line() {
    redis_start
    build_example event-loop loop
    seq 300 >lines
    printf 'no newline' >>lines
    QUERN_REDIS=$url QUERN_PUBLISH_QUEUE_MAX=1 timeout 30 ./loop <lines >out 2>err || fail "loop: $(<err)"
    equal "$(<out)" "301 published, 0 not, 301 ended"
}

a_signal_ends_the_event_loop_gracefully() {
    redis_start
    build_example event-loop loop
    mkfifo pipe
    QUERN_REDIS=$url setsid ./cmake/loop <pipe >out 2>err &
    pid=$!
    exec {writer}>pipe
    seq 10 >&"$writer"
    wait_for 10 length_reaches 1
    signal_process TERM "$pid"
    status_of "$pid" 20
    equal "$status" 0
    has out "10 published, 0 not"
    pending_is 0 || fail "it left what it held"
}

# ── The batcher ──

start_batcher() {
    QUERN_REDIS=$url setsid "$@" >out 2>err &
    pid=$!
    wait_for 10 grep -q event=started err
}

is_settled() { pending_is 0 && [[ $(lines_of lines.txt) == "$1" ]]; }

the_batcher_writes_many_lines_at_a_time_and_loses_none() {
    redis_start
    build_example pending batcher
    start_batcher ./batcher lines.txt
    seq 2000 >lines
    run_quern 0 publish --redis "$url" --raw line.append - <lines
    wait_for 20 is_settled 2000
    sort -n lines.txt | cmp - lines || fail "the file differs from the lines"
    signal_process TERM "$pid"
    status_of "$pid" 20
    equal "$status" 0
    [[ $(<out) =~ ^2000\ lines\ in\ ([0-9]+)\ batches$ ]] || fail "it said: $(<out) $(<err)"
    ((BASH_REMATCH[1] >= 125 && BASH_REMATCH[1] <= 1000)) || fail "batches: ${BASH_REMATCH[1]}"
}

a_line_that_cannot_be_written_is_tried_again() {
    redis_start
    build_example pending batcher
    start_batcher ./cmake/batcher /dev/full
    run_quern 0 publish --redis "$url" --raw line.append text
    wait_for 10 is_delayed
    has err "No space left on device"
    signal_process TERM "$pid"
    status_of "$pid" 20
    equal "$status" 0
}

is_delayed() { [[ $(delayed) == 1 ]]; }

install_quern
run_all the_module_counts_words_whichever_way_it_was_built \
    what_is_wrong_with_a_text_or_an_option_is_said \
    the_event_loop_publishes_and_runs_each_line \
    a_queue_of_one_loses_the_event_loop_no_line \
    a_signal_ends_the_event_loop_gracefully \
    the_batcher_writes_many_lines_at_a_time_and_loses_none \
    a_line_that_cannot_be_written_is_tried_again
