#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/top.sh BUILD: quern top: what runs on this machine, once as text or JSON, and live in a terminal (support/screen).
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

readonly nowhere=unix:///nobody/listens/here
export TERM=xterm

# A process that works, its journal below ./state; jobs of any event, with what burn takes. One that is at a long job is ended with the test.
work_begins() {
    redis_start
    printf '{"workers": [{"event": "*", "module": "burn"}]}\n' >any.json
    started_quern worker run -c any.json --redis "$url" --state_dir "$here/state" --threads "${1:-2}"
    worker=$pid
}

publish() { timeout 20 "$quern" publish --redis "$url" "$@" >/dev/null || fail "cannot publish: $*"; }
running_is() { [[ $(pending) == "$1" ]]; }

# publish_running N EVENT DATA: and they have begun.
publish_running() {
    local i
    for ((i = 0; i < $1; i++)); do publish "$2" "$3"; done
    wait_for 10 running_is "$1"
}

top() { run_quern "$1" top --redis "${2:-$url}" --state_dir "$here/state" "${@:3}"; }

# on_screen [OPTION…]: the live view in a terminal; standard input says what is to be seen and typed.
on_screen() {
    "$build/screen" "$quern" top --redis "$url" --state_dir "$here/state" --every 100 "$@" 2>err || fail "$(<err)"
}

a_running_job_is_shown_once_with_its_event_and_progress() {
    work_begins
    publish_running 1 image.resize '{"us": 3000000, "sleep_us": 57000000, "note": "page 3 of 7"}'
    top 0 "$url" --once --every 300
    grep -qE '^ *PID +THREAD +EVENT +ID +ELAPSED +CPU% +DONE% +NOTE$' out || fail "no titles: $(<out)"
    grep -qE '^ *[0-9]+ +[0-9]+ +image\.resize +[0-9a-f-]{36} +[0-9.]+m?s +[0-9.]+ +[0-9]+\.[0-9] +page 3 of 7$' out || fail "$(<out)"
    has out "quern top  app.events  app.workers  $url"
    has out "waiting 0"
    has out "here: processes 1  jobs 1"
    [[ ! -s err ]] || fail "something was said: $(<err)"
    top 0 "$url" --json --every 100
    has out '"event":"image.resize"'
    has out '"note":"page 3 of 7"'
    has out '"queue":{"stream":"app.events","group":"app.workers"'
    grep -qE '"percent":[0-9]+\.[0-9]+,' out || fail "no percent: $(<out)"
    grep -qE '"cpu_percent":[0-9]+\.[0-9]+' out || fail "no CPU: $(<out)"
    equal "$(lines_of out)" 1 lines
}

rates_are_of_what_comes_and_goes_between_two_looks() {
    work_begins
    (for ((i = 0; i < 100; i++)); do publish burn '{}' || exit; done) &
    wait_for 10 length_reaches 2
    top 0 "$url" --json --every 500
    grep -qE '"published_per_s":[1-9]' out || fail "nothing was published: $(<out)"
    grep -qE '"done_per_s":[1-9]' out || fail "nothing was done: $(<out)"
    kill $! 2>/dev/null
    stop_quern "$worker"
}

# It lives on without a job; what has ended is not shown, nor a process that was killed.
a_process_without_jobs_is_idle_and_one_that_is_gone_is_not_shown() {
    work_begins
    top 0 "$url" --once --every 50
    grep -qE '^ *[0-9]+ .*\(idle\)$' out || fail "$(<out)"
    has out "here: processes 1  jobs 0"
    stop_quern "$worker"
    top 0 "$url" --once --every 50
    has out "here: processes 0  jobs 0"
    lacks out PID
}

without_a_server_the_machine_is_shown_and_the_status_is_1() {
    work_begins
    publish_running 1 mail.send '{"sleep_us": 60000000}'
    top 1 $nowhere --once --every 50
    has out "Redis: no Redis at $nowhere"
    has out "mail.send"
    has out "waiting -"
    has err "no Redis at $nowhere"
    top 1 $nowhere --json --every 50
    has out '"queue":null,"error":"no Redis at'
    has out '"event":"mail.send"'
    top 1 "$url" --once --every 50 --stream elsewhere
    has out "Redis: there is no stream elsewhere"
}

a_password_is_not_shown() {
    local server
    for server in "redis://me:s3cret@127.0.0.1:1 redis://me:***@127.0.0.1:1" \
        "unix://me:s3cret@/nobody/listens/here unix://me:***@/nobody/listens/here" \
        "sentinel://127.0.0.1:1/main?sentinel=me:s3cret sentinel://127.0.0.1:1/main"; do
        run_quern 1 top --redis "${server% *}" --state_dir "$here/state" --once --every 50
        has out "app.workers  ${server#* }"
        lacks out s3cret
        lacks err s3cret
    done
}

without_a_terminal_it_suggests_once() {
    run_quern 2 top --redis $nowhere
    equal "$(lines_of err)" 1 lines
    has err "there is no terminal; without one: --once"
    for kind in nonsense dumb; do
        printf '%s\n' 'see without one: --once' 'end 2' | TERM=$kind "$build/screen" "$quern" top --redis $nowhere 2>err || fail "$kind: $(<err)"
    done
}

wrong_words_and_options_are_refused() {
    local words
    for words in 'top now' 'top --every 49' 'top --every 1s' 'top --every' 'top --once=perhaps' 'top --once --limit 5'; do
        # shellcheck disable=SC2086 # the words
        run_quern 2 ${words/ / --redis $nowhere }
        equal "$(lines_of err)" 1 "lines for '$words'"
    done
    run_quern 2 top --redis $nowhere --onc
    has err "did you mean --once"
    printf x >file
    run_quern 1 top --redis $nowhere --once --every 50 --journal_dir "$here/file"
    has out "no Redis at"
}

what_others_wrote_does_not_steer_the_terminal() {
    local evil=$'a\e[2Jb\e]0;title\a\xc2\x9bc'
    work_begins
    publish_running 1 mail.send '{"sleep_us": 60000000, "note": "\u001b[2J\u001b]0;t\u0007\u202eend"}'
    redis XADD app.events '*' id "$evil" event "$evil" data '{"sleep_us": 60000000}' >/dev/null
    wait_for 10 running_is 2
    top 0 "$url" --once --every 50
    has out 'a\x1b[2Jb\x1b]0;title\x07\x9bc'
    has out '?[2J?]0;t??end'
    ! tr -d '\n' <out | grep -q '[[:cntrl:]]' || fail "a control character"
    on_screen <<'.'
see a\x1b[2Jb
see ?[2J?]0;
see mail.send
type q
end 0
.
}

a_nul_in_an_id_is_shown_and_hides_nothing() {
    work_begins
    printf 'a\0b' | redis -x XADD app.events '*' event mail.send data '{"sleep_us": 60000000}' id >/dev/null
    wait_for 10 running_is 1
    top 0 "$url" --once --every 50
    has out 'running 1'
    grep -qE ' mail\.send +a\\x00b ' out || fail "$(<out)"
    printf '%s\n' 'see running 1' 'see a\x00b' 'type q' 'end 0' | on_screen
}

what_the_locale_cannot_show_is_a_question_mark() {
    work_begins
    publish_running 1 mail.send '{"sleep_us": 60000000, "note": "gr\u00fc\u00df"}'
    printf '%s\n' 'see gr??' 'type q' 'end 0' | on_screen
    printf '%s\n' 'see mail.send' 'lack gr??' 'type q' 'end 0' | LC_ALL=C.UTF-8 on_screen
}

the_view_is_live_in_80_by_24_and_quits_on_q() {
    work_begins
    publish_running 1 image.resize '{"sleep_us": 60000000, "note": "page 3 of 7"}'
    on_screen <<'.'
see quern top  app.events  app.workers
see   PID  THREAD EVENT          ID          ELAPSED  CPU% DONE% NOTE
see image.resize
see page 3 of 7
see running 1
see processes 1  jobs 1
see q quit  p pause  s sort: elapsed
see 1-1 of 1
see  0.0
type s
see sort: cpu
type s
see sort: event
type s
see sort: elapsed
type p
see paused
type p
lack paused
size 12 60
see ELAPSED  CPU% DON
see image.resize
see sort: elapsed
size 40 150
see sort: elapsed
see page 3 of 7
type q
end 0
.
}

# The rest of a job's time is seen passing.
what_is_seen_is_seen_anew() {
    work_begins
    on_screen <<'.' &
see (idle)
mark is-idle
see mail.send
see done in a moment
lack mail.send
see (idle)
type q
end 0
.
    view=$!
    wait_for 10 test -e is-idle
    publish mail.send '{"sleep_us": 2000000, "note": "done in a moment"}'
    wait "$view" || fail "$(<err)"
    stop_quern "$worker"
}

long_lists_are_scrolled() {
    work_begins 30
    publish_running 30 burn '{"sleep_us": 60000000}'
    on_screen <<'.'
see 1-18 of 30
type j
see 2-19 of 30
type \eOB
see 3-20 of 30
type \e[6~
see 13-30 of 30
type j
see 13-30 of 30
type \e[5~
see 1-18 of 30
type \eOF
see 13-30 of 30
type k
see 12-29 of 30
type \eOH
see 1-18 of 30
size 50 80
see 1-30 of 30
type q
end 0
.
}

of_several_queues_one_is_shown_at_a_time() {
    redis_start
    redis XGROUP CREATE urgent app.workers 0 MKSTREAM >/dev/null
    redis XGROUP CREATE bulk app.workers 0 MKSTREAM >/dev/null
    redis XADD bulk 1-0 id 1 event e data '{}' >/dev/null
    echo '{"queues": [{"stream": "urgent"}, {"stream": "bulk"}]}' >two.json
    on_screen -c two.json <<'.'
see quern top  urgent  app.workers
see waiting 0
type n
see quern top  bulk  app.workers
see waiting 1
type n
see quern top  urgent
see waiting 0
type q
end 0
.
    top 0 "$url" -c two.json --once --every 50
    has out "quern top  urgent"
    top 0 "$url" -c two.json --once --every 50 --stream bulk
    has out "waiting 1"
    run_quern 2 top --redis "$url" --once -c two.json --stream strange
    has err strange
}

signals_give_the_terminal_back() {
    redis_start
    for number in 15 1 3; do printf '%s\n' 'see q quit' "signal $number" 'end 0' | on_screen; done
    printf '%s\n' 'see q quit' 'type \x03' 'end 0' | on_screen
}

redis_out_of_reach_is_said_in_the_view_which_stays() {
    work_begins
    mkfifo words
    on_screen <words &
    view=$!
    exec {say}>words
    printf '%s\n' 'see running 0' 'mark was-there' >&"$say"
    wait_for 10 test -e was-there
    redis_kill
    printf '%s\n' 'see Redis: ' 'see waiting -' 'see (idle)' 'type s' 'see sort: cpu' 'mark was-away' >&"$say"
    wait_for 10 test -e was-away
    redis_start
    printf '%s\n' 'lack Redis: ' 'see running 0' 'type q' 'end 0' >&"$say"
    exec {say}>&-
    status_of "$view" 60
    equal "$status" 0 "status of the view: $(<err)"
    stop_quern "$worker"
}

run_all \
    a_running_job_is_shown_once_with_its_event_and_progress \
    rates_are_of_what_comes_and_goes_between_two_looks \
    a_process_without_jobs_is_idle_and_one_that_is_gone_is_not_shown \
    without_a_server_the_machine_is_shown_and_the_status_is_1 \
    a_password_is_not_shown \
    without_a_terminal_it_suggests_once \
    wrong_words_and_options_are_refused \
    what_others_wrote_does_not_steer_the_terminal \
    a_nul_in_an_id_is_shown_and_hides_nothing \
    what_the_locale_cannot_show_is_a_question_mark \
    the_view_is_live_in_80_by_24_and_quits_on_q \
    what_is_seen_is_seen_anew \
    long_lists_are_scrolled \
    of_several_queues_one_is_shown_at_a_time \
    signals_give_the_terminal_back \
    redis_out_of_reach_is_said_in_the_view_which_stays
