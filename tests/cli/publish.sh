#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/publish.sh BUILD: quern publish: what is confirmed is in the stream, once; what is wrong is named by its line; and a
# server that does not answer is given up in time.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

readonly nowhere=unix:///nowhere/at/all

# The data of each entry of the stream, a line each.
stream_data() { redis XRANGE app.events - + | grep -xA 1 data | grep -vxF -e data -e --; }

a_single_job_prints_its_id() {
    redis_start
    run_quern 0 publish --redis "$url" mail.send '{"to": "x"}'
    [[ $(<out) =~ ^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$ ]] || fail "id: $(<out)"
    [[ ! -s err ]] || fail "it said: $(<err)"
    redis XRANGE app.events - + >entries
    has entries "$(<out)"
    equal "$(stream_data)" '{"to": "x"}'
}

data_comes_from_a_file_or_is_an_empty_object() {
    redis_start
    printf '{"from": "a file"}' >job.json
    run_quern 0 publish --redis "$url" event @job.json
    run_quern 0 publish --redis "$url" event
    run_quern 0 publish --redis "$url" event '"@text"'
    equal "$(stream_data)" $'{"from": "a file"}\n{}\n"@text"'
}

ten_thousand_lines_are_published_in_order() {
    redis_start
    seq 10000 >lines
    run_quern 0 publish --redis "$url" event - <lines
    has err "10000 published"
    cmp lines <(stream_data) || fail "the stream differs from the lines"
}

empty_lines_are_passed_over_and_the_last_needs_no_newline() {
    redis_start
    printf '1\n\n2\r\n\n3' >lines
    run_quern 0 publish --redis "$url" event - <lines
    equal "$(stream_data)" $'1\n2\n3'
    printf 'a\r\r\nb\r' >lines # one CR is of an end of line, others are data
    redis DEL app.events >gone
    run_quern 0 publish --redis "$url" --raw event - <lines
    equal "$(stream_data)" $'a\r\nb\r'
    run_quern 0 publish --redis "$url" event - </dev/null
    has err "0 published"
}

lines_that_come_slowly_are_not_kept_waiting() {
    redis_start
    mkfifo pipe
    "$quern" publish --redis "$url" event - <pipe >out 2>err &
    pid=$!
    exec {writer}>pipe
    printf '1\n2\n' >&"$writer"
    wait_for 5 length_is 2
    printf '3\n"cut' >&"$writer"
    wait_for 5 length_is 3
    printf ' here"' >&"$writer"
    exec {writer}>&-
    status_of $pid 5
    equal "$status" 0 status
    equal "$(stream_data)" $'1\n2\n3\n"cut here"'
}

a_directory_as_standard_input_is_an_error() {
    redis_start
    run_quern 1 publish --redis "$url" event - <"$here"
    has err "standard input: Is a directory"
}

a_bad_line_is_named_and_those_before_it_are_in_the_stream() {
    local bad at
    redis_start
    for at in 1 2 700 1024; do
        for bad in '{"cut": ' $'"not utf-8 \xff"' 'word'; do
            redis DEL app.events >/dev/null
            { seq $((at - 1)) && printf '%s\n' "$bad" && seq 5000; } >lines
            run_quern 1 publish --redis "$url" event - <lines
            has err "line $at: "
            has err "$((at - 1)) published"
            equal "$(length)" $((at - 1)) "entries before line $at"
        done
    done
}

what_is_wrong_is_refused_without_any_server() {
    run_quern 2 publish --redis $nowhere '' '{}'
    has err "the event is empty"
    run_quern 2 publish --redis $nowhere '' - <<<1
    has err "the event is empty"
    run_quern 2 publish --redis $nowhere - <<<1
    has err 'the event is missing before "-"'
    run_quern 2 publish --redis $nowhere event '{}' more
    has err "'more' is one argument too many"
    run_quern 2 publish --redis $nowhere "$(printf 'e%.0s' {1..257})" '{}'
    has err "256"
    run_quern 2 publish --redis $nowhere $'\xff' '{}'
    has err "not UTF-8"
    run_quern 2 publish --redis $nowhere $'a\tb' '{}'
    has err "control character"
    run_quern 2 publish --redis $nowhere event '{"a": }'
    has err "not JSON"
    run_quern 2 publish --redis $nowhere event $'"\xc3("'
    has err "not JSON"
    run_quern 2 publish --redis $nowhere --payload_max_bytes 10 event '"12345678901"'
    has err "payload_max_bytes is 10"
    head -c 2000000 /dev/zero >large
    run_quern 2 publish --redis $nowhere event @large
    has err "payload_max_bytes is 1048576"
    run_quern 2 publish --redis $nowhere event @missing
    has err "missing: No such file"
    run_quern 1 publish --redis $nowhere --timeout 0.2 event - < <(printf '{}\n{\n')
    equal "$(lines_of err)" 2 lines
}

an_oversize_line_is_named() {
    redis_start
    { seq 3 && printf '"%0100d"\n' 0 && seq 3; } >lines
    run_quern 1 publish --redis "$url" --payload_max_bytes 50 event - <lines
    has err "line 4: "
    equal "$(length)" 3
}

without_a_server_it_gives_up_in_time_and_says_which_line() {
    local began took
    began=$(now_ms)
    run_quern 1 publish --redis $nowhere --timeout 1.5 event - < <(seq 2000)
    took=$(($(now_ms) - began))
    ((took >= 1000 && took < 4500 * slower)) || fail "it took $took ms"
    has err "line 1 is the first that was not confirmed"
    has err "0 published"
    run_quern 1 publish --redis $nowhere --timeout 0.1 event
    has err "not published: no Redis at $nowhere"
    [[ ! -s out ]] || fail "an id was printed for what is not published"
}

it_waits_within_its_time_for_a_server_that_comes() {
    url=unix://$here/redis.sock
    seq 100 >lines
    "$quern" publish --redis "$url" --timeout 20 event - <lines >out 2>err &
    pid=$!
    redis_start
    status_of "$pid" 20
    equal "$status" 0 status
    equal "$(length)" 100
}

# Feeds lines without end until told to stop, so that the server is stopped in the middle of a stream of lines.
feed() {
    local i
    for ((i = 1; ; i++)); do
        echo "$i"
        ((i % 200)) || [[ ! -e enough ]] || break
    done
}

a_server_that_is_stopped_for_a_while_gets_every_line_once() {
    redis_start
    feed | tee lines | "$quern" publish --redis "$url" --timeout 30 event - 2>err &
    pid=$!
    wait_for 10 length_reaches 3000
    for _ in 1 2 3; do
        signal_process STOP "$redis_pid"
        read -rt 0.3 <&"$never" || true
        signal_process CONT "$redis_pid"
        wait_for 10 length_reaches $(($(length) + 2000))
    done
    : >enough
    status_of "$pid" 30
    equal "$status" 0 status
    stream_data >published
    cmp lines published || fail "$(wc -l <lines) lines, $(wc -l <published) published"
    has err "$(wc -l <lines) published"
}

# Redis takes the call, and does not answer.
what_was_not_answered_is_named_by_its_id() {
    redis_start
    redis CLIENT PAUSE 60000 WRITE >said
    run_quern 1 publish --redis "$url" --timeout 1 event 1
    grep -qE "the job [0-9a-f-]{36}: it may have been published, or not" err || fail "it said: $(<err)"
    ! grep -q "not published" err || fail "it said: $(<err)"
    [[ ! -s out ]] || fail "it printed: $(<out)"
}

# Each line is confirmed or not; what the last words say must be what the log of the killed server holds.
a_server_that_is_killed_for_good_leaves_the_number_that_was_said() {
    local first
    redis_start --appendonly yes --appendfsync always
    feed | "$quern" publish --redis "$url" --timeout 2 event - 2>err &
    pid=$!
    wait_for 10 length_reaches 2000
    redis_kill
    : >enough
    status_of "$pid" 30
    equal "$status" 1 status
    first=$(sed -n 's/^quern: line \([0-9]*\) is the first that was not confirmed.*/\1/p' err)
    [[ -n $first ]] || fail "no line was named"
    has err "$((first - 1)) published"
    redis_start --appendonly yes
    # The batches whose answers were lost may be there, whole, the second only behind the first, and nothing behind them.
    (($(length) >= first - 1 && $(length) <= first - 1 + 2 * 128 && ($(length) - first + 1) % 128 == 0)) || fail "line $first, but $(length) entries"
}

# What is confirmed is in the file by then, and what is not is asked for again under its number. Killed once only: Redis 7.0.15 cuts a
# transaction that it finds torn in its file behind the last whole command, and at the second start runs what is left of it.
restart_with_its_log() { # OPTION …: of the publisher's
    redis_start --appendonly yes --appendfsync always
    feed | tee lines | "$quern" publish --redis "$url" --timeout 30 "$@" event - 2>err &
    pid=$!
    wait_for 10 length_reaches 2000
    redis_kill
    redis_start --appendonly yes --appendfsync always
    wait_for 10 length_reaches 5000
    : >enough
    status_of "$pid" 30
    equal "$status" 0 status
    cmp lines <(stream_data) || fail "the stream differs from the lines"
}

a_server_that_restarts_with_its_log_gets_every_line_once() { restart_with_its_log; }
a_server_that_restarts_with_its_log_gets_every_unique_line_once() { restart_with_its_log --unique_by content; }

a_group_is_made_where_one_is_named() {
    redis_start
    run_quern 0 publish --redis "$url" event
    equal "$(redis XINFO GROUPS app.events)" "" groups
    run_quern 0 publish --redis "$url" --group mine event
    redis XINFO GROUPS app.events >groups
    has groups mine
}

a_unique_job_is_published_once_and_its_id_is_printed_again() {
    local first
    redis_start
    run_quern 0 publish --redis "$url" --unique july event 1
    first=$(<out)
    run_quern 0 publish --redis "$url" --unique july event 2
    equal "$(<out)" "$first"
    has err "not published once more"
    run_quern 0 publish --redis "$url" --unique-ms 1000 --unique august event 3
    equal "$(stream_data)" $'1\n3'
    printf '{"a": 1, "b": 2}\n{"b":2,"a":1}\n3\n' >lines
    run_quern 0 publish --redis "$url" --unique_by content event - <lines
    equal "$(stream_data | tail -n +3)" $'{"a": 1, "b": 2}\n3'
    has err "2 published"
    has err "1 more were not: their windows were open"
    run_quern 0 publish event 4 --redis "$url" --unique september # behind the words, too
    equal "$(stream_data | tail -n 1)" 4
    run_quern 0 publish --redis "$url" event -- -5
    equal "$(stream_data | tail -n 1)" -5
    run_quern 2 publish --redis "$url" --unique july event - <lines
    has err "--unique_by content tells them by their data"
    run_quern 2 publish --redis "$nowhere" --unique '' event 1
    has err "the unique key is empty"
}

a_delayed_job_waits_with_what_it_was_given() {
    redis_start
    run_quern 0 publish --redis "$url" --delay_ms 3600000 --key k7 --expire_at_ms 9999999999999 event 1
    equal "$(redis XLEN app.events)" 0
    equal "$(redis ZRANGE app.events:scheduled 0 -1)" "$(<out)"
    equal "$(redis EVAL "return cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1]))" 1 app.events:scheduled:jobs "$(<out)" | tail -n 4 | tr '\n' ' ')" \
        "key k7 expire_at 9999999999999 "
    run_quern 2 publish --redis "$nowhere" --delay_ms -1 event 1
    has err "--delay_ms: '-1' is not a whole number from 0"
    run_quern 2 publish --redis "$nowhere" --delay_ms 1 --at_ms 1 event 1
    has err "both delay_ms and at_ms are set"
}

raw_data_is_published_as_it_is() {
    redis_start
    printf 'no JSON\377' >bytes
    run_quern 0 publish --redis "$url" --raw event @bytes
    redis --no-raw XRANGE app.events - + >entries
    has entries '"no JSON\xff"'
    has entries '"data_type"'
    run_quern 2 publish --redis "$nowhere" event @bytes
    run_quern 2 publish --redis "$nowhere" --publish_shape object --raw event @bytes
    has err 'publish_shape "fields" takes them'
}

what_finds_no_room_is_named_by_its_line() {
    redis_start
    seq 30 >lines
    run_quern 1 publish --redis "$url" --max_pending 20 event - <lines
    has err "line 21 is the first that was not confirmed: no room: max_pending (20) jobs wait for group app.workers"
    has err "20 published"
    run_quern 1 publish --redis "$url" --max_pending 20 event 31
    has err "not published: no room"
    run_quern 0 publish --redis "$url" --max_pending 20 --on_max_pending drop_oldest event 31
    has err "1 older made room for it"
    run_quern 0 publish --redis "$url" --max_pending 20 --on_max_pending drop_oldest event - <lines
    has err "30 older made room: they are dead letters (dropped)"
    run_quern 2 publish --redis "$url" --max_pending 20 --on_max_pending drop_oldest --unique k event 32
    has err "drop_oldest"
}

lines_are_one_batch_whose_closing_job_is_told_the_counts() {
    redis_start
    seq 300 >lines
    run_quern 0 publish --redis "$url" --then report --then_data '{"for": "you"}' item - <lines
    has err "300 published"
    id=$(<out)
    [[ $id =~ ^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$ ]] || fail "id: $id"
    run_quern 0 peek batches --redis "$url"
    has out "$id"
    has out "300"
    run_quern 0 stats --redis "$url" --sample_ms 0
    has out "open batches"
    printf '{"completed_max": 1000, "retry_limit": 0, "workers": [{"event": "item", "module": "exec", "options": {"shell": true,
        "command": "read -r n; test $n -gt 7"}}, {"event": "report", "module": "exec", "options": {"command": ["cat"]}}]}' >quern.json
    run_quern 0 run -c quern.json --redis "$url" --until-empty
    redis XREVRANGE app.events:app.workers:completed + - COUNT 1 >last
    has last "{\"for\": \"you\",\"batch\":{\"id\":\"$id\",\"published\":300,\"done\":293,\"dead\":7,\"open\":0,\"complete\":true}}"
    start_quern other run -c quern.json --redis "$url"
    seq 8 10 | run_quern 0 publish --redis "$url" --then report --wait_ms 20000 item -
    equal "$(grep -c '"outcome":"done"' out)" 3
    has err "the batch is "
    stop_quern "$pid"
    run_quern 0 publish --redis "$url" --then report item - </dev/null
    has err "0 published"
    redis XRANGE app.events:app.workers:retry - + >retry
    has retry "\"id\":\"$(<out)\",\"published\":0"
}

a_batch_that_is_cut_short_says_so() {
    redis_start
    printf '1\n2\nno JSON\n3\n' >lines
    run_quern 1 publish --redis "$url" --then report item - <lines
    has err "line 3: the data is not JSON"
    has err "is not complete: its closing job says so"
    [[ ! -s out ]] || fail "it printed: $(<out)"
    equal "$(redis HVALS app.events:app.workers:batches:state | grep -c -xF 0)" 3 # done, dead, sealed
    run_quern 2 publish --redis "$nowhere" --then report item 7
    has err "--then names the closing job of all lines"
    run_quern 2 publish --redis "$nowhere" --then_data '{}' item - <lines
    has err "--then names the closing job of all lines"
    run_quern 2 publish --redis "$url" --then report --then_data '[]' item - <lines
    has err "is no JSON object"
    run_quern 2 publish --redis "$url" --then '' item - <lines
    has err "the closing job: the event is empty"
}

run_all a_single_job_prints_its_id \
    data_comes_from_a_file_or_is_an_empty_object \
    ten_thousand_lines_are_published_in_order \
    empty_lines_are_passed_over_and_the_last_needs_no_newline \
    lines_that_come_slowly_are_not_kept_waiting \
    a_directory_as_standard_input_is_an_error \
    a_bad_line_is_named_and_those_before_it_are_in_the_stream \
    what_is_wrong_is_refused_without_any_server \
    an_oversize_line_is_named \
    without_a_server_it_gives_up_in_time_and_says_which_line \
    it_waits_within_its_time_for_a_server_that_comes \
    a_server_that_is_stopped_for_a_while_gets_every_line_once \
    what_was_not_answered_is_named_by_its_id \
    a_server_that_is_killed_for_good_leaves_the_number_that_was_said \
    a_server_that_restarts_with_its_log_gets_every_line_once \
    a_server_that_restarts_with_its_log_gets_every_unique_line_once \
    a_group_is_made_where_one_is_named \
    a_unique_job_is_published_once_and_its_id_is_printed_again \
    a_delayed_job_waits_with_what_it_was_given \
    raw_data_is_published_as_it_is \
    what_finds_no_room_is_named_by_its_line \
    lines_are_one_batch_whose_closing_job_is_told_the_counts \
    a_batch_that_is_cut_short_says_so
