#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/cli/usage.sh BUILD: what the program says of itself, and how it refuses what it cannot understand: with one line, with
# status 2, and before anything was started.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

refused_with() {
    run_quern 2 "${@:2}"
    equal "$(lines_of err)" 1 "lines for '${*:2}'"
    has err "$1"
    [[ ! -s out ]] || fail "a refusal wrote to standard output"
}

nobody_came() {
    [[ $(<fake.out) == +ready ]] || fail "a connection was made"
}

# A server that tells whether anybody connected.
fake_start() {
    printf -- '-ERR nobody home\r\n' >answer
    "$build/fake_server" "$here/fake.sock" answer >fake.out &
    url=unix://$here/fake.sock
    wait_for 5 grep -q ready fake.out
}

each_verb_has_help_and_there_is_a_version() {
    local verb
    run_quern 0 --version
    [[ $(<out) =~ ^quern\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "version: $(<out)"
    for verb in run publish stats pending top dead peek replay purge remove cancel pause resume doctor bench help; do
        run_quern 0 help
        has out "quern $verb"
        run_quern 0 help $verb
        has out "quern $verb"
        run_quern 0 $verb --help
        has out "quern $verb"
    done
    has out "quern help"
    run_quern 0 help run
    has out "--lease_ms"
    has out "QUERN_<KEY>"
    [[ ! -s err ]] || fail "help wrote to standard error"
}

a_wrong_command_line_is_one_line_and_status_2() {
    refused_with "right would be run, publish, stats, pending, top, dead, peek, replay, purge, remove, cancel, doctor, bench, pause, resume or help"
    refused_with "no verb 'frobnicate'" frobnicate
    refused_with "no verb 'frobnicate'" help frobnicate
    refused_with "--leas: no such option" run --leas 5
    refused_with "did you mean --lease_ms" run --lese_ms 5
    refused_with "did you mean --threads" run --treads=2
    refused_with "--wholly-unknown: no such option" run --wholly-unknown
    refused_with "-x: no such option" run -x
    run_quern 2 publish -xy event
    has err "-x: no such option"
    has err "-y: no such option"
    refused_with "--rediss: no such option" publish --rediss=redis://:sesame@here event
    lacks err sesame
    refused_with "--stream: its value is missing" run --stream
    refused_with "-c: its value is missing" publish -c
    refused_with "EVENT -- COMMAND" run event
    refused_with "EVENT -- COMMAND" run event --
    refused_with "the command is not UTF-8" run event -- printf %s $'a\xff' b
    refused_with "nothing to run" run
    refused_with "EVENT [JSON | @FILE | -]" publish
    refused_with "EVENT [JSON | @FILE | -]" publish one two three
    refused_with "--timeout: 'soon'" publish --timeout soon event
    refused_with "use true or false" publish --trim=perhaps event
    refused_with "--lease_ms" run --lease-ms 5 event -- true
}

options_beat_the_environment_which_beats_the_file() {
    redis_start
    echo '{"stream": "of.file", "publish_ms": 3000}' >quern.json
    run_quern 0 publish -c quern.json --redis "$url" event
    equal "$(length of.file)" 1
    QUERN_STREAM=of.environment run_quern 0 publish -c quern.json --redis "$url" event
    equal "$(length of.environment)" 1
    QUERN_STREAM=of.environment run_quern 0 publish --stream of.option -c quern.json --redis "$url" event
    equal "$(length of.option)" 1
    QUERN_STREAM=of.environment run_quern 0 publish --redis="$url" -c quern.json --stream=of.option event
    equal "$(length of.option)" 2
    equal "$(length of.environment) $(length of.file)" "1 1"
}

the_parameters_of_streamix_queue_are_options_too() {
    redis_start
    run_quern 0 publish --redis_url "$url" event
    equal "$(length)" 1
    QUERN_REDIS_URL=$url run_quern 0 publish event
    equal "$(length)" 2
    run_quern 0 run --redis-url "$url" --claim_idle_ms 5000 --retry_limit 1 --batch_size 10 --block_ms 100 --consumer me --until-empty \
        --trim false event -- sh -c 'echo "$QUERN_HOLDER" >>consumers'
    equal "$(lines_of consumers)" 2 "jobs that were run"
    has consumers me-
}

keys_are_spelled_with_dashes_or_underscores_and_switches_need_no_value() {
    redis_start
    echo 7 >seven
    run_quern 0 run --redis "$url" --lease-ms 5000 --lease_ms 6000 --claim-idle-ms 7000 --until-empty --trim false event -- true
    run_quern 0 publish --redis "$url" event
    run_quern 0 run --redis "$url" --until-empty --trim false event -- true
    equal "$(length)" 1 "entries though nothing is to be trimmed"
    run_quern 0 run --redis "$url" --until_empty true --trim event -- true
    equal "$(length)" 0 "entries after a trim"
}

all_problems_of_a_file_are_listed_and_nothing_is_started() {
    fake_start
    echo '{"threads": 0, "lese_ms": 5, "stream": 7, "trim": "maybe", "workers": [{"event": "", "module": "exec"}]}' >bad.json
    run_quern 2 run -c bad.json --redis "$url" event -- true
    for key in threads lese_ms stream trim workers; do
        grep -q "^quern: bad.json: $key" err || fail "$key is not listed"
    done
    has err "did you mean lease_ms"
    equal "$(lines_of err)" 5 "lines"
    run_quern 2 publish -c bad.json --redis "$url" event
    refused_with "no-such.json" publish -c no-such.json --redis "$url" event
    echo '{"stream": ' >cut.json
    refused_with "cut.json: line 2" run -c cut.json --redis "$url" event -- true
    nobody_came
}

a_wrong_variable_is_named_and_nothing_is_started() {
    fake_start
    QUERN_LEASE_MS=short refused_with QUERN_LEASE_MS run --redis "$url" event -- true
    QUERN_LEASEMS=5000 refused_with "did you mean QUERN_LEASE_MS" publish --redis "$url" event
    nobody_came
}

the_default_configuration_runs_as_it_is() {
    redis_start
    run_quern 0 run -c "$tree/config/quern.json" --redis "$url" --module_path "$build/workers" --until_empty
    run_quern 0 run -c "$tree/config/quern.json" --redis "$url" --until_empty
    has err stopped
}

workers_that_cannot_be_loaded_are_refused_before_anything() {
    fake_start
    echo '{"workers": [{"event": "e", "module": "no-such-module"}]}' >none.json
    refused_with "module no-such-module for event e" run -c none.json --redis "$url"
    mkdir -m 777 open
    cp -- "$build/workers/burn.so" open
    echo '{"workers": [{"event": "e", "module": "burn"}]}' >burn.json
    refused_with "open may be written by everybody" run -c burn.json --redis "$url" --module_path "$here/open"
    echo '{"workers": []}' >empty.json
    refused_with "empty.json: workers" run -c empty.json --redis "$url"
    echo 'not a shared object' >plain.so
    echo '{"workers": [{"event": "e", "module": "'"$here"'/plain.so"}]}' >plain.json
    refused_with "plain.so for event e" run -c plain.json --redis "$url"
    echo '{"workers": [{"event": "e", "module": "burn", "options": {"uss": 1}}]}' >option.json
    refused_with "module burn for event e" run -c option.json --redis "$url"
    nobody_came
}

run_all each_verb_has_help_and_there_is_a_version \
    a_wrong_command_line_is_one_line_and_status_2 \
    options_beat_the_environment_which_beats_the_file \
    the_parameters_of_streamix_queue_are_options_too \
    keys_are_spelled_with_dashes_or_underscores_and_switches_need_no_value \
    all_problems_of_a_file_are_listed_and_nothing_is_started \
    a_wrong_variable_is_named_and_nothing_is_started \
    the_default_configuration_runs_as_it_is \
    workers_that_cannot_be_loaded_are_refused_before_anything
