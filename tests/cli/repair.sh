#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/repair.sh BUILD: the verbs that show jobs one by one and repair a queue: peek, replay, purge, remove and cancel, for
# people and as JSON.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

readonly nowhere=unix:///nobody/listens/here

# What a user needs for looking and for repairing, and no more: the lists are in quern.h.
readonly looking='+xpending +xinfo +xlen +xrange +xrevrange +zcard +zrange +smembers +exists +type +time +info +select +hmget
    +client|setname +client|id'
readonly repairing='+eval +evalsha +xadd +xdel +xtrim +unlink +xgroup|setid +xgroup|destroy +zscan +zscore +zrem +hget +hdel'

# Three jobs of which one is handed out; a retry that waits, a scheduled job, two dead letters of which one names no group.
a_queue_is_there() {
    local i
    redis XGROUP CREATE app.events app.workers 0 MKSTREAM >/dev/null
    for i in 1 2 3; do redis XADD app.events "$i-0" id "job-$i" event mail.send data "{\"n\": $i}" retries 2 >/dev/null; done
    redis XREADGROUP GROUP app.workers first COUNT 1 STREAMS app.events '>' >/dev/null
    shelve app.events:app.workers:delayed s:9-0 job-9
    shelve app.events:scheduled job-8 job-8
    bury 1000-0 letter-1 '{"original_id": "job-7", "original_event": "mail.send", "reason": "timeout", "group": "app.workers",
        "error": "boo", "original_data": {"n": 7}}'
    bury 2000-0 letter-2 '{"original_id": "job-6", "original_event": "log", "original_data": {"n": 6}}'
}

bury() { redis XADD app.events:failed "$1" id "$2" event mail.send retries 3 data "$3" >/dev/null; }
shelve() { # KEY MEMBER ID
    redis EVAL 'redis.call("ZADD", KEYS[1], 1999999999999, ARGV[1])
        redis.call("HSET", KEYS[1] .. ":jobs", ARGV[1],
            cmsgpack.pack({"id", ARGV[2], "event", "mail.send", "data", "{}", "retries", "0"}))' 1 "$1" "$2" "$3" >/dev/null
}

# The value of a number, a text without quotes in it, or null, in the JSON of out.
member() { grep -o "\"$1\":[^,}]*" out | head -n 1 | sed 's/^[^:]*://; s/^"//; s/"$//'; }

# Redis itself reads it: what it takes as one value is JSON.
is_json() {
    [[ $(redis EVAL 'return pcall(cjson.decode, ARGV[1]) and 1 or 0' 0 "$(<out)") == 1 ]] || fail "no JSON: $(<out)"
    equal "$(lines_of out)" 1 lines
}

jobs_are_shown_at_each_place() {
    redis_start
    a_queue_is_there
    redis XADD app.events:app.workers:completed 5-0 id job-5 event mail.send result "$(printf 'é%.0s' {1..100})" retries 1 \
        wait_ms 1.5 run_ms 12.25 consumer first finished_at 2026-01-01T00:00:00.000000+00:00 >/dev/null
    run_quern 0 peek waiting --redis "$url"
    equal "$(lines_of out)" 3 lines
    grep -qE '^ENTRY +AGE +RETRIES +ID +EVENT +DATA$' out || fail "no titles"
    [[ $(sed -n 2p out) =~ ^2-0\ .*\ 2\ +job-2\ +mail.send\ +\{\"n\":2\}$ ]] || fail "$(sed -n 2p out)"
    run_quern 0 peek waiting --limit 1 --redis "$url"
    equal "$(lines_of out)" 2 lines
    has err "more with --limit"
    run_quern 0 peek running --redis "$url"
    has out job-1
    for place in 'delayed job-9' 'scheduled job-8' 'dead job-7' 'completed job-5'; do
        run_quern 0 peek "${place% *}" --redis "$url"
        has out "${place#* }"
        run_quern 0 peek "${place% *}" --redis "$url" --json
        is_json
        has out "${place#* }"
    done
    run_quern 0 peek completed --redis "$url"
    grep -q 'é…$' out || fail "the result is not cut between characters"
    run_quern 0 peek alone --redis "$url" --json
    equal "$(<out)" "[]"
}

large_numbers_and_bytes_are_shown() {
    redis_start
    redis XGROUP CREATE app.events app.workers 0 MKSTREAM >/dev/null
    redis XADD app.events 1-0 id one event e data '{"n": 12345678901234567890}' retries 2 >/dev/null
    redis XADD app.events 2-0 id two event e data $'\xff\e[2J' data_type bytes >/dev/null
    run_quern 0 peek waiting --redis "$url"
    [[ $(sed -n 2p out) =~ ^1-0\ .*d.*\ 2\ +one\ +e\ +\{\"n\":1\.23 ]] || fail "$(sed -n 2p out)"
    [[ $(sed -n 3p out) == *" 0xff1b5b324a" ]] || fail "$(sed -n 3p out)"
    run_quern 0 peek waiting --redis "$url" --json
    has out '"data":{"n": 12345678901234567890}'
    has out '"data":null,"data_hex":"ff1b5b324a"'
}

dead_letters_are_replayed() {
    redis_start
    a_queue_is_there
    run_quern 0 replay all --dry_run --redis "$url"
    equal "$(<out)" "2 dead letters would be replayed"
    has err "1 of these name no group: they go into the stream app.events"
    equal "$(dead) $(retry_length) $(length)" "2 0 3"
    run_quern 0 replay job-7 --redis "$url" --reason timeout --event mail.send
    equal "$(<out)" "1 dead letter was replayed"
    [[ ! -s err ]] || fail "something was said: $(<err)"
    equal "$(dead) $(retry_length) $(length)" "1 1 3"
    run_quern 0 replay all --per-s=100 --limit 5 --redis "$url" --json
    is_json
    equal "$(member replayed) $(member to_stream) $(member dry_run)" "1 1 false"
    equal "$(dead) $(retry_length) $(length)" "0 1 4"
    redis XACK app.events app.workers 1-0 >/dev/null
    run_quern 0 run --redis "$url" --until-empty --state_dir "$here/one" mail.send -- tee -a "$here/seen"
    equal "$(grep -o '{"n": [237]}' seen | sort | tr -d '\n')" '{"n": 2}{"n": 3}{"n": 7}' "what was run"
    equal "$(dead) $(delayed)" "0 2" "after a run in which nobody handles the other event"
}

letters_that_stay_are_named() {
    redis_start
    a_queue_is_there
    bury 3000-0 letter-3 '{"original_id": "job-5", "original_event": "e", "group": "nobody", "original_data": 1}'
    bury 4000-0 letter-4 'no JSON'
    run_quern 0 replay all --redis "$url"
    has err "1 stay: their group is not there any more"
    has err "1 stay: no job can be made of what they hold"
    equal "$(dead)" 2
    run_quern 1 replay letter-3 --redis "$url"
    has out "0 dead letters were replayed"
    has err "1 stay: their group is not there any more"
    run_quern 1 replay letter-4 --redis "$url" --json
    equal "$(member replayed) $(member unreadable)" "0 1"
    run_quern 0 replay letter-4 --redis "$url" --dry_run
    run_quern 0 replay all --redis "$url"
    equal "$(dead)" 2
}

places_are_emptied() {
    redis_start
    a_queue_is_there
    run_quern 0 purge waiting --dry-run --redis "$url"
    equal "$(<out)" "2 waiting would be purged"
    for place in 'waiting 2' 'delayed 1' 'scheduled 1' 'dead 2' 'completed 0'; do
        run_quern 0 purge "${place% *}" --redis "$url"
        equal "$(<out)" "${place#* } ${place% *} were purged"
        run_quern 0 purge "${place% *}" --redis "$url" --json
        is_json
        equal "$(member what) $(member purged)" "${place% *} 0"
    done
    equal "$(pending) $(length)" "1 3"
    equal "$(redis KEYS '*')" app.events keys
}

a_group_is_removed() {
    redis_start
    a_queue_is_there
    run_quern 1 remove app.workers --redis "$url"
    has err "the group app.workers of app.events holds 1 jobs that are not settled; let them end, or force it"
    redis XACK app.events app.workers 1-0 >/dev/null
    run_quern 1 remove app.workers --redis "$url"
    has err "1 jobs wait that only the group app.workers of app.events has (retry 0, alone 0, delayed 1); let them run, or force it"
    redis RENAME app.events:app.workers:delayed aside >/dev/null
    run_quern 1 remove app.workers --redis "$url" --json
    has err "somebody works for the group app.workers of app.events: first was seen"
    redis RENAME aside app.events:app.workers:delayed >/dev/null
    run_quern 0 remove app.workers --force --dry_run --redis "$url"
    has out "would be removed, with 0 pending, 1 delayed"
    run_quern 0 remove app.workers --force --redis "$url" --json
    is_json
    equal "$(member removed) $(member processes) $(member delayed)" "true 1 1"
    equal "$(redis KEYS 'app.events:app.workers:*')$(redis XINFO GROUPS app.events)" "" keys
    run_quern 1 remove app.workers --redis "$url"
    has err "has no group app.workers"
}

a_job_is_cancelled() {
    redis_start
    a_queue_is_there
    run_quern 0 cancel job-8 --redis "$url" --dry_run
    equal "$(<out)" "1 scheduled and 0 delayed would be cancelled"
    run_quern 0 cancel job-8 --redis "$url"
    equal "$(<out)" "1 scheduled and 0 delayed cancelled"
    run_quern 0 cancel --json job-9 --redis "$url"
    is_json
    equal "$(member cancelled) $(member delayed)" "1 1"
    run_quern 0 cancel job-2 --redis "$url"
    has out "none is scheduled or delayed: marked; if it waits it will not start"
    run_quern 0 run --redis "$url" --until-empty --unhandled ack job -- true
    equal "$(dead_member original_id | tail -n 1) $(dead_member reason | tail -n 1)" "job-2 cancelled" "who was buried, and why"
    equal "$(length) $(delayed)" "3 0"
}

wrong_words_are_refused_before_any_server_is_asked() {
    local words
    for words in peek 'peek sleeping' 'peek waiting 5' 'peek waiting --limit 0' 'peek waiting --per_s 5' replay 'replay all 5' \
        'replay all --per_s 0' 'replay all --per_s -1' 'replay all --limit 0' 'replay all --event' 'replay all --reason=' purge \
        'purge running' 'purge all' 'purge dead --force' 'purge dead --dry_run=perhaps' remove 'remove a b' 'remove a:b' cancel \
        'cancel a b' 'cancel a --limit 5'; do
        # shellcheck disable=SC2086 # the words
        run_quern 2 ${words/ / --redis $nowhere }
        equal "$(lines_of err)" 1 "lines for '$words'"
    done
    run_quern 2 peek sleeping
    has err "peek: 'sleeping' is not understood; right would be: quern peek waiting|running|delayed"
    run_quern 2 replay
    has err "replay: something is missing; right would be: quern replay all | ID"
    run_quern 2 replay all --per_s 0
    has err "--per_s: '0' is not a whole number from 1 to 1000000"
    run_quern 2 purge running
    has err "(what runs is not purged)"
    run_quern 2 replay all --raeson x
    has err "did you mean --reason"
}

what_is_not_there_is_status_1_and_one_line() {
    local words
    redis_start
    for words in 'peek waiting' 'replay all' 'purge dead' 'remove g' 'cancel x'; do
        # shellcheck disable=SC2086 # the words
        run_quern 1 $words --redis "$url"
        equal "$(lines_of err)" 1 "lines for '$words'"
        [[ ! -s out ]] || fail "there was output"
        # shellcheck disable=SC2086 # the words
        run_quern 1 $words --redis $nowhere
        has err "no Redis at $nowhere"
    done
    a_queue_is_there
    for words in 'peek waiting' 'peek delayed' 'purge waiting' 'purge completed'; do
        # shellcheck disable=SC2086 # the words
        run_quern 1 $words --redis "$url" --group strangers
        has err "has no group strangers"
    done
    run_quern 1 replay nobody --redis "$url"
    has err "no letter in app.events:failed has the id nobody"
    redis SET app.events:app.workers:delayed text >/dev/null
    run_quern 1 peek delayed --redis "$url"
    has err "the key app.events:app.workers:delayed holds a string"
}

control_characters_in_what_others_wrote_are_not_sent_to_the_terminal() {
    local evil=$'a\e[2Jb\nc\xe2\x80\xaee'
    redis_start
    redis XGROUP CREATE app.events app.workers 0 MKSTREAM >/dev/null
    redis XADD app.events 1-0 id "$evil" event "$evil" data '"\u001b[2J\u202e"' >/dev/null
    redis XADD app.events:app.workers:completed 5-0 id "$evil" result "$evil" >/dev/null
    shelve app.events:scheduled "$evil" "$evil"
    for verb in 'peek waiting' 'peek completed' 'peek scheduled'; do
        # shellcheck disable=SC2086 # more words
        run_quern 0 $verb --redis "$url"
        ! tr -d '\n' <out | grep -q '[[:cntrl:]]' || fail "a control character of $verb"
        ! grep -q $'\xe2\x80\xae' out || fail "a steering character of $verb"
        equal "$(lines_of out)" 2 lines
    done
    run_quern 0 cancel "x$evil" --redis "$url"
    ! tr -d '\n' <<<"$(cat out err)" | grep -q '[[:cntrl:]]' || fail "a control character of cancel"
}

a_user_with_the_listed_rights_can_repair() {
    redis_start
    a_queue_is_there
    # shellcheck disable=SC2086 # one word each
    equal "$(redis ACL SETUSER mender on '>sesame' '~*' -@all $looking)" OK
    url=unix://mender:sesame@$socket
    for place in waiting running delayed scheduled alone dead completed; do run_quern 0 peek $place --redis "$url"; done
    for words in 'replay all' 'purge dead' 'remove app.workers --force' 'cancel job-8'; do
        # shellcheck disable=SC2086 # the words
        run_quern 1 $words --redis "$url"
        lacks err sesame
        equal "$(lines_of err)" 1 lines
    done
    # shellcheck disable=SC2086 # one word each
    equal "$(redis ACL SETUSER mender $repairing)" OK
    run_quern 0 replay all --redis "$url"
    has out "2 dead letters"
    run_quern 0 cancel job-8 --redis "$url"
    run_quern 0 cancel job-9 --redis "$url"
    for place in waiting delayed scheduled dead completed; do run_quern 0 purge $place --redis "$url"; done
    redis XADD app.events:failed 9-0 a b >/dev/null
    redis XGROUP CREATE app.events:failed alarm 0 >/dev/null
    run_quern 0 purge dead --redis "$url"
    run_quern 0 remove app.workers --force --redis "$url"
    equal "$(redis XINFO GROUPS app.events)" "" groups
}

run_all jobs_are_shown_at_each_place \
    large_numbers_and_bytes_are_shown \
    dead_letters_are_replayed \
    letters_that_stay_are_named \
    places_are_emptied \
    a_group_is_removed \
    a_job_is_cancelled \
    wrong_words_are_refused_before_any_server_is_asked \
    what_is_not_there_is_status_1_and_one_line \
    control_characters_in_what_others_wrote_are_not_sent_to_the_terminal \
    a_user_with_the_listed_rights_can_repair
