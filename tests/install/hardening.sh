#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/install/hardening.sh BUILD: the built files have the walls that compiler and linker were asked for, and export no
# more than they say. A flag that a later change of CMakeLists.txt loses is missed here, not by an attacker.
# shellcheck source=../support/lib.sh
. "$(dirname -- "$0")/../support/lib.sh"

# Debian's own C library has no CET notes, so what is linked with it has none, either: our own object files are looked at.
objects() { find "$build"/CMakeFiles/{quern_objects,worker_*,quern_program}.dir -name '*.o'; }
files() { printf '%s\n' "$quern" "$build/libquern.so" "$build"/workers/*.so; }
is_optimized() { ! grep -q '^CMAKE_BUILD_TYPE:[A-Z]*=Debug' "$build/CMakeCache.txt"; }

each_file_is_position_independent_and_read_only_where_it_can_be() {
    local file
    has <(readelf -hW "$quern") 'DYN (Position-Independent Executable file)'
    for file in $(files); do
        readelf -hldW "$file" >elf 2>&1 || fail "readelf $file"
        grep -q 'Type: *DYN' elf || fail "$file lies at a fixed address"
        grep -q 'GNU_RELRO' elf || fail "$file has no read-only relocations"
        grep -qE 'FLAGS.*(BIND_)?NOW' elf || fail "$file binds late: its relocations stay writable"
        grep -qE 'GNU_STACK .* RW +0x' elf || fail "the stack of $file is executable, or is not spoken of"
        ! grep -q 'TEXTREL' elf || fail "the code of $file is relocated"
        ! grep -qE 'LOAD .* RWE ' elf || fail "$file has memory to write and to run"
    done
}

# The tree's own program finds what it loads without one; one that points to a build would be followed by whoever may write there.
no_file_says_where_to_look_for_libraries() {
    local file
    for file in $(files); do
        readelf -dW "$file" >elf
        ! grep -qE 'R(UN)?PATH' elf || fail "$file has a path for libraries"
    done
}

stacks_and_copies_are_guarded() {
    local file
    for file in $(files); do
        nm -D --undefined-only "$file" >asked
        has asked __stack_chk_fail
        ! is_optimized || grep -qE ' __[a-z_]*_chk@' asked || fail "$file has no fortified call"
    done
}

jumps_are_guarded_where_the_processor_can() {
    local object count=0
    [[ $(uname -m) == x86_64 ]] || return 0
    while read -r object; do
        readelf -nW "$object" >notes 2>/dev/null
        grep -q 'IBT, SHSTK' notes || fail "$object has no CET note"
        count=$((count + 1))
    done < <(objects)
    ((count > 100)) || fail "only $count object files were found"
}

only_what_is_promised_is_exported() {
    local file
    exports() { nm -D --defined-only "$1" | awk '{ print $3 }' | sed 's/@.*//' | sort -u; }
    exports "$build/libquern.so" | grep -vE '^(quern_[a-z_]+|QUERN_[0-9]+)$' >other
    for file in "$build"/workers/*.so; do exports "$file" | grep -vx quern_module_entry >>other; done
    # of a program, besides ours: what the linker and the C library's start-up say, and data of libraries that was copied here
    nm -D --defined-only "$quern" | awk '{ print $3 }' |
        grep -vE '^(quern_[a-z_]+|_IO_stdin_used|__bss_start|__data_start|data_start|_edata|_end|_start|[a-z_]+@.*)$' >>other
    [[ ! -s other ]] || fail "exported, too: $(tr '\n' ' ' <other)"
    for file in quern_pool_start quern_publish; do
        has <(exports "$build/libquern.so") "$file"
    done
    # Of the static library, what is not promised is local to its one object.
    nm --defined-only -g "$build/libquern.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | grep -vE '^quern_[a-z_]+$' >other
    [[ ! -s other ]] || fail "global in libquern.a, too: $(tr '\n' ' ' <other)"
}

run_all each_file_is_position_independent_and_read_only_where_it_can_be \
    no_file_says_where_to_look_for_libraries \
    stacks_and_copies_are_guarded \
    jumps_are_guarded_where_the_processor_can \
    only_what_is_promised_is_exported
