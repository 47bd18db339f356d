/* SPDX-License-Identifier: MIT */
#include "run/cores.h"

#include <unistd.h>

#include "support/unit.h"

static void a_quota_is_rounded_up_to_whole_cores(void **state)
{
    static const struct {
        const char *line;
        uint32_t cores;
    } table[] = {
        {"max 100000\n", UINT32_MAX},
        {"max", UINT32_MAX},
        {"", UINT32_MAX},
        {"\n", UINT32_MAX},
        {"100000 100000\n", 1},
        {"100001 100000\n", 2},
        {"200000 100000\n", 2},
        {"150000 100000", 2},
        {"50000 100000\n", 1},
        {"1 100000\n", 1},
        {"1000 1000000\n", 1},
        {"6400000 100000\n", 64},
        {"0 100000\n", UINT32_MAX},
        {"-1 100000\n", UINT32_MAX},
        {"100000", UINT32_MAX},
        {"100000 0\n", UINT32_MAX},
        {"100000 -5\n", UINT32_MAX},
        {"100000 max\n", UINT32_MAX},
        {"9223372036854775807 1\n", UINT32_MAX},
        {"4294967296 1\n", UINT32_MAX},
        {"9223372036854775807 9223372036854775807\n", 1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        uint32_t cores = cores_of_quota(table[i].line);
        if (cores != table[i].cores) fail_msg("'%s': %u, not %u", table[i].line, cores, table[i].cores);
    }
}

static void there_is_a_core_and_not_more_than_the_machine_has(void **state)
{
    (void)state;
    assert_in_range(cores_usable(), 1, sysconf(_SC_NPROCESSORS_CONF));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quota_is_rounded_up_to_whole_cores),
        cmocka_unit_test(there_is_a_core_and_not_more_than_the_machine_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
