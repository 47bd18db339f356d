#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/hostile.sh BUILD: whoever may write to the stream, and other users of the machine. Each job here is made to do harm;
# the program goes on, and the honest job behind it is done. The README's "Threat model" names these tests and others.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

# entry FIELD VALUE…: an entry as an attacker writes it.
entry() { redis XADD app.events '*' "$@" >>entries; }
# A value that is too long for an argument: the last one, from standard input.
long_entry() { redis -x XADD app.events '*' "$@" >>entries; }
object_of() { printf '%s' "$@" '}' | tr -d '\n'; }
repeat() { head -c "$2" /dev/zero | tr '\0' "$1"; }

honest_job_is_done() {
    run_quern 0 publish --redis "$url" echo '{"honest": true}'
    wait_for 20 eval 'completed_field result | grep -qF honest'
}

# Paths, symbols, commands, formats, options: as event, as id, as data, as fields of their own, as members of the whole object.
a_job_chooses_nothing_but_its_handlers_input() {
    local evil word
    redis_start
    evil="touch $here/harm"
    cat >quern.json <<'END'
{"completed_max": 1000, "unhandled": "dead", "retry_limit": 0, "workers": [
    {"event": "echo", "module": "exec", "options": {"command": ["cat"]}},
    {"event": "words", "module": "exec", "options": {"command": ["echo", "id={id}", "event={event}"]}}]}
END
    started_quern run run -c quern.json --redis "$url"
    for word in "\$($evil)" "\`$evil\`" ";$evil;" "|$evil" "../../../bin/sh" "/bin/sh" "$build/workers/burn.so" \
        burn exec quern_module_entry '%s%s%n%n' '{id}' '{event}' -rf "--option=$evil" $'x\n'"$evil" 'echo echo'; do
        entry id "$word" event echo data "$word"
        entry id "$word" event words data "$word"
        entry id a event "$word" data '{}'
        entry id b event echo data '{}' module "$build/workers/burn.so" command "[\"sh\", \"-c\", \"$evil\"]" \
            shell true options "$word"
    done
    long_entry message <<END
{"id": "c", "event": "echo", "module": "burn", "options": {"command": ["sh", "-c", "$evil"]},
 "data": {"crash": "segv", "command": ["sh", "-c", "$evil"], "shell": true},
 "timestamps": {"created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z"}}
END
    honest_job_is_done
    wait_for 10 pending_is 0
    stop_quern "$pid"
    has run.log unhandled
    lacks run.log crashed
    [[ ! -e harm ]] || fail "a job has run a command of its own"
}

json_bombs_end_neither_process_nor_queue() {
    redis_start
    cat >quern.json <<'END'
{"completed_max": 1000, "retry_limit": 0, "workers": [
    {"event": "echo", "module": "exec", "options": {"command": ["cat"], "input": "message"}}, {"event": "*", "module": "digest"}]}
END
    started_quern run run -c quern.json --redis "$url"
    for event in echo sum; do
        repeat '[' 1000000 | long_entry id deep event $event data
        { repeat '[' 1000000 && repeat ']' 1000000; } | long_entry id closed event $event data
        { printf '{"a":'; yes '{"a":' | head -n 100000 | tr -d '\n'; } | long_entry id objects event $event data
        object_of '{"text": "x"' "$(seq -f ', "k%.0f": 0' 100000)" | long_entry id wide event $event data
        object_of '{"text": "x"' "$(yes ', "text": "y"' | head -n 100000)" | long_entry id twice event $event data
        entry id number event $event data "$(repeat 9 100000)"
        entry id exponent event $event data '{"text": 1e999999999}'
    done
    { printf '{"id": "m", "event": "echo", "data": ' && repeat '[' 1000000; } | long_entry message
    object_of '{"id": "m", "event": "echo", "timestamps": ' "$(repeat '[' 1000000 && repeat ']' 1000000)" | long_entry message
    ! grep -v -- '-0$\|-[0-9]*$' entries || fail "an entry is not there"
    honest_job_is_done
    wait_for 20 pending_is 0
    run_quern 0 dead list --redis "$url"
    run_quern 0 dead list --redis "$url" --json
    run_quern 0 peek completed --redis "$url"
    stop_quern "$pid"
    lacks run.log crashed
}

# Each is settled, and no line of the log is longer than its bound.
huge_ids_and_names_are_settled_and_cut() {
    redis_start
    cat >quern.json <<'END'
{"completed_max": 1000, "retry_limit": 0, "unhandled": "dead", "workers": [
    {"event": "echo", "module": "exec", "options": {"command": ["cat"]}}]}
END
    started_quern run run -c quern.json --redis "$url" --log_level debug
    repeat i 1000000 | long_entry event echo data '{}' id
    repeat e 1000000 | long_entry id long-event data '{}' event
    repeat f 1000000 | long_entry id other event echo data '{}' other
    printf '\0\1\2\e[2J\n' | long_entry event echo data '{}' id
    printf '\0\n\e]0;title\a' | long_entry id odd-event data '{}' event
    honest_job_is_done
    wait_for 10 pending_is 0
    run_quern 0 dead list --redis "$url"
    (($(wc -L <out) < 2000)) || fail "a line of $(wc -L <out) bytes"
    run_quern 0 stats --redis "$url"
    stop_quern "$pid"
    (($(wc -L <run.log) < 4096)) || fail "a line of $(wc -L <run.log) bytes in the log"
    equal "$(LC_ALL=C grep -caP '[\x00-\x08\x0b-\x1f\x7f-\xff]' run.log)" 0 "lines with control characters"
    lacks run.log crashed
}

# as_stranger COMMAND…: must fail for another user. Needs root.
as_stranger() {
    ! setpriv --reuid 12345 --regid 12345 --clear-groups -- "$@" >stranger.out 2>&1 || fail "another user could: $*"
}

# What lies above is open to all here, so that it is our own modes that keep them out, whatever the umask is.
another_user_sees_and_changes_nothing_of_ours() {
    local state=$here/state/quern file journal above=$here
    if ((EUID != 0)) || ! command -v setpriv >/dev/null; then
        echo "# not root: another user cannot be tried"
        return
    fi
    export XDG_STATE_HOME=$here/state
    # What lies above, as far as the tests made it, keeps strangers out already: not here.
    while [[ ${above##*/} == @(quern-*|tmp|cli-*|[0-9]*) ]]; do
        chmod o+rx "$above"
        above=${above%/*}
    done
    umask 0
    started_quern run run --completed_max 10 show -- sleep 0.1
    run_quern 0 publish show
    setpriv --reuid 12345 --regid 12345 --clear-groups ls "$here" >/dev/null || fail "the folders above are not open"
    equal "$(stat -c %a "$state" "$state/journals" | tr '\n' ' ')" "700 700 " "modes of the folders"
    journal=$(find "$state/journals" -name '*.journal' | head -n 1)
    [[ -n $journal ]] || fail "no journal"
    for file in "$journal" "$state/redis.log"; do equal "$(stat -c %a "$file")" 600 "mode of $file"; done
    as_stranger ls "$state"
    as_stranger cat "$journal"
    as_stranger redis-cli -s "$state/redis.sock" --no-raw PING
    as_stranger touch "$state/journals/1-1-00000000.journal"
    as_stranger "$quern" stats --state_dir "$state"
    # Also of a folder of one's own choice, and where somebody opens the folder later.
    stop_quern "$pid"
    started_quern other run --journal_dir "$here/mine" show -- true
    equal "$(stat -c %a "$here/mine")" 700 "mode of journal_dir"
    chmod 755 "$here/mine"
    as_stranger cat "$here"/mine/*.journal
    stop_quern "$pid"
    wait_for 20 eval '! find /proc/[0-9]*/cwd -maxdepth 0 -lname "$here/state/*" 2>/dev/null | grep -q .'
}

run_all a_job_chooses_nothing_but_its_handlers_input \
    json_bombs_end_neither_process_nor_queue \
    huge_ids_and_names_are_settled_and_cut \
    another_user_sees_and_changes_nothing_of_ours
