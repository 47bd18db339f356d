#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/queues.sh BUILD: several queues in one process of quern run, and what the other verbs make of them.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

queues_config() {
    export QUERN_STATE_DIR=$here/state
    redis_start
    burn_config '"retry_base_ms": 0, "queues": ["urgent", {"stream": "daily", "group": "night"}]'
}

# publish_to STREAM N [JSON]
publish_to() {
    timeout 60 "$quern" publish -c burn.json --redis "$url" --stream "$1" burn - >/dev/null 2>publish.log < <(yes "${3:-{\}}" | head -n "$2") ||
        fail "publishing: $(tail -n 1 publish.log)"
}

both_are_done() { [[ $(length urgent:app.workers:completed) == "$1" && $(length daily:night:completed) == "$2" ]]; }

jobs_of_both_are_run_and_shown() {
    queues_config
    publish_to urgent 3
    publish_to daily 4
    run_quern 0 run -c burn.json --redis "$url" --until-empty
    both_are_done 3 4 || fail "not all were done"
    has err "stream=urgent"
    has err "stream=daily"
    run_quern 0 stats -c burn.json --redis "$url" --sample_ms 0
    equal "$(grep -cE '^(stream +(urgent|daily)|group +(app.workers|night))$' out)" 4 "lines that name a queue"
    run_quern 0 stats -c burn.json --redis "$url" --sample_ms 0 --json
    has out '[{"stream":'
    redis DEL daily >/dev/null
    run_quern 0 stats -c burn.json --redis "$url" --sample_ms 0
    has err "there is no stream daily"
    grep -qE '^stream +urgent$' out || fail "the other queue is not shown"
}

who_works_on_one_queue_says_which() {
    queues_config
    run_quern 2 publish -c burn.json --redis "$url" burn '{}'
    has err "stream: which of queues is meant? set it (--stream) to one of them: urgent, daily"
    run_quern 2 peek waiting -c burn.json --redis "$url"
    has err "which of queues is meant?"
    run_quern 2 run -c burn.json --redis "$url" --stream weekly
    has err 'stream: "weekly" is none of queues (urgent, daily)'
    publish_to daily 2
    run_quern 0 peek waiting -c burn.json --redis "$url" --stream daily --json
    equal "$(grep -o '"stream": *"daily"' out | wc -l)" 2 "jobs that wait"
    run_quern 0 run -c burn.json --redis "$url" --stream daily --until-empty
    both_are_done 0 2 || fail "the other queue was served, too"
}

a_group_that_is_named_is_the_one_that_is_meant() {
    queues_config
    publish_to daily 1
    redis XGROUP CREATE daily other 0 >/dev/null
    run_quern 0 remove other -c burn.json --redis "$url" --stream daily --force
    equal "$(redis XINFO GROUPS daily | grep -cx other)" 0 "groups that are called other"
    redis XGROUP CREATE daily other 0 >/dev/null
    run_quern 0 stats -c burn.json --redis "$url" --stream daily --group other --sample_ms 0
    grep -qE '^group +other$' out || fail "another group was looked at: $(<out)"
}

# The parent reads one journal for both.
what_a_killed_process_held_goes_back_to_each_queue() {
    queues_config
    started_quern one run -c burn.json --redis "$url" --threads 2 --prefetch_ms 20000 --lease_ms 600000
    one=$pid
    publish_to urgent 1
    wait_for 10 both_are_done 1 0
    publish_to daily 10 '{"sleep_us": 500000}' # urgent comes later and is fetched beside them
    publish_to urgent 10 '{"sleep_us": 500000}'
    wait_for 10 both_are_held
    for child in $(children_of "$one"); do kill -KILL "$child"; done
    wait_for 60 both_are_done 11 10
    stop_quern "$one"
    equal "$status" 0 status
    equal "$(pending urgent app.workers) $(pending daily night)" "0 0" pending
}
both_are_held() { at_least "$(pending urgent app.workers)" 1 && at_least "$(pending daily night)" 1; }

run_all jobs_of_both_are_run_and_shown \
    who_works_on_one_queue_says_which \
    a_group_that_is_named_is_the_one_that_is_meant \
    what_a_killed_process_held_goes_back_to_each_queue
