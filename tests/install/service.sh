#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/install/service.sh BUILD: config/quern.service says nothing that systemd does not know, and gives an attacker little.
# Skipped (77) where there is no systemd-analyze.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

if ! command -v systemd-analyze >/dev/null; then
    echo "no systemd-analyze: skipped"
    exit 77
fi

a_service_gets_two_of_ten_at_most() {
    local score
    cp "$tree/config/quern.service" .
    systemd-analyze security --offline=true "$here/quern.service" >report 2>&1 || fail "$(tail -n 3 report)"
    score=$(sed -n 's/.*exposure level for quern.service: \([0-9.]*\) .*/\1/p' report)
    [[ $score =~ ^[0-9]+\.[0-9]$ ]] || fail "no score: $(tail -n 1 report)"
    ((${score/./} <= 20)) || fail "its exposure is $score"
}

# Of a program that is there.
each_line_of_the_service_is_understood() {
    sed "s,^ExecStart=[^ ]*,ExecStart=$quern," "$tree/config/quern.service" >quern.service
    systemd-analyze verify "$here/quern.service" >report 2>&1 || true
    ! grep -F quern.service report || fail "a line is not understood"
}

run_all a_service_gets_two_of_ten_at_most \
    each_line_of_the_service_is_understood
