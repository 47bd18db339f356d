# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# support/lib.sh: what the scripts that test the program share. A script sources it with the build directory as $1, defines
# functions whose names are sentences, and ends with run_all.
# Idea       each test function runs in a subshell and a temporary folder of its own ($here, also the working directory); a
#            private redis-server is started by redis_start; whatever the test left running is ended afterwards.
# Waiting    wait_for looks again after 10 ms, and then less and less often (a look may be several processes), until a deadline; there is
#            no other waiting.
# Sessions   servers and what runs in the background have one each: a stopped process in an orphaned group is hung up, and with it
#            the whole group.
# Never      signals a process that is not a child of the test's own shell, except by signal_process, which looks twice.
set -uo pipefail
export LC_ALL=C

build=$(cd -P -- "${1:?the folder of a build}" && pwd)
tree=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
quern=$build/quern
unset STATE_DIRECTORY REDISCLI_AUTH "${!QUERN_@}"

# A sanitizer makes things slower: deadlines are multiplied by this; what measures time or memory asks is_plain.
slower=1
grep -q '^QUERN_SANITIZE:[A-Z]*=.' "$build/CMakeCache.txt" && slower=4
is_plain() { ((slower == 1)); }

# ── Saying ──

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

equal() { [[ $1 == "$2" ]] || fail "${3:-value}: $1 instead of $2"; }

# has FILE TEXT, lacks FILE TEXT
has() { grep -qF -- "$2" "$1" || fail "${1##*/} does not say: $2"; }
lacks() { ! grep -qF -- "$2" "$1" || fail "${1##*/} must not say: $2"; }
count_in() { grep -cF -- "$2" "$1" || true; }
lines_of() { wc -l <"$1"; }

# ── Time ──

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# wait_for SECONDS COMMAND…: until it succeeds. Fails the test if the time is over.
wait_for() {
    local pause_ms=10 end=$((${EPOCHREALTIME/./} / 1000 + $1 * 1000 * slower))
    shift
    until "$@"; do
        ((${EPOCHREALTIME/./} / 1000 < end)) || fail "in vain: $*"
        read -rt "0.0$pause_ms" <&"$never" || true
        pause_ms=$((pause_ms < 80 ? pause_ms * 5 / 4 : pause_ms))
    done
}

# ── Processes ──

# One of ours: by its number, which must be that of a child of this shell.
signal_process() {
    local signal=$1 pid=$2
    ((pid > 1)) || fail "no process: $pid"
    [[ $(ps_parent "$pid") == "$BASHPID" ]] || fail "process $pid is not ours"
    kill "-$signal" "$pid"
}

ps_parent() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
    stat=${stat##*) }
    set -- $stat
    echo "$2"
}

has_ended() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
    [[ ${stat##*) } == Z* ]]
}

# status_of PID SECONDS: waits for its end; its exit status in $status.
status_of() {
    wait_for "$2" has_ended "$1"
    status=0
    wait "$1" || status=$?
}

# run_quern STATUS ARGUMENT…: in the foreground; its words go to out and err; it must end with STATUS.
run_quern() {
    local wanted=$1 status=0
    shift
    timeout 90 "$quern" "$@" >out 2>err || status=$?
    ((status == wanted)) || fail "quern $* ended with $status instead of $wanted: $(tail -n 5 err)"
}

# start_quern NAME ARGUMENT…: in the background; its words go to NAME.log; its number in $pid.
start_quern() {
    local name=$1
    shift
    setsid "$quern" "$@" </dev/null >"$name.out" 2>"$name.log" &
    pid=$!
}

is_started() { grep -qE 'event"?[=:]"?started' "$1.log"; }
started_quern() {
    start_quern "$@"
    wait_for 10 is_started "$1"
}

stop_quern() {
    signal_process TERM "$1"
    status_of "$1" 20
}

# The processes that one of ours supervises.
children_of() { cat "/proc/$1/task/$1/children" 2>/dev/null || true; }

end_children() {
    local child grandchild grandchildren
    for child in $(jobs -p); do
        [[ $(ps_parent "$child") == "$BASHPID" ]] || continue
        grandchildren=$(children_of "$child")
        kill -CONT "$child" 2>/dev/null
        kill -KILL "$child" 2>/dev/null
        for grandchild in $grandchildren; do kill -KILL "$grandchild" 2>/dev/null; done
        wait "$child" 2>/dev/null
    done
}

# ── Redis ──

# redis_start [OPTION…]: a private server at $socket, its number in $redis_pid, its URL in $url.
redis_start() {
    local program=redis-server
    command -v redis-server >/dev/null || program=redis-check-rdb
    socket=$here/redis.sock
    url=unix://$socket
    setsid bash -c 'exec -a redis-server "$@"' redis "$program" --port 0 --unixsocket "$socket" --dir "$here" --save '' \
        --daemonize no "$@" \
        </dev/null >>"$here/redis.log" 2>&1 &
    redis_pid=$!
    wait_for 10 redis_answers
}

redis_answers() { [[ $(redis PING 2>&1) =~ ^(PONG|NOAUTH) ]]; }
redis() { redis-cli -s "$socket" "$@" 2>&1; }

redis_kill() {
    signal_process KILL "$redis_pid"
    wait "$redis_pid" 2>/dev/null
}

# Of app.events and app.workers, or of stream $1 and group $2.
length() { redis XLEN "${1:-app.events}"; }
pending() { redis XPENDING "${1:-app.events}" "${2:-app.workers}" | head -n 1; }
retry_length() { length app.events:app.workers:retry; }
delayed() { redis ZCARD app.events:app.workers:delayed; }
dead() { length app.events:failed; }
dead_is() { [[ $(dead) == "$1" ]]; }
completed() { length app.events:app.workers:completed; }
length_is() { [[ $(length "${2:-app.events}") == "$1" ]]; }
pending_is() { [[ $(pending) == "$1" ]]; }
completed_is() { [[ $(completed) == "$1" ]]; }
at_least() { [[ $1 =~ ^[0-9]+$ && $1 -ge $2 ]]; } # a server that is away answers with words
completed_reaches() { at_least "$(completed)" "$1"; }
length_reaches() { at_least "$(length)" "$1"; }

# The values of one field in the completed log, a line each; no value may hold a newline.
completed_field() { redis XRANGE app.events:app.workers:completed - + | grep -xFA 1 -- "$1" | grep -vxF -e "$1" -e --; }

# The value of one member of each dead letter's data, a line each, in the order in which they were written.
dead_member() {
    redis EVAL '
        local out = {}
        for _, entry in ipairs(redis.call("XRANGE", KEYS[1], "-", "+")) do
            for i = 1, #entry[2], 2 do
                if entry[2][i] == "data" then out[#out + 1] = tostring(cjson.decode(entry[2][i + 1])[ARGV[1]]) end
            end
        end
        return out' 1 app.events:failed "$1"
}

# Keeps the ids of all that is in the stream, for settled_ids and buried_ids; an entry without one counts by its own.
remember_ids() {
    redis EVAL '
        local from, n = "-", 0
        while true do
            local page = redis.call("XRANGE", KEYS[1], from, "+", "COUNT", 1000)
            if #page == 0 then return n end
            for _, entry in ipairs(page) do
                local id = entry[1]
                for i = 1, #entry[2], 2 do
                    if entry[2][i] == "id" then id = entry[2][i + 1] end
                end
                n = n + redis.call("SADD", "remembered", id)
            end
            from = "(" .. page[#page][1]
        end' 1 "${1:-app.events}"
}

# found_ids STREAM SET LUA: how each id of the set is found in a stream, "ONCE more MORE missing MISSING"; what was found leaves the
# set. LUA makes of an entry's fields (of) the names by one of which it may be known, a list, or nil: it is not looked for.
found_ids() {
    redis EVAL "
        local function names(of) $3 end"'
        local from, once, more = "-", 0, 0
        while true do
            local page = redis.call("XRANGE", KEYS[1], from, "+", "COUNT", 1000)
            if #page == 0 then break end
            for _, entry in ipairs(page) do
                local of, found = {}, 0
                for i = 1, #entry[2], 2 do of[entry[2][i]] = entry[2][i + 1] end
                local known = names(of)
                for _, name in ipairs(known or {}) do
                    if found == 0 then found = redis.call("SREM", KEYS[2], name) end
                end
                if known then once, more = once + found, more + 1 - found end
            end
            from = "(" .. page[#page][1]
        end
        return once .. " more " .. more .. " missing " .. redis.call("SCARD", KEYS[2])' 2 "$1" "$2"
}

# settled_ids [GROUP [SET]]: in a group's completed log.
settled_ids() { found_ids "app.events:${1:-app.workers}:completed" "${2:-remembered}" 'return {of.id}'; }

# buried_ids [GROUP [SET]]: in the dead letters of a group.
buried_ids() {
    found_ids app.events:failed "${2:-remembered}" "
        local data = cjson.decode(of.data)
        if data.group ~= '${1:-app.workers}' then return nil end
        return {data.original_id == cjson.null and '' or data.original_id, data.source_stream_id}"
}

# settled_retries [GROUP]: how many in a group's completed log had how many retries, "0:N 1:M …".
settled_retries() {
    redis EVAL '
        local from, counts, out = "-", {}, {}
        while true do
            local page = redis.call("XRANGE", KEYS[1], from, "+", "COUNT", 1000)
            if #page == 0 then break end
            for _, entry in ipairs(page) do
                for i = 1, #entry[2], 2 do
                    if entry[2][i] == "retries" then counts[entry[2][i + 1]] = (counts[entry[2][i + 1]] or 0) + 1 end
                end
            end
            from = "(" .. page[#page][1]
        end
        for retries, count in pairs(counts) do out[#out + 1] = retries .. ":" .. count end
        table.sort(out)
        return table.concat(out, " ")' 1 "app.events:${1:-app.workers}:completed"
}

# burn_jobs N [JSON]: publishes N lines.
burn_jobs() {
    timeout 60 "$quern" publish --redis "$url" burn - >/dev/null 2>publish.log < <(yes "${2:-{\}}" | head -n "$1") ||
        fail "publishing: $(tail -n 1 publish.log)"
}

# burn_config [KEY: VALUE, …]: a configuration, burn.json, whose only worker is burn.
burn_config() {
    printf '{%s"completed_max": 1000000, "workers": [{"event": "burn", "module": "burn"}]}\n' "${1:+$1, }" >burn.json
}

# ── Running ──

run_one() {
    here=$scratch/$2
    mkdir -- "$here"
    cd "$here" || exit 1
    trap end_children EXIT
    "$1"
}

# Sanitizers report where the process writes, unless whoever calls us has them collected elsewhere.
reports_in() {
    ! is_plain && grep -rlE '(ERROR|WARNING): (Address|Leak|Thread)Sanitizer|: runtime error:' "$1"
}

# Runs each function given, or with a second argument to the script, that one alone.
run_all() {
    local name number=0 failed=0 began log
    [[ -z ${only:-} ]] || set -- "$only"
    for name in "$@"; do
        number=$((number + 1))
        log=$scratch/$number.log
        began=$(now_ms)
        if (run_one "$name" "$number") >"$log" 2>&1 && ! reports_in "$scratch/$number" >>"$log"; then
            printf 'ok      %5d ms  %s\n' $(($(now_ms) - began)) "$name"
            grep '^#' "$log" || true
        else
            printf 'NOT OK  %5d ms  %s\n' $(($(now_ms) - began)) "$name"
            sed 's/^/    /' "$log"
            (cd "$scratch/$number" && tail -n 8 -- *.log err 2>/dev/null | cut -c 1-400 | sed 's/^/    | /')
            failed=$((failed + 1))
        fi
    done
    ((failed == 0))
}

only=${2:-}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/cli-XXXXXX")
trap 'rm -rf -- "$scratch"' EXIT
mkfifo "$scratch/never"
exec {never}<>"$scratch/never"
export XDG_STATE_HOME=$scratch/state HOME=$scratch/home
mkdir -- "$HOME"
