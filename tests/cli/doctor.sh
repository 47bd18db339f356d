#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/doctor.sh BUILD: quern doctor says what is wrong and what to do, and its exit status whether anything is.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

readonly nowhere=unix:///nobody/listens/here

sound_server() {
    redis_start --appendonly yes
    redis XGROUP CREATE app.events app.workers 0 MKSTREAM >/dev/null
}

# What the machine's own server is, and whether its version has known faults, is not ours to say.
wrong_checks() {
    grep -oE '"level":"(error|warning)","check":"[a-z_]*"' out | grep -v known_fault | sed 's/.*:"//; s/"$//' | tr '\n' ' '
}

a_sound_queue_is_status_0_unless_its_servers_version_has_faults() {
    local status=0
    sound_server
    "$quern" doctor --redis "$url" --json >out 2>err || status=$?
    equal "$(wrong_checks)" ""
    [[ $(<out) == *'"level":"warning","check":"known_fault"'* ]] || equal "$status" 0 status
    [[ $(redis EVAL 'return pcall(cjson.decode, ARGV[1]) and 1 or 0' 0 "$(<out)") == 1 ]] || fail "no JSON: $(<out)"
    equal "$(lines_of out)" 1 lines
    "$quern" doctor --redis "$url" >out 2>err
    has out "server "
    has out "app.events"
}

what_is_wrong_is_status_1_and_says_what_to_do() {
    redis_start
    redis XADD app.events 1000-0 id a event e data 1 >/dev/null
    redis XGROUP CREATE app.events app.workers 0 >/dev/null
    redis SET app.events:failed text >/dev/null
    run_quern 1 doctor --redis "$url"
    grep -qE '^error +persistence: ' out || fail "no persistence"
    grep -qE '^error +nobody_reads: 1 jobs wait' out || fail "nobody reads"
    grep -qE '^error +wrong_type: the key app.events:failed holds a string' out || fail "no wrong type"
    grep -qF -- '-> set appendonly yes' out || fail "what to do is not said"
    [[ ! -s err ]] || fail "something was said: $(<err)"
    run_quern 1 doctor --redis "$url" --json
    equal "$(wrong_checks)" "persistence wrong_type nobody_reads "
}

of_several_queues_it_says_which_is_meant() {
    sound_server
    echo '{"queues": ["app.events", "mails"]}' >queues.json
    run_quern 1 doctor -c queues.json --redis "$url"
    grep -qE '^warning +stream of mails: there is no stream mails' out || fail "not said: $(<out)"
    run_quern 0 bench -c queues.json --redis "$url" --jobs 100 --json
    equal "$(redis DBSIZE)" 1 keys
}

notes_do_not_count() {
    local status=0
    sound_server
    redis XADD app.events:failed 1-1 id a event e data '{}' >/dev/null
    "$quern" doctor --redis "$url" --json >out 2>err || status=$?
    has out '"level":"note","check":"dead_letters"'
    [[ $(<out) == *'"level":"warning","check":"known_fault"'* ]] || equal "$status" 0 status
}

names_of_others_do_not_steer_the_terminal() {
    sound_server
    redis XADD app.events 1000-0 id a event e data 1 >/dev/null
    redis XGROUP CREATE app.events $'ev\e[2Jil\xe2\x80\xae\nx' 0 >/dev/null
    run_quern 1 doctor --redis "$url"
    has out group_stands_still
    ! tr -d '\n' <out | grep -q '[[:cntrl:]]' || fail "a control character"
    ! grep -q $'\xe2\x80\xae' out || fail "a steering character"
}

without_a_server_it_says_so_and_fails() {
    run_quern 1 doctor --redis $nowhere
    has err "no Redis at $nowhere"
    equal "$(lines_of err)" 1 lines
    [[ ! -s out ]] || fail "there was output"
}

wrong_words_are_refused() {
    local words
    for words in 'doctor now' 'doctor --limit 5' 'doctor --sample_ms 0'; do
        # shellcheck disable=SC2086 # the words
        run_quern 2 $words --redis $nowhere
        equal "$(lines_of err)" 1 "lines for '$words'"
    done
}

what_cannot_be_written_is_an_error() {
    local status=0
    sound_server
    "$quern" doctor --redis "$url" >/dev/full 2>err || status=$?
    equal "$status" 1 status
    has err "standard output"
}

run_all a_sound_queue_is_status_0_unless_its_servers_version_has_faults \
    what_is_wrong_is_status_1_and_says_what_to_do \
    of_several_queues_it_says_which_is_meant \
    notes_do_not_count \
    names_of_others_do_not_steer_the_terminal \
    without_a_server_it_says_so_and_fails \
    wrong_words_are_refused \
    what_cannot_be_written_is_an_error
