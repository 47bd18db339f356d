#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/look.sh BUILD: the verbs that look into a queue: stats, pending and dead, for people and as JSON.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

readonly nowhere=unix:///nobody/listens/here

# What a user needs for looking, and no more: the list is in quern.h.
readonly rights='+xpending +xinfo +xlen +xrange +xrevrange +zcard +zrange +smembers +exists +type +time +info +select
    +client|setname +client|id'

groups_are_there() {
    redis XGROUP CREATE app.events app.workers 0 MKSTREAM >/dev/null
    redis XGROUP CREATE app.events:app.workers:retry app.workers 0 MKSTREAM >/dev/null
}

# Five jobs: two with process "first", the others wait; a retry that waits; one dead letter.
a_queue_is_there() {
    local i
    groups_are_there
    for i in 1 2 3 4 5; do redis XADD app.events "$i-0" id "job-$i" event mail.send data '{}' retries 2 >/dev/null; done
    redis XREADGROUP GROUP app.workers first COUNT 2 STREAMS app.events '>' >/dev/null
    redis ZADD app.events:app.workers:delayed 1 s:9-0 >/dev/null
    bury 1000-0 letter-1 '{"original_id": "job-9", "original_event": "mail.send", "reason": "poison", "error": "boo"}'
}

bury() { redis XADD app.events:failed "$1" id "$2" event mail.send retries 3 data "$3" >/dev/null; }

# The value of a number, a text without quotes in it, or null, in the JSON of out.
member() { grep -o "\"$1\":[^,}]*" out | head -n 1 | sed 's/^[^:]*://; s/^"//; s/"$//'; }

# The value in a line of out that begins with these words.
line() { sed -n "s/^$1  *//p" out; }

# Redis itself reads it: what it takes as one value is JSON.
is_json() {
    [[ $(redis EVAL 'return pcall(cjson.decode, ARGV[1]) and 1 or 0' 0 "$(<out)") == 1 ]] || fail "no JSON: $(<out)"
}

stats_count_what_waits_runs_is_delayed_and_dead() {
    redis_start
    a_queue_is_there
    run_quern 0 stats --redis "$url" --sample_ms 0
    equal "$(line stream) $(line group)" "app.events app.workers"
    equal "$(line waiting) $(line running) $(line delayed) $(line dead)" "3 2 1 1"
    equal "$(line 'done per second')" - rate
    grep -qE '^first +2 ' out || fail "no line for the process"
    [[ ! -s err ]] || fail "something was said: $(<err)"
    run_quern 0 stats --redis "$url" --sample-ms=0 --json
    is_json
    equal "$(lines_of out)" 1 lines
    equal "$(member waiting) $(member running) $(member delayed) $(member dead)" "3 2 1 1"
    equal "$(member done_per_s) $(member consumer) $(member held)" "null first 2"
}

stats_look_twice_a_second_apart_unless_told_otherwise() {
    local began took
    redis_start
    a_queue_is_there
    began=$(now_ms)
    run_quern 0 stats --redis "$url" --json
    took=$(($(now_ms) - began))
    equal "$(member done_per_s)" 0.0
    ((took >= 1000)) || fail "it took $took ms"
    began=$(now_ms)
    run_quern 0 stats --redis "$url" --sample_ms 2000
    took=$(($(now_ms) - began))
    equal "$(line 'done per second')" 0.0
    ((took >= 2000)) || fail "it took $took ms"
}

pending_jobs_are_listed_oldest_first() {
    redis_start
    a_queue_is_there
    run_quern 0 pending --redis "$url"
    equal "$(lines_of out)" 3 lines
    grep -qE '^ENTRY +PROCESS +IDLE' out || fail "no titles"
    [[ $(sed -n 2p out) =~ ^1-0\ +first\ .*\ 1\ +2\ .*\ job-1\ +mail.send$ ]] || fail "$(sed -n 2p out)"
    [[ $(sed -n 3p out) == "2-0 "*job-2* ]] || fail "$(sed -n 3p out)"
    [[ ! -s err ]] || fail "something was said: $(<err)"
    run_quern 0 pending --redis "$url" --limit 1
    equal "$(lines_of out)" 2 lines
    has err "more with --limit"
    run_quern 0 pending --redis "$url" --json
    is_json
    equal "$(grep -o '"entry":"[^"]*"' out | tr '\n' ' ')" '"entry":"1-0" "entry":"2-0" '
    equal "$(member stream) $(member deliveries)" "app.events 1"
}

dead_letters_are_listed_and_shown() {
    redis_start
    a_queue_is_there
    bury 2000-0 letter-2 'no JSON'
    run_quern 0 dead list --redis "$url"
    equal "$(lines_of out)" 3 lines
    [[ $(sed -n 2p out) == "2000-0 "*" - "* ]] || fail "$(sed -n 2p out)"
    [[ $(sed -n 3p out) =~ ^1000-0\ .*\ poison\ .*mail.send\ +job-9\ +boo$ ]] || fail "$(sed -n 3p out)"
    run_quern 0 dead list --redis "$url" --json
    is_json
    equal "$(grep -o '"entry":"[^"]*"' out | tr '\n' ' ')" '"entry":"2000-0" "entry":"1000-0" '
    for id in 1000-0 letter-1 job-9; do
        run_quern 0 dead show $id --redis "$url"
        equal "$(line reason) $(line 'job ')" "poison job-9" "with $id"
        has out '"original_event": "mail.send"'
    done
    run_quern 0 dead --json show --redis "$url" letter-1
    is_json
    has out '"data":{"original_id": "job-9", "original_event"'
    run_quern 0 dead show letter-2 --redis "$url"
    has out "data: no JSON"
}

an_unknown_letter_or_stream_is_status_1_and_one_line() {
    redis_start
    run_quern 1 stats --redis "$url"
    has err "no stream app.events"
    a_queue_is_there
    run_quern 1 dead show nobody --redis "$url"
    has err "has the id nobody"
    equal "$(lines_of err)" 1 lines
    for verb in stats pending 'dead list' 'dead show 1-0'; do
        # shellcheck disable=SC2086 # two words
        run_quern 1 $verb --redis "$url" --stream elsewhere
        has err "no stream elsewhere"
        equal "$(lines_of err)" 1 lines
        [[ ! -s out ]] || fail "there was output"
    done
    run_quern 0 stats --redis "$url" --group strangers --sample_ms 0
    equal "$(line waiting) $(line running)" "- 0"
    has err "the group is not there"
}

without_a_server_they_say_so_and_fail() {
    for verb in stats pending 'dead list' 'dead show 1-0'; do
        # shellcheck disable=SC2086 # two words
        run_quern 1 $verb --redis $nowhere
        has err "no Redis at $nowhere"
        equal "$(lines_of err)" 1 lines
    done
}

wrong_words_are_refused_before_any_server_is_asked() {
    local words
    for words in 'dead' 'dead lost' 'dead show' 'dead list 5' 'dead show 1 2' 'stats now' 'pending all' \
        'pending --limit 0' 'pending --limit 1x' 'pending --limit -1' 'stats --limit 5' 'stats --sample_ms 3600001' \
        'dead list --json=perhaps' 'pending --limit' 'run --json e -- true' 'run --timeout 5 e -- true'; do
        # shellcheck disable=SC2086 # the words
        run_quern 2 ${words/ / --redis $nowhere }
        equal "$(lines_of err)" 1 "lines for '$words'"
    done
    run_quern 2 stats --redis $nowhere --jsn
    has err "did you mean --json"
}

control_characters_in_what_others_wrote_are_shown_and_not_sent_to_the_terminal() {
    local evil=$'a\e[2Jb\nc\xc2\x9bd\xe2\x80\xaee\x7f'
    redis_start
    groups_are_there
    redis XADD app.events 1-0 id "$evil" event $'\xff\e' data '{}' >/dev/null
    redis XREADGROUP GROUP app.workers $'first\e[1m' STREAMS app.events '>' >/dev/null
    bury 1000-0 "$evil" '{"original_id": "\u001b[2J", "error": "a\u000ab\u009b", "more": "\u007f\u202e"}'
    bury 2000-0 plain $'\e]0;title\a'
    for verb in 'stats --sample_ms 0' pending 'dead list' 'dead show 1000-0' 'dead show 2000-0'; do
        # shellcheck disable=SC2086 # more words
        run_quern 0 $verb --redis "$url"
        cat out >>all
        ! tr -d '\n' <out | grep -q '[[:cntrl:]]' || fail "a control character of $verb"
        ! grep -q -e $'\xc2\x9b' -e $'\xe2\x80\xae' out || fail "a steering character of $verb"
    done
    has all 'a\x1b[2Jb\nc\x9bd\u202ee\x7f'
    has all 0xff1b
    has all 'first\x1b[1m'
    has all '\x1b]0;title\x07'
    run_quern 0 pending --redis "$url"
    equal "$(lines_of out)" 2 lines
}

a_user_who_may_only_read_can_look() {
    redis_start
    a_queue_is_there
    # shellcheck disable=SC2086 # one word each
    equal "$(redis ACL SETUSER looker on '>sesame' '~*' -@all $rights)" OK
    url=unix://looker:sesame@$socket
    run_quern 0 stats --redis "$url" --sample_ms 1 --json
    equal "$(member waiting) $(member running) $(member dead)" "3 2 1"
    run_quern 0 pending --redis "$url" --json
    equal "$(member entry) $(member id)" "1-0 job-1"
    run_quern 0 dead list --redis "$url" --json
    equal "$(member entry)" 1000-0
    run_quern 0 dead show job-9 --redis "$url" --json
    equal "$(member reason)" poison
    run_quern 1 publish --redis "$url" event
    equal "$(redis ACL SETUSER looker -xrange)" OK
    run_quern 1 pending --redis "$url"
    has err xrange
    lacks err sesame
}

what_cannot_be_written_is_an_error() {
    redis_start
    a_queue_is_there
    for verb in stats pending 'dead list' 'dead show job-9' 'pending --json'; do
        status=0
        # shellcheck disable=SC2086 # more words
        "$quern" $verb --redis "$url" >/dev/full 2>err || status=$?
        equal "$status" 1 "status of $verb"
        has err "standard output"
    done
}

with_no_redis_named_they_look_into_the_private_server() {
    export XDG_STATE_HOME=$here/state
    socket=$XDG_STATE_HOME/quern/redis.sock
    trap 'end_children; wait_for 20 server_is_gone' EXIT
    run_quern 0 publish event
    run_quern 0 stats --sample_ms 0
    has err "no Redis was named"
    equal "$(line "stream's length")" 1
}
server_is_gone() { [[ $(redis PING) != PONG ]]; }

looking_makes_no_folder_and_starts_no_server() {
    local way
    export XDG_STATE_HOME=$here/state
    for way in "--state_dir $here/none" "--redis embedded: --state_dir $here/none" "--redis embedded:$here/none" ""; do
        # shellcheck disable=SC2086 # the words
        run_quern 1 stats $way
        equal "$(lines_of err)" 1 lines
        has err "there is no private server: $here/"
        [[ ! -e none && ! -e state ]] || fail "a folder was made by: stats $way"
    done
    redis_start
    a_queue_is_there
    run_quern 0 top --once --redis "$url"
    [[ ! -e state ]] || fail "a folder was made by top"
}

run_all stats_count_what_waits_runs_is_delayed_and_dead \
    stats_look_twice_a_second_apart_unless_told_otherwise \
    pending_jobs_are_listed_oldest_first \
    dead_letters_are_listed_and_shown \
    an_unknown_letter_or_stream_is_status_1_and_one_line \
    without_a_server_they_say_so_and_fail \
    wrong_words_are_refused_before_any_server_is_asked \
    control_characters_in_what_others_wrote_are_shown_and_not_sent_to_the_terminal \
    a_user_who_may_only_read_can_look \
    what_cannot_be_written_is_an_error \
    with_no_redis_named_they_look_into_the_private_server \
    looking_makes_no_folder_and_starts_no_server
