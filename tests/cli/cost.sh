#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/cost.sh BUILD: what a job costs, in figures that do not depend on how busy the machine is: instructions of our process per
# job, by callgrind, and commands of Redis per job. Each has a bound, a little above what it was when the bound was set: whoever
# comes near it looks what has become dearer, and raises it only for a reason.
# Idea       two runs, one of twice as many jobs: their difference has no start and no stop in it.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

jobs=20000

# The jobs of 64 bytes that one run drains.
fill() {
    timeout 60 "$quern" publish --redis "$url" burn - >/dev/null 2>publish.log < <(
        awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "{\"k\":\"%056d\"}\n", i }'
    ) || fail "publishing: $(tail -n 1 publish.log)"
}

# instructions N: of a run that drains N jobs.
instructions() {
    fill "$1"
    timeout 200 valgrind --tool=callgrind --callgrind-out-file=callgrind.out "$quern" run -c burn.json --redis "$url" --no-supervise \
        --threads 2 --until-empty >run.out 2>run.log || fail "quern under callgrind: $(tail -n 3 run.log)"
    sed -n 's/^summary: *\([0-9]*\).*/\1/p; s/^totals: *\([0-9]*\).*/\1/p' callgrind.out | head -n 1
}

a_job_takes_no_more_instructions_than_it_did() {
    local few many each
    redis_start
    burn_config_without_log
    few=$(instructions $jobs)
    many=$(instructions $((2 * jobs)))
    each=$(((many - few) / jobs))
    echo "# $each instructions per job; the bound is $1"
    ((each > 1000 && each <= $1)) || fail "$each instructions per job; the bound is $1"
}

# By the calls that Redis has counted, of all connections.
calls() { redis INFO commandstats | tr -d '\r' | awk -F '[:=,]' '/^cmdstat_/ && !/info|config/ { n += $3 } END { print n + 0 }'; }

a_job_takes_no_more_commands_than_it_did() {
    local per_thousand
    redis_start
    burn_config_without_log
    fill $((10 * jobs))
    redis CONFIG RESETSTAT >/dev/null
    run_quern 0 run -c burn.json --redis "$url" --threads 2 --until-empty
    per_thousand=$((1000 * $(calls) / (10 * jobs)))
    echo "# $per_thousand commands per thousand jobs; the bound is $1"
    ((per_thousand > 0 && per_thousand <= $1)) || fail "$per_thousand commands per thousand jobs; the bound is $1"
}

burn_config_without_log() { echo '{"workers": [{"event": "burn", "module": "burn"}]}' >burn.json; }
instructions_are_bounded() { a_job_takes_no_more_instructions_than_it_did 8000; } # 6,750 when it was set, 2,080 of them the handler's
commands_are_bounded() { a_job_takes_no_more_commands_than_it_did 40; } # 16 when it was set

if ! valgrind --tool=callgrind --callgrind-out-file=/dev/null true >/dev/null 2>&1; then
    echo "valgrind does not run here: nothing can be counted"
    exit 77
fi
run_all instructions_are_bounded commands_are_bounded
