# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154,SC2059 # names of run's; a format in a variable
#
# bench/peers/compare.sh: quern and its peers in one table; sourced by tests/bench/run, whose names it uses ($tree, $folder,
# $rounds, is_wanted, summary).
# Idea       in each round each of them has its turn, so that a machine that drifts does so for all; a turn is bounded. Of one
#            that is not installed, or fails, that is said. Printed are medians; --json has the lowest and the highest, too.
readonly PEERS='quern sidekiq bullmq rq celery beanstalkd gearmand' PEER_ROUNDS_MAX=3 PEER_TURN_S=60
readonly PEER_FIGURES='jobs_per_s enqueue_per_s bulk_per_s rss_mb cpu_us server_cpu_us p50_us p99_us share'

peer_is_wanted() { [[ $1 == quern ]] || is_wanted "$1" || is_wanted peers; }

# peer_turn PEER: adds a line to PEER.figures, or says in PEER.failed why not; such a one has no more turns.
peer_turn() {
    local status=0 why
    [[ ! -e $folder/$1.failed ]] || return 0
    timeout --foreground -k 20 "$PEER_TURN_S" "$tree/tests/bench/peers/figures" "$1" "$tree/build" \
        >>"$folder/$1.figures" 2>"$folder/$1.words" </dev/null || status=$?
    case $status in
    0) return ;;
    3) why="not installed: $(tail -n 1 "$folder/$1.words")" ;;
    124 | 137) why="failed: it took more than $PEER_TURN_S s" ;;
    130 | 143) exit "$status" ;; # somebody wants an end
    *) why="failed: $(tail -n 1 "$folder/$1.words")" ;;
    esac
    echo "$why" >"$folder/$1.failed"
}

# peer_row PEER: "MEDIAN …" of its figures, in their order; each goes to the JSON as well.
peer_row() {
    local figure median lowest highest
    for figure in $PEER_FIGURES; do
        sed -nE "s/.*\"$figure\":([0-9.]+).*/\1/p" "$folder/$1.figures" >"$folder/numbers"
        [[ -s $folder/numbers ]] || { printf -- '- ' && continue; }
        read -r median lowest highest < <(summary <"$folder/numbers")
        awk -v m="$median" 'BEGIN { printf m < 10 ? "%.2f " : m < 1000 ? "%.1f " : "%.0f ", m }'
        printf '{"figure":"%s_%s","median":%s,"lowest":%s,"highest":%s,"rounds":%d,"target":""}\n' "$1" "$figure" \
            "$median" "$lowest" "$highest" "$(wc -l <"$folder/numbers")" >>"$folder/json"
    done
    echo
}

compare_peers() {
    local peer wanted=() round name numbers row='%-33s %8s %9s %9s %7s %8s %9s %8s %9s %6s\n'
    for peer in $PEERS; do ! peer_is_wanted "$peer" || wanted+=("$peer"); done
    ((${#wanted[@]} > 1)) || return 0
    for ((round = 0; round < rounds && round < PEER_ROUNDS_MAX; round++)); do
        for peer in "${wanted[@]}"; do peer_turn "$peer"; done
    done
    printf "\n$row" peer jobs/s enqueue/s bulk/s 'RSS MB' 'CPU us' 'server us' 'p50 us' 'p99 us' share
    for peer in "${wanted[@]}"; do
        if [[ -e $folder/$peer.failed ]]; then
            printf '%-33s %s\n' "$peer" "$(<"$folder/$peer.failed")"
            continue
        fi
        name=$(sed -n '1s/.*"name":"\([^"]*\)".*/\1/p' "$folder/$peer.figures")
        read -ra numbers < <(peer_row "$peer")
        printf "$row" "$name" "${numbers[@]}"
    done
}
