#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/features.sh: the README's tables of features and of threats say nothing that is not there. In each row there is at least one test,
# each of which exists and is run; every function, constant, verb and key of a feature exists.
set -uo pipefail
export LC_ALL=C

tree=$(cd -P -- "$(dirname -- "$0")/.." && pwd)
failed=0
rows=0
threats=0

wrong() {
    printf 'README: %s: %s\n' "$feature" "$1"
    failed=1
}

words_of() { grep -oE '`[^`]+`' <<<"$1" | tr -d '`'; }

is_run() { # in a list of tests, beside its definition
    grep -rqE "^static void $1\(void \*\*state\)" "$tree/tests" --include='*.c' && grep -rqE "\(($1)[,)]" "$tree/tests" --include='*.c' ||
        { grep -rqE "^$1\(\) \{" "$tree/tests" --include='*.sh' && (($(grep -rhwE "$1" "$tree/tests" --include='*.sh' | grep -cv '() {') > 0)); }
}

check_where() {
    case $1 in
    'quern '*) grep -qE "^    \{\"$(cut -d ' ' -f 2 <<<"$1")\"," "$tree/src/cli/main.c" || wrong "there is no verb: $1" ;;
    quern_* | QUERN_*) grep -qw -- "$1" "$tree/include/quern.h" || wrong "not in quern.h: $1" ;;
    --*) grep -rqw -- "\"${1#--}\"" "$tree/src/cli" || grep -q "\"${1#--}\":" "$tree/config/quern.json" || wrong "there is no option: $1" ;;
    *) grep -q "\"$1\":" "$tree/config/quern.json" || grep -rq "\.$1 \|\b$1[;,]" "$tree/include/quern.h" || wrong "there is no key: $1" ;;
    esac
}

check_tests() {
    [[ -n $(words_of "$1") ]] || wrong "there is no test"
    while read -r word; do is_run "$word" || wrong "no such test is run: $word"; done < <(words_of "$1")
}

rows_of() { sed -n "/^## $1/,/^## /p" "$tree/README.md" | grep '^|' | tail -n +3; }

while IFS='|' read -r _ feature where tests _; do
    rows=$((rows + 1))
    feature=${feature# }
    while read -r word; do [[ -z $word ]] || check_where "$word"; done < <(words_of "$where")
    check_tests "$tests"
done < <(rows_of 'Feature by feature')

while IFS='|' read -r _ attacker feature tests _; do
    threats=$((threats + 1))
    [[ -n ${attacker// /} ]] || wrong "no attacker is named"
    check_tests "$tests"
done < <(rows_of 'Threat model')

((rows > 20)) || { echo "README: only $rows rows of features were found" && failed=1; }
((threats > 10)) || { echo "README: only $threats rows of threats were found" && failed=1; }
((failed == 0)) && echo "$rows features and $threats threats, each with a test"
exit "$failed"
