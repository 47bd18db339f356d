#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/volume.sh BUILD: many jobs. Two processes share them and each is done once; what is done leaves the stream; and
# memory depends on neither how many wait nor how many have been done.
# QUERN_TEST_WAITING=1000000 lets that many wait, instead of 300,000. Lines that begin with # are figures.
waiting=${QUERN_TEST_WAITING:-300000}
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

memory_kib() { sed -n "s/^$2:[[:space:]]*\([0-9]*\) kB/\1/p" "/proc/$1/status"; }

two_processes_do_each_of_200000_jobs_once() {
    local began first
    redis_start
    burn_config
    burn_jobs 200000
    equal "$(remember_ids)" 200000 ids
    began=$(now_ms)
    start_quern one run -c burn.json --redis "$url" --threads 2 --until-empty
    first=$pid
    start_quern two run -c burn.json --redis "$url" --threads 2 --until-empty
    status_of "$first" 60
    equal "$status" 0 "status of the first"
    status_of "$pid" 60
    equal "$status" 0 "status of the second"
    echo "#   200,000 jobs with a completed log in $(($(now_ms) - began)) ms"
    equal "$(settled_ids)" "200000 more 0 missing 0" ids
    equal "$(pending) $(pending app.events:app.workers:retry)" "0 0" pending
    (($(length) <= 200)) || fail "$(length) entries are left in the stream"
    equal "$(retry_length)" 0 "entries in the retry stream"
    lacks one.log lease_lost
    lacks two.log lease_lost
}

# Publishing more while they run: neither ends before all of it is done, and neither takes what the other has.
two_processes_end_when_everything_is_done() {
    local first
    redis_start
    burn_config
    burn_jobs 1000 '{"sleep_us": 200}'
    remember_ids >/dev/null
    start_quern one run -c burn.json --redis "$url" --threads 2 --until-empty
    first=$pid
    start_quern two run -c burn.json --redis "$url" --threads 2 --until-empty
    status_of "$first" 30
    status_of "$pid" 30
    equal "$(settled_ids)" "1000 more 0 missing 0" ids
    equal "$(length) $(pending)" "0 0" "entries, pending"
}

memory_does_not_depend_on_how_many_wait() {
    local early late peak total
    redis_start
    burn_config
    sed -i 's/"completed_max": [0-9]*/"reap_ms": 500/' burn.json
    burn_jobs "$waiting" '{"echo": "0123456789012345678901234567890123456789012345678901"}'
    equal "$(redis XRANGE app.events - + COUNT 1 | grep -c .)" 11 "lines of an entry"
    start_quern one run -c burn.json --redis "$url" --threads 2
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

run_all two_processes_do_each_of_200000_jobs_once \
    two_processes_end_when_everything_is_done \
    memory_does_not_depend_on_how_many_wait
