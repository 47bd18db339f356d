#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/install/templates.sh BUILD: the files for containers below config/examples say nothing that is not there: each key,
# option, verb, file, package and module that they name exists, each configuration is taken, and each grace is longer than the
# drain. Whether YAML is well formed is looked at by tests/install/yaml.sh, where something that reads it is installed; here
# only what is wrong at sight.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

readonly examples=$tree/config/examples
readonly worker=$examples/kubernetes/worker.yaml
readonly nowhere=unix:///nowhere/at/all
mapfile -t files < <(find "$examples/docker" "$examples/kubernetes" -type f | sort)
mapfile -t yaml < <(printf '%s\n' "${files[@]}" | grep '\.yaml$')

is_key() { grep -q "^    \"$1\":" "$tree/config/quern.json"; }

every_file_is_plain_text_with_a_licence_and_yaml_is_indented_by_two() {
    local file
    ((${#files[@]} >= 8 && ${#yaml[@]} >= 5)) || fail "only ${#files[@]} files were found"
    for file in "${files[@]}"; do
        [[ $file == *.json ]] || head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' || fail "$file has no licence"
        ! grep -nP '\t| $' "$file" || fail "$file: a tab, or a space at the end of a line"
    done
    # What a block holds ("|") keeps an indentation of its own.
    for file in "${yaml[@]}"; do
        awk -v file="$file" '
            { match($0, /^ */); at = RLENGTH }
            /^ *(#.*)?$/ { next }
            block && at > depth { next }
            { block = 0 }
            at % 2 { print file ":" FNR ": indented by " at; wrong = 1 }
            at > last + 4 { print file ":" FNR ": indented by " at " below " last; wrong = 1 }
            !/^ *(- )*([A-Za-z0-9_.\/-]+|"[^"]*"): *[^ ]?|^ *- [^ ]|^---$/ {
                print file ":" FNR ": no key, no item: " $0
                wrong = 1
            }
            { last = at }
            /[|]$/ { block = 1; depth = at }
            END { exit wrong }' "$file" || fail "$file"
    done
}

every_variable_is_a_key() {
    local name count=0
    for name in $(grep -ohE '\bQUERN_[A-Z_]+' "${files[@]}" | grep -v '^QUERN_TESTS$' | sort -u); do
        name=${name#QUERN_}
        is_key "${name,,}" || fail "there is no key ${name,,}"
        count=$((count + 1))
    done
    ((count >= 2)) || fail "only $count variables were found"
}

# What quern is called with, a line each, from the verb on: in comments (indented, as commands are) and in lists.
commands() {
    grep -hoP '^#     .*\b(quern|worker) \K[a-z]+( .*)?$' "${files[@]}"
    grep -hP '(CMD|args:|command:) \["(quern|run)"' "${files[@]}" | tr -d '",[]' | sed -E 's/.*(CMD|args:|command:) (quern )?//'
}

every_verb_and_option_exists() {
    local option verb
    commands >commands
    (($(lines_of commands) >= 7)) || fail "only these commands were found: $(<commands)"
    for verb in $(cut -d ' ' -f 1 commands | sort -u); do run_quern 0 help "$verb"; done
    for option in $(grep -oE -- '--[a-z_]+' commands | sort -u); do
        is_key "${option#--}" || grep -rq "\"${option#--}\"" "$tree/src/cli" || fail "there is no option $option"
    done
}

# Of the file, and of each that lies in a ConfigMap.
every_configuration_is_taken_and_its_modules_exist() {
    local file module count=0
    awk '/^  [a-z.]*\.json: \|$/ { inside = 1; next } inside && /^    / { print substr($0, 5); next } { inside = 0 }' \
        "$examples/kubernetes/config.yaml" >map.json
    for file in map.json "$examples"/*/*.json; do
        run_quern 1 stats -c "$file" --redis "$nowhere"
        has err "No such file or directory"
        for module in $(grep -oP '"module": "\K[^"]+' "$file"); do
            [[ -s $build/workers/$module.so || -s $examples/module/$module.c ]] || fail "$file: there is no module $module"
            count=$((count + 1))
        done
    done
    ((count >= 3)) || fail "only $count modules were found"
    cmp map.json "$examples/docker/quern.json" || fail "the two configurations differ"
}

every_grace_is_longer_than_the_drain() {
    local drain_ms grace
    drain_ms=$(grep -oP '"drain_ms": \K[0-9]+' "$examples/docker/quern.json")
    for grace in $(grep -ohP '(terminationGracePeriodSeconds|stop_grace_period): \K[0-9]+' "${yaml[@]}"); do
        ((grace * 1000 > drain_ms + 5000)) || fail "a grace of $grace s for a drain of $drain_ms ms"
    done
    equal "$(grep -lE 'terminationGracePeriodSeconds|stop_grace_period' "${yaml[@]}" | wc -l)" 2 "files with a grace"
}

every_path_of_the_tree_exists() {
    local path
    for path in $(grep -ohE '\bconfig/[A-Za-z0-9_./-]*[A-Za-z0-9]' "${files[@]}" | sort -u); do
        [[ -e $tree/$path ]] || fail "there is no $path"
    done
    [[ -e $examples/docker/../../../CMakeLists.txt ]] || fail "the build's context is not the top of the tree"
}

# Names that one file gives, and another uses.
every_secret_volume_and_config_is_there() {
    local name
    for name in $(grep -hA 3 'secretKeyRef:\|secretTargetRef:' "${yaml[@]}" | grep -oP '\bkey: \K\S+' | sort -u); do
        grep -qE "^  $name: " "$examples/kubernetes/config.yaml" || fail "the Secret has no $name"
    done
    sed -n '/^      volumes:/,$p' "$worker" >volumes
    for name in $(sed -n '/volumeMounts:/,/^      [a-z]/p' "$worker" | grep -oP -- '- name: \K\S+'); do
        grep -qE "^        - name: $name$" volumes || fail "there is no volume $name"
    done
    grep -q 'readOnlyRootFilesystem: true' "$worker" || fail "the root may be written"
    grep -q 'runAsNonRoot: true' "$worker" || fail "it may run as root"
}

# What the program and its modules link is in the packages of the second stage, by the names of the Debian that it is built on.
the_image_has_the_libraries_that_are_linked() {
    local library package
    grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release || { echo "# not looked at: this is no Debian 12" && return 0; }
    sed -n '/^FROM debian:bookworm-slim$/,$p' "$examples/docker/Dockerfile" | grep -oE 'apt-get install .*' >packages
    for library in $(ldd "$build/quern" "$build"/workers/*.so | grep -oP '=> \K/\S+' | sort -u); do
        package=$(dpkg -S "$(realpath "$library")" 2>/dev/null || dpkg -S "$library" 2>/dev/null ||
            dpkg -S "${library#/usr}" 2>/dev/null || dpkg -S "/usr$library" 2>/dev/null) || fail "whose is $library?"
        package=${package%%:*}
        [[ $package =~ ^lib(c6|gcc-s1)$ ]] || grep -qw -- "$package" packages || fail "the image lacks $package ($library)"
    done
    is_plain || echo "# a sanitizer's own libraries are none of an image"
}

# As a pod has it: a volume that belongs to root, a process that does not.
a_process_without_rights_keeps_its_journals_in_a_volume_of_roots() {
    local state at way=''
    ((EUID == 0)) && command -v setpriv >/dev/null || { echo "# not looked at: only root can be somebody else" && return 0; }
    state=$(grep -A 1 'name: STATE_DIRECTORY' "$worker" | grep -oP 'value: /var/lib/quern\K.*')
    redis_start --unixsocketperm 777
    chmod 755 "$scratch" "$here"
    for ((at = 0; at < 2; at++)); do # below tests/run the way goes through folders of its own
        way=$(dirname -- "${way:-$scratch}")
        [[ $way != */quern-* ]] || chmod o+x "$way"
    done
    setpriv --reuid 10001 --regid 10001 --clear-groups test -x "$here" ||
        { echo "# not looked at: nobody else may come to $here" && return 0; }
    install -m 755 "$quern" program
    mkdir volume modules
    chmod 2777 volume
    install -m 755 "$build/workers/digest.so" modules
    install -m 644 "$examples/docker/quern.json" . # the checkout may be in a home that nobody else may enter
    STATE_DIRECTORY=$here/volume$state setsid setpriv --reuid 10001 --regid 10001 --clear-groups ./program run \
        -c quern.json --log_format text --redis "$url" --module_path "$here/modules" >run.out 2>run.log &
    pid=$!
    wait_for 20 is_started run
    lacks run.log "no crash journal"
    run_quern 0 publish --redis "$url" text.digest '{"text": "grain"}' --wait_ms 10000
    has out '"algorithm":"sha256"'
    run_quern 0 stats -c "$examples/docker/quern.json" --redis "$url" --sample_ms 0
    stop_quern "$pid"
    equal "$status" 0
}

run_all every_file_is_plain_text_with_a_licence_and_yaml_is_indented_by_two \
    every_variable_is_a_key \
    every_verb_and_option_exists \
    every_configuration_is_taken_and_its_modules_exist \
    every_grace_is_longer_than_the_drain \
    every_path_of_the_tree_exists \
    every_secret_volume_and_config_is_there \
    the_image_has_the_libraries_that_are_linked \
    a_process_without_rights_keeps_its_journals_in_a_volume_of_roots
