#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/volume.sh BUILD: many jobs. Two processes share them, each is done once, and what is done leaves the stream. Lines
# that begin with # are figures.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

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
    equal "$(pending)" 0 pending
    equal "$(redis EXISTS app.events:app.workers:retry app.events:app.workers:settles)" 0 "keys of those that have ended"
    (($(length) <= 200)) || fail "$(length) entries are left in the stream"
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

run_all two_processes_do_each_of_200000_jobs_once \
    two_processes_end_when_everything_is_done
