#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/log.sh BUILD: one event is one line, in either format; no payload and no credential is in it, nothing in it can move
# a terminal's cursor, and what repeats is counted. And whatever becomes of the three standard descriptors, the work goes on.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

each_text_line_is_time_level_event_and_keys() {
    redis_start
    run_quern 0 publish --redis "$url" exit
    run_quern 0 run --redis "$url" --until-empty --log_level debug exit -- sh -c 'echo why it failed >&2; exit 3'
    equal "$(grep -cvE '^time=[-0-9T:.+]+ level=(error|warning|info|debug) event=[a-z_]+( [a-z0-9_]+=("[^"]*"|[^ "]*))*$' err)" 0 \
        "lines of another shape"
    has err "why it failed"
}

# The server parses JSON: cjson refuses what is none.
each_json_line_is_an_object() {
    local line lines=0
    redis_start
    run_quern 0 publish --redis "$url" $'back\\slash "quoted"' 
    run_quern 0 run --redis "$url" --until-empty --log_format json --log_level debug '*' -- \
        sh -c 'printf "tab\there \\\\ \"quoted\" \377 \033[31mred" >&2; exit 3'
    while read -r line; do
        lines=$((lines + 1))
        equal "$(redis EVAL 'local o = cjson.decode(ARGV[1]) return tostring(o.time ~= nil and o.level ~= nil and o.event ~= nil)' 0 \
            "$line")" true "JSON in: $line"
    done <err
    ((lines >= 3)) || fail "$lines lines"
    has err '"event":"job_failed"'
}

no_payload_and_no_control_character_is_logged() {
    redis_start
    run_quern 0 publish --redis "$url" $'red \u009b31m \u202e' '{"secret": "open-sesame"}'
    redis XADD app.events '*' id $'\e[2Jid' event $'\e[2J\nevent=forged' data 'open-sesame' >/dev/null
    redis XADD app.events '*' event x >/dev/null
    redis XADD app.events '*' id x event x data open-sesame retries many >/dev/null
    run_quern 0 run --redis "$url" --until-empty --log_level debug '*' -- sh -c 'printf "\033[31mred\r\nnext" >&2; exit 1'
    has err job_failed
    has err job_dead
    lacks err sesame
    equal "$(LC_ALL=C grep -cP '[\x00-\x08\x0b-\x1f\x7f-\xff]' err)" 0 "lines with control characters"
    equal "$(grep -cv '^time=' err)" 0 "lines that are no events"
}

what_repeats_is_counted_and_does_not_flood() {
    redis_start
    burn_config
    redis EVAL 'for i = 1, 500 do redis.call("XADD", KEYS[1], "*", "id", "same", "event", "nobody", "data", "{}") end' 1 app.events >/dev/null
    run_quern 0 run -c burn.json --redis "$url" --until-empty
    (($(lines_of err) < 600)) || fail "$(lines_of err) lines"
    equal "$(delayed)" 500 "waiting to be tried again"
}

levels_are_kept() {
    redis_start --appendonly yes
    run_quern 0 publish --redis "$url" event
    run_quern 0 run --redis "$url" --until-empty --log_level warning event -- true
    [[ ! -s err ]] || fail "it said: $(<err)"
    run_quern 0 publish --redis "$url" event
    run_quern 0 run --redis "$url" --until-empty --log-level error event -- false
    [[ ! -s err ]] || fail "it said: $(<err)"
}

a_full_disk_for_the_log_does_not_stop_the_work() {
    redis_start
    burn_config
    burn_jobs 1000 '{"us": 100, "fail_times": 0}'
    timeout 30 "$quern" run -c burn.json --redis "$url" --until-empty --log_level debug 2>/dev/full
    equal $? 0 status
    equal "$(completed)" 1000 "done"
}

closed_descriptors_do_not_stop_the_work() {
    local id
    redis_start
    burn_config
    burn_jobs 500
    timeout 30 "$quern" run -c burn.json --redis "$url" --until-empty --log_level debug <&- >&- 2>&-
    equal $? 0 status
    equal "$(completed)" 500 "done"
    id=$(timeout 10 "$quern" publish --redis "$url" burn <&- 2>&-)
    equal "${#id}" 36 "length of the id printed"
    timeout 10 "$quern" publish --redis "$url" burn <&- >&-
    equal $? 0 status
    timeout 10 "$quern" publish --redis "$url" burn - <&- 2>err
    has err "0 published"
    equal "$(length)" 2
    # A command per job still has three descriptors of its own.
    timeout 30 "$quern" run --redis "$url" --group other --completed_max 5 --until-empty burn -- sh -c 'echo out; echo err >&2; cat' <&- >&- 2>&-
    equal $? 0 status
    equal "$(length app.events:other:completed)" 2 "done by a command"
}

an_id_that_cannot_be_printed_is_a_failure() {
    redis_start
    timeout 10 "$quern" publish --redis "$url" event >/dev/full 2>err
    equal $? 1 status
    has err "standard output"
}

a_reader_that_goes_away_does_not_end_a_run() {
    redis_start
    burn_config
    burn_jobs 1000
    timeout 30 "$quern" run -c burn.json --redis "$url" --until-empty --log_level debug 2> >(head -n 1 >/dev/null)
    equal $? 0 status
    equal "$(completed)" 1000 "done"
}

without_a_home_it_works_and_without_a_place_for_state_it_says_so() {
    redis_start
    run_quern 0 publish --redis "$url" event
    (unset HOME XDG_STATE_HOME && run_quern 0 run --redis "$url" --until-empty event -- true) || exit 1
    (unset HOME && run_quern 0 publish --redis "$url" event) || exit 1
    (XDG_STATE_HOME='' HOME=/proc/nowhere && run_quern 1 publish event) || exit 1
    equal "$(lines_of err)" 1 lines
    has err "/proc/nowhere"
}

run_all each_text_line_is_time_level_event_and_keys \
    each_json_line_is_an_object \
    no_payload_and_no_control_character_is_logged \
    what_repeats_is_counted_and_does_not_flood \
    levels_are_kept \
    a_full_disk_for_the_log_does_not_stop_the_work \
    closed_descriptors_do_not_stop_the_work \
    an_id_that_cannot_be_printed_is_a_failure \
    a_reader_that_goes_away_does_not_end_a_run \
    without_a_home_it_works_and_without_a_place_for_state_it_says_so
