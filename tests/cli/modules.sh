#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/modules.sh BUILD: each worker module through the whole program, on real files and real commands.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

# Runs what is in the stream through the workers of $1 (JSON), and ends.
run_workers() {
    printf '{"completed_max": 1000, "workers": %s}\n' "$1" >quern.json
    run_quern 0 run -c quern.json --redis "$url" --until-empty "${@:2}"
}

hex_of() { printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'; }
digest_of() { "$1" <"$2" | cut -d ' ' -f 1; }

deflate_tells_the_checksum_and_the_sizes_of_a_file() {
    local file=$tree/include/quern.h bytes
    redis_start
    run_quern 0 publish --redis "$url" file.deflate "{\"path\": \"$file\"}"
    run_workers '[{"event": "file.deflate", "module": "deflate"}]'
    completed_field result >result
    has result "$(digest_of sha256sum "$file")"
    bytes=$(stat -c %s "$file")
    has result "\"bytes\":$bytes"
    has result '"ratio":'
}

a_file_name_that_is_not_utf8_travels_in_hexadecimal() {
    local name=$'odd \xff\xe9 name\n' hex
    redis_start
    seq 1000 >"$name"
    hex=$(hex_of "$here/$name")
    run_quern 0 publish --redis "$url" file.deflate "{\"path_bytes\": \"$hex\"}"
    run_quern 0 publish --redis "$url" file.digest "{\"path_bytes\": \"$hex\"}"
    run_workers '[{"event": "file.deflate", "module": "deflate"}, {"event": "file.digest", "module": "digest"}]'
    equal "$(completed)" 2 "done"
    equal "$(completed_field result | grep -cF "$(digest_of sha256sum "$name")")" 2 "right checksums"
    has <(completed_field result) "$hex"
}

digest_knows_three_algorithms_of_files_and_texts() {
    local file=$quern name
    redis_start
    for name in sha256 sha512 blake2b512; do
        run_quern 0 publish --redis "$url" d "{\"path\": \"$file\", \"algorithm\": \"$name\"}"
    done
    printf 'grain' >text
    run_quern 0 publish --redis "$url" d '{"text": "grain"}'
    run_workers '[{"event": "d", "module": "digest"}]'
    completed_field result >results
    has results "$(digest_of sha256sum "$file")"
    has results "$(digest_of sha512sum "$file")"
    has results "$(digest_of b2sum "$file")"
    has results "$(digest_of sha256sum text)"
}

a_file_that_is_missing_is_dead_and_named() {
    redis_start
    run_quern 0 publish --redis "$url" d '{"path": "/no/such/file"}'
    run_workers '[{"event": "d", "module": "digest"}]'
    has err reason=rejected
    equal "$(dead)" 1 dead
    has err '/no/such/file: No such file or directory'
}

# A command that forks, and whose child forks once more: all of them share the group, and hold the file open.
a_timeout_ends_the_whole_group_of_a_command() {
    local began took pids pid
    redis_start
    cat >fork.sh <<'END'
(sleep 100 & echo $! >>pids; sleep 100) &
echo $! >>pids
sleep 100
END
    run_quern 0 publish --redis "$url" slow
    began=$(now_ms)
    run_workers '[{"event": "slow", "module": "exec", "timeout_ms": 500, "options": {"command": ["sh", "fork.sh"], "kill_grace_ms": 200}}]' \
        --threads 1
    took=$(($(now_ms) - began))
    ((took >= 400)) || fail "it ended after $took ms"
    ((took < 20000)) || fail "it took $took ms"
    has err "its timeout is over"
    mapfile -t pids <pids
    equal "${#pids[@]}" 2 "children"
    for pid in "${pids[@]}"; do wait_for 5 is_gone "$pid"; done
}
is_gone() { [[ ! -e /proc/$1 || $(tr '\0' ' ' </proc/"$1"/cmdline 2>/dev/null) != *sleep* ]]; }

exec_keeps_output_up_to_its_bound_and_no_secret_reaches_the_command() {
    redis_start
    run_quern 0 publish --redis "$url" long
    run_quern 0 publish --redis "$url" env
    QUERN_REDIS=$url run_workers '[{"event": "long", "module": "exec", "options": {"command": ["seq", "100000"], "result_max_bytes": 100}},
        {"event": "env", "module": "exec", "options": {"command": ["env"]}}]'
    redis XRANGE app.events:app.workers:completed - + >results
    has results "more bytes]"
    has results QUERN_ID=
    lacks results QUERN_REDIS
}

exec_gives_the_whole_message_to_a_command_that_asks_for_it() {
    redis_start
    cat >message.sh <<'END'
cat >message && cat message >>messages && echo >>messages
grep -q '"retries":1,' message
END
    run_quern 0 publish --redis "$url" whole '{"a": [1.50, "two"]}'
    redis XADD app.events '*' message '{"event": "whole", "data": {"b":1}, "timestamps": {"created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z"}}' >/dev/null
    run_workers '[{"event": "whole", "module": "exec", "retry_base_ms": 0, "options": {"command": ["sh", "message.sh"], "input": "message"}}]' \
        --threads 1
    equal "$(lines_of messages)" 4 "attempts"
    equal "$(grep -c '^{"id":"[^"]*","event":"whole","retries":[01],"timestamps":{"created_at":"[^"]*","updated_at":"[^"]*"},"entry":"[0-9]*-[0-9]*","deliveries":[12],"data":{.*}}$' messages)" \
        4 "whole messages"
    equal "$(grep -c '"data":{"a": \[1.50, "two"\]}}$' messages)" 2 "of the first, its data as published"
    equal "$(grep -c '"created_at":"2026-01-02T03:04:05Z"' messages)" 2 "of the second, with its own timestamps"
    equal "$(dead)" 0 "dead"
}

burn_burns_sleeps_and_echoes() {
    local spent
    redis_start
    run_quern 0 publish --redis "$url" burn '{"us": 200000, "sleep_us": 100000, "echo": "three hundred"}'
    run_workers '[{"event": "burn", "module": "burn"}]'
    has <(completed_field result) "three hundred"
    spent=$(completed_field run_ms)
    ((${spent%.*} >= 300)) || fail "it took $spent ms"
}

what_burn_lets_fail_is_tried_again_or_dead_and_is_counted() {
    redis_start
    burn_config '"retry_base_ms": 0'
    run_quern 0 publish --redis "$url" burn '{"fail_times": 1}'
    run_quern 0 publish --redis "$url" burn '{"dead": true}'
    run_quern 0 publish --redis "$url" burn '{"uss": "not a number", "us": "x"}'
    started_quern one run -c burn.json --redis "$url"
    wait_for 10 completed_is 1
    wait_for 10 dead_is 2
    stop_quern $pid
    has one.log 'outcome=retry retries=0 again_in_ms=0 error="told to fail 1 times"'
    has one.log 'reason=rejected retries=0 error="told to be dead"'
    has one.log left_pending=0
    has one.log done=1
    equal "$(completed_field retries)" 1 "retries of what was done"
    equal "$(pending) $(retry_length) $(delayed)" "0 0 0" "pending, given back, delayed"
}

run_all deflate_tells_the_checksum_and_the_sizes_of_a_file \
    a_file_name_that_is_not_utf8_travels_in_hexadecimal \
    digest_knows_three_algorithms_of_files_and_texts \
    a_file_that_is_missing_is_dead_and_named \
    a_timeout_ends_the_whole_group_of_a_command \
    exec_keeps_output_up_to_its_bound_and_no_secret_reaches_the_command \
    exec_gives_the_whole_message_to_a_command_that_asks_for_it \
    burn_burns_sleeps_and_echoes \
    what_burn_lets_fail_is_tried_again_or_dead_and_is_counted
