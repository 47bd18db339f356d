#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/workers/demo.sh BUILD: the demo, on a folder of its own with the names that break shells, and what it leaves behind.
# It sees the build through a folder of links, so that what it leaves can be told from what others left.
set -euo pipefail
export LC_ALL=C

build=$(cd -P -- "${1:?the folder of a finished build}" && pwd)
demo=$(cd -P -- "$(dirname -- "$0")/../../workers" && pwd)/demo

fail() {
    printf 'demo test: %s\n' "$*" >&2
    [[ ! -e $scratch/out ]] || sed 's/^/    /' "$scratch/out" >&2
    exit 1
}

# Runs the demo; its exit status must be $1.
demo_ends_with() {
    local status=0
    "$demo" --built "$scratch/built" "${@:2}" &>"$scratch/out" || status=$?
    ((status == $1)) || fail "status $status instead of $1"
}

demo_said() {
    grep -qF -- "$1" "$scratch/out" || fail "it did not say: $1"
}

nothing_is_left() {
    local left
    left=$(find "$scratch/built" -maxdepth 1 -name 'demo-*' -type d)
    [[ -z $left ]] || fail "left behind: $left"
}

folder_of_odd_names() {
    local name
    mkdir -p -- "$folder/ a folder"
    for name in plain ' lead' $'new\nline' $'return\r' 'back\slash' $'tab\there' 'quo"te' $'not utf-8 \xe9\xff' $'\xe2\x82\xac' '-x' '*'; do
        printf '%s' "$name" >"$folder/$name"
        head -c 100000 /dev/urandom >"$folder/ a folder/$name"
    done
    : >"$folder/empty"
    ln -s plain "$folder/link"
    ln -s nowhere "$folder/broken link"
    mkfifo "$folder/pipe"
}

every_regular_file_is_done() {
    demo_ends_with 0 "$folder"
    demo_said "jobs         23 done, 0 dead, 0 pending of 23"
    demo_said "checked      23 of 23 against sha256sum: all equal"
    demo_said "all          23 files are done"
    nothing_is_left
}

again_it_works_again() {
    demo_ends_with 0 -- "$folder"
    demo_said "all          23 files are done"
    nothing_is_left
}

an_unreadable_file_is_named() {
    (($(id -u) != 0)) || return 0 # root reads everything
    chmod 0 "$folder/plain"
    demo_ends_with 1 "$folder"
    chmod 600 "$folder/plain"
    demo_said "not done     $folder/plain"
    demo_said "1 of 23 files are not done"
    rm -rf -- "$scratch"/built/demo-*/
}

a_folder_without_files_is_refused() {
    mkdir -- "$scratch/nothing"
    demo_ends_with 1 "$scratch/nothing"
    demo_said "no regular file below"
    demo_ends_with 2 "$scratch/is not there"
    nothing_is_left
}

# Told to stop in the middle, it ends what it started: the state folder is gone, and no process knows of it any more.
a_signal_leaves_nothing() {
    local pid state='' entry status=0 deadline=$((SECONDS + 30))
    "$demo" --built "$scratch/built" "$folder" &>"$scratch/out" &
    pid=$!
    until [[ -n $state && -n $(find "$state" -type s 2>/dev/null) ]]; do
        kill -0 "$pid" 2>/dev/null || fail "it ended before it could be interrupted"
        ((SECONDS < deadline)) || fail "there was no server to interrupt"
        state=$(find "$scratch/built" -maxdepth 1 -name 'demo-*' -type d)
    done
    kill -TERM "$pid"
    wait "$pid" || status=$?
    ((status == 143)) || fail "status $status instead of 143 after a signal"
    for entry in /proc/[0-9]*/cmdline; do
        ! grep -qaF -- "$state" "$entry" 2>/dev/null || fail "still there: $(tr '\0' ' ' <"$entry")"
    done
    nothing_is_left
}

scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
mkdir -- "$scratch/built"
ln -s -- "$build/quern" "$build/workers" "$scratch/built"
folder=$scratch/files
folder_of_odd_names
every_regular_file_is_done
again_it_works_again
an_unreadable_file_is_named
a_folder_without_files_is_refused
a_signal_leaves_nothing
