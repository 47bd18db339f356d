#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/doors.sh: who may include whom, and what is said in which room only. The tables below are the rule; a new edge is a
# decision made here. Then the check is checked: in a copy of the tree each rule is broken once, and must be noticed.
#
#     tests/doors.sh          both
#     tests/doors.sh DIR      only the check, of the tree in DIR
set -euo pipefail
export LC_ALL=C
shopt -s extglob

# room: the rooms (or single headers) it may include besides itself and "quern.h". The order is that of a job's way.
readonly EDGES='
base:
config:    base
wire:      base
job:       base wire config run/forked.h
queue:     base job
run:       base job queue config blame tell
keep:      base wire job tell
intake:    base wire job queue keep config tell
settle:    base wire job queue keep config tell
upkeep:    base wire job queue keep config blame intake/admit.h tell
blame:     base wire job config
publish:   base wire job config
tell:      base
inspect:   base wire job config blame/journal.h
repair:    base wire job config inspect
embed:     base
supervise: base wire job config blame
cli:       base config embed supervise pool/leave.h wire/url.h
pool:      base config wire job queue run keep intake settle upkeep blame publish inspect tell
'
# pool assembles the house.

# what: where it may be said (shell patterns of files). It is looked for in code, not in comments or texts.
readonly OPENSSL='src/wire/tls*'
readonly URCU='src/queue/* src/run/*'
readonly JANSSON='src/job/codec* src/job/letter* src/config/* src/publish/* src/inspect/* src/repair/* src/cli/*'
readonly NCURSES='src/cli/top_screen*'
# may end the process, take signals, write to its outputs: the program; the hook that a host asks for; the end of a child that a
# handler has forked; the signals of quern_run(), which is there for that
readonly PROCESS='src/cli/* src/embed/* src/supervise/* src/blame/hook* src/run/forked* src/pool/signals*'

readonly THIRD_PARTY_OPENSSL='<openssl/|SSL_|X509_|BIO_'
readonly THIRD_PARTY_URCU='<urcu|cds_[a-z]'
readonly THIRD_PARTY_JANSSON='<jansson\.h>|json_[a-su-z]|json_t[a-z]' # struct json_t may be named, not looked into
readonly THIRD_PARTY_NCURSES='<(n?curses|term)\.h>|stdscr|setupterm'
readonly CALLS='(abort|exit|_exit|_Exit|quick_exit|signal|sigaction|printf|vprintf|puts|putchar|perror) *\(|stdout|stderr'
readonly SUPPRESSIONS='called_from_lib:liburcu-cds.so called_from_lib:liburcu-common.so called_from_lib:liburcu-memb.so'

# ── The check ──────────────────────────────────────────────────────────────────────────────────────────────────────────

found=0

violation() {
    printf 'doors: %s\n' "$*" >&2
    found=$((found + 1))
}

# The files of the tree, without what a build leaves.
files() {
    find include src workers config tests CMakeLists.txt .ci -type f "$@" | sort
}

# file:line:code of C files, comments and the insides of texts blanked; an include keeps its name.
code_of() {
    awk '
        FNR == 1 { in_comment = 0 }
        {
            rest = $0; code = ""
            is_include = !in_comment && rest ~ /^[ \t]*#[ \t]*include/
            while (rest != "") {
                if (in_comment) {
                    at = index(rest, "*/")
                    if (!at) break
                    rest = substr(rest, at + 2); in_comment = 0
                    continue
                }
                if (!match(rest, is_include ? "/[*/]" : "/[*/]|[\"'\'']")) { code = code rest; break }
                code = code substr(rest, 1, RSTART - 1); rest = substr(rest, RSTART)
                if (substr(rest, 1, 2) == "/*") {
                    in_comment = 1; rest = substr(rest, 3)
                } else if (substr(rest, 1, 2) == "//") {
                    break
                } else if (match(rest, /^"([^"\\]|\\.)*"/) || match(rest, /^'\''([^'\''\\]|\\.)*'\''/)) {
                    code = code "\"\""; rest = substr(rest, RLENGTH + 1)
                } else {
                    code = code substr(rest, 1, 1); rest = substr(rest, 2)
                }
            }
            if (code ~ /[^ \t]/) print FILENAME ":" FNR ":" code
        }' "$@"
}

# In $room. There are thousands of includes, and a subshell for each would take minutes.
find_room() {
    local path=${1#src/}
    if [[ $path == */* ]]; then room=${path%%/*}; else room=.; fi
}

# May room $1 include $2?
is_allowed() {
    local row target=$2
    [[ $target != quern.h ]] || return 0
    if [[ $target != */* ]]; then # a header in src/ itself
        [[ $1 == . ]]
        return
    fi
    [[ ${target%%/*} != "$1" ]] || return 0
    row=" ${edges[$1]} "
    [[ $row == *" ${target%%/*} "* || $row == *" $target "* ]]
}

check_edges() {
    local file line target room
    while IFS=: read -r file line target; do
        find_room "$file"
        if [[ -z ${edges[$room]+known} ]]; then
            violation "$file: the room $room has no row in the table of tests/doors.sh"
        elif ! is_allowed "$room" "$target"; then
            violation "$file:$line: $room may not include \"$target\""
        fi
    done < <(sed -n 's/^\(src[^:]*:[0-9]*\):[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/\1:\2/p' "$code")
}

# Guests include <quern.h>, the system, and their neighbours in workers/.
check_guests() {
    local file line target
    while IFS=: read -r file line target; do
        [[ $target != */* && -e workers/$target ]] || violation "$file:$line: a worker may not include \"$target\""
    done < <(sed -n 's/^\(workers[^:]*:[0-9]*\):[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/\1:\2/p' "$code")
    while IFS=: read -r file line target; do
        [[ ! -e src/$target ]] || violation "$file:$line: a worker may not include <$target>"
    done < <(sed -n 's/^\(workers[^:]*:[0-9]*\):[ \t]*#[ \t]*include[ \t]*<\([^>]*\)>.*/\1:\2/p' "$code")
}

# $1 what it is, $2 how it looks, $3 where in src/ it may be.
check_word() {
    local hit file pattern is_home
    while IFS= read -r hit; do
        file=${hit%%:*}
        is_home=false
        for pattern in $3; do
            # shellcheck disable=SC2053 # a pattern
            [[ $file != $pattern ]] || is_home=true
        done
        $is_home || violation "$hit: $1 only in $3"
    done < <(grep -E "^src/[^:]*:[0-9]*:(.*[^A-Za-z0-9_])?($2)" "$code")
}

check_marks() {
    local hit mark=TO
    mark="${mark}DO|FIX""ME|X""XX"
    while IFS= read -r hit; do
        violation "$hit: no such marks; do it, or write an issue"
    done < <(files | xargs -r -d '\n' grep -nHwE "$mark")
}

# Every file that can carry a comment says its licence in its first three lines.
check_licences() {
    local file
    while IFS= read -r file; do
        violation "$file: no SPDX line on top"
    done < <(files ! -name '*.json' ! -name '*.acl' ! -name '*.supp' ! -name '*.md' ! -path '*/fuzz/corpus/*' | xargs -r -d '\n' awk '
        function judge() { if (name && !is_licensed) print name }
        FNR == 1 { judge(); name = FILENAME; is_licensed = 0 }
        FNR <= 3 && /SPDX-License-Identifier: MIT/ { is_licensed = 1 }
        END { judge() }')
}

check_suppressions() {
    [[ $(sort tests/tsan.supp | xargs) == "$SUPPRESSIONS" ]] || violation "tests/tsan.supp: these three and no others: $SUPPRESSIONS"
}

read_edges() {
    local room targets
    declare -gA edges=()
    while IFS=: read -r room targets; do
        [[ -z $room ]] || edges[$room]=${targets##+( )}
    done <<<"$EDGES"
}

# Fails if anything is wrong in the tree of folder $1.
check() {
    cd -- "$1"
    found=0
    code=$scratch/code
    files -name '*.[ch]' | grep -E '^(src|workers)/' | xargs -r -d '\n' bash -c "$(declare -f code_of); code_of \"\$@\"" _ >"$code"
    read_edges
    check_edges
    check_guests
    check_word openssl "$THIRD_PARTY_OPENSSL" "$OPENSSL"
    check_word liburcu "$THIRD_PARTY_URCU" "$URCU"
    check_word ncurses "$THIRD_PARTY_NCURSES" "$NCURSES"
    check_word jansson "$THIRD_PARTY_JANSSON" "$JANSSON"
    check_word "ending the process, signals and output" "$CALLS" "$PROCESS"
    check_marks
    check_licences
    check_suppressions
    ((found == 0))
}

# ── The check of the check ─────────────────────────────────────────────────────────────────────────────────────────────

# Adds a line to a file of the copy: the check must fail and name the file; without the line it must pass again.
planted() {
    local file=$copy/$1 text=$2 had=false said
    mkdir -p -- "${file%/*}"
    if [[ -e $file ]]; then had=true && cp -p -- "$file" "$scratch/before"; else printf '/* SPDX-License-Identifier: MIT */\n' >"$file"; fi
    printf '%s\n' "$text" >>"$file"
    if said=$(check "$copy" 2>&1); then
        echo "doors: not noticed in $1: $text" >&2
        missed=$((missed + 1))
    elif [[ $said != *"doors: $1"* ]]; then
        printf 'doors: noticed something else in %s: %s\n' "$1" "$said" >&2
        missed=$((missed + 1))
    fi
    if $had; then mv -- "$scratch/before" "$file"; else rm -- "$file"; fi
}

self_test() {
    copy=$scratch/copy
    missed=0
    mkdir -- "$copy"
    find include src workers -name '*.h' -exec cp --parents -t "$copy" -- {} + # enough to see a rule broken, and soon read
    cp --parents -r -t "$copy" -- config CMakeLists.txt .ci tests/tsan.supp
    planted src/base/planted.c '#include "wire/conn.h"'
    planted src/wire/planted.c '#include "job/slot.h"'
    planted src/wire/planted.c '#include <openssl/ssl.h>'
    planted src/job/planted.c '  #  include "queue/ready.h"'
    planted src/settle/planted.c '#include "intake/admit.h"'
    planted src/upkeep/planted.c '#include "intake/dispatcher.h"'
    planted src/repair/planted.c '#include "settle/batch.h"'
    planted src/cli/planted.c '#include "wire/conn.h"'
    planted src/wire/planted.h '#include "conn.h"'
    planted src/cli/planted.c '#include "pool.h"'
    planted src/attic/planted.c '#include "base/err.h"'
    planted workers/planted.c '#include "base/err.h"'
    planted workers/planted.c '#include <base/err.h>'
    planted workers/planted.c '#include "../src/base/err.h"'
    planted src/keep/planted.c '#include <urcu/uatomic.h>'
    planted src/keep/planted.h 'struct cds_wfcq_node;'
    planted src/settle/planted.c '#include <jansson.h>'
    planted src/cli/planted.c '#include <curses.h>'
    planted src/inspect/planted.c '#include "blame/blame.h"'
    planted src/settle/planted.c 'static void f(void) { json_decref(0); }'
    planted src/run/planted.c 'static void f(void) { /* a */ abort(); }'
    planted src/run/planted.c 'static void f(void) { if (1) exit(1); }'
    planted src/run/planted.c 'static void f(void) { signal(1, 0); }'
    planted src/run/planted.c 'static void f(void) { printf("x"); }'
    planted src/run/planted.c '/* X''XX: later */'
    planted tests/planted.sh '# TO''DO'
    planted tests/tsan.supp 'race:everything'
    printf 'int planted;\n' >"$copy/src/base/bare.c"
    if check "$copy" 2>/dev/null; then echo "doors: a file without a licence was not noticed" >&2 && missed=$((missed + 1)); fi
    printf '/* SPDX-License-Identifier: MIT */\n/* never calls exit(1) */ const char *s = "abort() // ";\nvoid f(void) { pthread_exit(0); }\n' \
        >"$copy/src/base/bare.c"
    check "$copy" || { echo "doors: what is allowed was refused" >&2 && missed=$((missed + 1)); }
    ((missed == 0))
}

scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
if (($# > 0)); then
    check "$1"
    exit
fi
cd -- "$(dirname -- "$0")/.."
(check .) || exit 1
(self_test) || exit 1
echo "doors: all closed that should be"
