#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# cli/secrets: a password in a file, or a credential, opens the server and is seen nowhere else.
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "${BASH_SOURCE[0]}")/../support/lib.sh"

# A server whose password is in the file pw, and unknown to this shell's children by any other way.
locked_start() {
    redis_start
    umask 077
    head -c 15 /dev/urandom | base64 >pw
    redis CONFIG SET requirepass "$(<pw)" >/dev/null
    export REDISCLI_AUTH
    REDISCLI_AUTH=$(<pw)
}

# What a process would leave in its core file: its memory, but for what is never dumped.
dumped_memory() {
    awk '/^[0-9a-f]+-[0-9a-f]+ / { range = $1; mode = $2; name = $6 }
        /^VmFlags:/ && !/ dd/ && mode ~ /^r/ && name !~ /^\[v/ { print range }' "/proc/$1/smaps" |
        while IFS=- read -r from to; do
            dd if="/proc/$1/mem" bs=4096 skip=$((16#$from / 4096)) count=$(((16#$to - 16#$from) / 4096)) status=none 2>/dev/null
        done
}

# With its environment, which lies in there too.
holds_password() { (($({ dumped_memory "$1" || true; } | grep -caF -- "$(<pw)"))); }
lacks_password() { ! holds_password "$1" || fail "process $1 holds the password: $(tr '\0' ' ' </proc/"$1"/cmdline)"; }

children_of() { cat "/proc/$1/task/$1/children"; }

a_password_in_a_file_is_nowhere_else() {
    locked_start
    local secret=$REDISCLI_AUTH child
    unset REDISCLI_AUTH
    started_quern run run --redis "$url" --redis_password_file pw --log_level debug --completed_max 10 show -- \
        sh -c 'cat /proc/self/environ /proc/$PPID/cmdline | tr "\0" "\n"'
    run_quern 0 publish --redis "$url" --redis_password_file pw show '{}'
    lacks err "$secret"
    REDISCLI_AUTH=$secret wait_for 10 completed_is 1
    REDISCLI_AUTH=$secret redis XRANGE app.events:app.workers:completed - + >completed
    lacks completed "$secret"
    has completed PATH
    run_quern 0 stats --redis "$url" --redis_password_file pw --json
    lacks out "$secret"
    lacks err "$secret"
    # A sanitizer's own memory is not looked at in the time that there is.
    if is_plain; then
        lacks_password "$pid"
        for child in $(children_of "$pid"); do lacks_password "$child"; done
    fi
    stop_quern "$pid"
    lacks run.log "$secret"
    lacks run.out "$secret"
}

# It looks where passwords are: one in a URL is found.
the_look_into_memory_finds_a_password() {
    is_plain || return 0
    locked_start
    started_quern run run --redis "unix://:$(sed 's/+/%2B/g; s,/,%2F,g' pw)@$socket" --no-supervise show -- true
    holds_password "$pid" || fail "it is not found where it is"
    stop_quern "$pid"
}

a_password_that_is_changed_is_read_anew() {
    locked_start
    started_quern run run --redis "$url" --redis_password_file pw --completed_max 10 --backoff_max_ms 100 show -- true
    local new
    new=$(head -c 15 /dev/urandom | base64)
    redis CONFIG SET requirepass "$new" >/dev/null
    REDISCLI_AUTH=$new
    redis CLIENT KILL TYPE normal >/dev/null
    wait_for 10 grep -q redis_lost run.log
    printf '%s\n' "$new" >pw
    run_quern 0 publish --redis "$url" --redis_password_file pw show '{}'
    wait_for 10 completed_is 1
    stop_quern "$pid"
    lacks run.log "$new"
}

a_credential_is_found_and_one_that_was_set_goes_before_it() {
    locked_start
    mkdir credentials
    cp pw credentials/redis_password
    export CREDENTIALS_DIRECTORY=$here/credentials
    run_quern 0 publish --redis "$url" show '{}'
    equal "$(length)" 1 jobs
    echo wrong >other
    run_quern 1 publish --redis "$url" --redis_password_file other show '{}'
    has err "wrong user or password"
    run_quern 0 publish --redis "unix://:$(sed 's/+/%2B/g; s,/,%2F,g' pw)@$socket" --redis_password_file other show '{}'
    unset CREDENTIALS_DIRECTORY
    run_quern 1 publish --redis "$url" show '{}'
    has err "asks for a password"
}

a_file_that_others_may_read_is_refused() {
    locked_start
    chmod 644 pw
    run_quern 2 run --redis "$url" --redis_password_file pw show -- true
    has err "redis_password_file: pw: others may read or change it; chmod 600"
    run_quern 2 publish --redis "$url" --redis_password_file pw show '{}'
    run_quern 2 stats --redis "$url" --redis_password_file none
    has err "redis_password_file: none: No such file or directory"
}

run_all a_password_in_a_file_is_nowhere_else \
    the_look_into_memory_finds_a_password \
    a_password_that_is_changed_is_read_anew \
    a_credential_is_found_and_one_that_was_set_goes_before_it \
    a_file_that_others_may_read_is_refused
