#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/memory.sh BUILD: memory depends neither on how many jobs wait nor on how many have been done.
# QUERN_TEST_WAITING=1000000 lets that many wait, instead of 300,000. Lines that begin with # are figures.
waiting=${QUERN_TEST_WAITING:-300000}
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

memory_kib() { sed -n "s/^$2:[[:space:]]*\([0-9]*\) kB/\1/p" "/proc/$1/status"; }

memory_does_not_depend_on_how_many_wait() {
    local early late peak total
    redis_start
    burn_config
    sed -i 's/"completed_max": [0-9]*/"reap_ms": 500/' burn.json
    burn_jobs "$waiting" '{"echo": "0123456789012345678901234567890123456789012345678901"}'
    equal "$(redis XRANGE app.events - + COUNT 1 | grep -c .)" 11 "lines of an entry"
    start_quern one run -c burn.json --redis "$url" --threads 2 --no-supervise
    total=$waiting
    wait_for 60 length_is_at_most $((total * 3 / 4))
    early=$(memory_kib "$pid" VmRSS)
    wait_for 120 length_is_at_most 200
    late=$(memory_kib "$pid" VmRSS)
    peak=$(memory_kib "$pid" VmHWM)
    stop_quern "$pid"
    equal "$status" 0 status
    has one.log "done=$total"
    echo "#   $total jobs: $early KiB after a quarter, $late KiB at the end, $peak KiB at most"
    ((peak < 16 * 1024)) || fail "$peak KiB at most"
    ((late <= early + 1024)) || fail "from $early KiB to $late KiB"
}
length_is_at_most() {
    local now
    now=$(length)
    [[ $now =~ ^[0-9]+$ && $now -le $1 ]]
}

run_all memory_does_not_depend_on_how_many_wait
