#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/install/run.sh BUILD: is what `cmake --install` puts in place enough for a host that has nothing else of this tree?
# Into a temporary prefix; then hosts in C and C++ by pkg-config and by find_package, against the shared and the static
# library, among them the README's embedding. One of them has functions named like ours: neither may take the other's.
set -euo pipefail
export LC_ALL=C

build=$(cd -P -- "${1:?the folder of a finished build}" && pwd)
tree=$(cd -P -- "$(dirname -- "$0")/../.." && pwd)
readonly strict=(-Wall -Wextra -Werror -pedantic)

step() {
    printf -- '-- %s\n' "$*"
}

fail() {
    printf 'install: %s\n' "$*" >&2
    exit 1
}

# ── What lies where ────────────────────────────────────────────────────────────────────────────────────────────────────

install_tree() {
    local file
    step "installing"
    cmake --install "$build" --prefix "$prefix" >"$scratch/log" || { cat "$scratch/log" && fail "cmake --install failed"; }
    libdir=$(find "$prefix" -name libquern.so -printf %h)
    for file in include/quern.h bin/quern; do
        [[ -s $prefix/$file ]] || fail "$file is not installed"
    done
    for file in libquern.so.0 libquern.a pkgconfig/quern.pc cmake/quern/quern-config.cmake cmake/quern/quern-config-version.cmake \
        quern/workers/deflate.so quern/workers/digest.so quern/workers/exec.so quern/workers/burn.so; do
        [[ -s $libdir/$file ]] || fail "$file is not installed in $libdir"
    done
}

# No path of the build may be needed, so the prefix is moved once.
move_prefix() {
    mv -- "$prefix" "$prefix-moved"
    prefix=$prefix-moved
    libdir=${libdir/\/prefix/\/prefix-moved}
    export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir
}

check_symbols() {
    local names
    step "only quern_… is exported"
    names=$(nm -D --defined-only "$libdir/libquern.so" | awk '$2 != "A" { print $3 }' | sed 's/@.*//')
    [[ -n $names ]] || fail "libquern.so exports nothing"
    ! grep -v '^quern_' <<<"$names" || fail "libquern.so exports the names above"
    names=$(nm --defined-only --extern-only "$libdir/libquern.a" | awk 'NF == 3 { print $3 }')
    [[ -n $names ]] || fail "libquern.a defines nothing"
    ! grep -v '^quern_' <<<"$names" || fail "libquern.a has the names above for all to see"
    [[ $(readelf -d "$libdir/libquern.so") == *'soname: [libquern.so.0]'* ]] || fail "the soname is not libquern.so.0"
}

check_header_promises() {
    local name defined
    step "every function of the header exists"
    defined=$(nm -D --defined-only "$libdir/libquern.so")
    for name in $(grep -oE '^QUERN_PUBLIC [^(]*\(' "$prefix/include/quern.h" | grep -oE 'quern_[a-z_]+\($' | tr -d '('); do
        grep -qE " T $name(@|$)" <<<"$defined" || fail "$name() is in the header only"
    done
}

check_version() {
    local header
    header=$(sed -n 's/^#define QUERN_VERSION *"\(.*\)"$/\1/p' "$prefix/include/quern.h")
    [[ $(pkg-config --modversion quern) == "$header" ]] || fail "quern.pc and quern.h disagree on the version"
    [[ $("$prefix/bin/quern" --version) == *"$header"* ]] || fail "bin/quern and quern.h disagree on the version"
}

# ── Hosts ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

# The first C block after a heading with the word Embed.
extract_example() {
    awk '/^#/ && /[Ee]mbed/ { found = 1 } found && /^```c$/ { inside = 1; next } inside && /^```/ { exit } inside' \
        "$tree/README.md" >"$scratch/example.c"
    [[ -s $scratch/example.c ]] || fail "README.md has no C block after a heading with Embed in it"
    cp -- "$tree"/tests/install/{embed.c,embed.cpp,CMakeLists.txt} "$scratch"
}

runs() {
    "$@" || fail "${1##*/} failed with status $?"
}

by_pkg_config() {
    local shared static
    read -ra shared < <(pkg-config --cflags --libs quern)
    read -ra static < <(pkg-config --static --cflags --libs quern)
    static=("${static[@]/#-lquern/-l:libquern.a}") # beside a shared library the linker would not look at the archive
    step "pkg-config, shared"
    cc -std=c11 "${strict[@]}" "$scratch/example.c" -o "$scratch/example" "${shared[@]}"
    cc -std=c11 "${strict[@]}" "$scratch/embed.c" -o "$scratch/embed" "${shared[@]}"
    c++ -std=c++17 "${strict[@]}" "$scratch/embed.cpp" -o "$scratch/embed-cpp" "${shared[@]}"
    step "pkg-config --static"
    cc -std=c11 "${strict[@]}" "$scratch/example.c" -o "$scratch/example-static" "${static[@]}"
    cc -std=c11 "${strict[@]}" "$scratch/embed.c" -o "$scratch/embed-static" "${static[@]}"
    c++ -std=c++17 "${strict[@]}" "$scratch/embed.cpp" -o "$scratch/embed-cpp-static" "${static[@]}"
    [[ $(readelf -d "$scratch/embed-static") != *libquern* ]] || fail "the static host needs libquern.so"
    for host in embed embed-cpp embed-static embed-cpp-static; do runs "$scratch/$host"; done
}

by_find_package() {
    local host
    step "find_package"
    if ! { cmake -S "$scratch" -B "$scratch/hosts" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" && cmake --build "$scratch/hosts"; } \
        &>"$scratch/log"; then
        cat "$scratch/log"
        fail "find_package(quern) does not serve a host"
    fi
    for host in embed embed-cpp embed-static embed-cpp-static; do runs "$scratch/hosts/$host"; done
}

scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
prefix=$scratch/prefix
install_tree
move_prefix
check_symbols
check_header_promises
check_version
extract_example
by_pkg_config
by_find_package
