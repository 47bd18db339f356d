/* SPDX-License-Identifier: MIT */

/* cli/verdict: who is busy nearly all the time is the limit. */
#include "cli/verdict.h"

#include "support/unit.h"

static void the_limit_is_whoever_is_busy_all_the_time(void **state)
{
    (void)state;
    enum { SECOND = 1000000 };
    static const struct {
        struct gauge gauge;
        enum limit limit;
        const char *words;
    } rows[] = {
        {{.took_us = SECOND, .server_main_us = 950000, .busiest_us = 990000, .machine_busy = 1}, LIMIT_SERVER, "busy 95 %"},
        {{.took_us = SECOND, .server_main_us = 500000, .busiest_us = 900000, .busiest = "quern", .machine_busy = 1},
         LIMIT_THREAD,
         "thread quern is busy 90 %"},
        {{.took_us = SECOND, .cpu_us = 3600000, .busiest_us = 600000, .machine_busy = 1}, LIMIT_PROCESS, "90 % of its cores"},
        {{.took_us = SECOND, .cpu_us = 400000, .server_main_us = 300000, .busiest_us = 100000, .machine_busy = 0.97},
         LIMIT_MACHINE,
         "busy 97 %"},
        {{.took_us = SECOND, .server_main_us = 600000, .busiest_us = 350000, .busiest = "quern", .machine_busy = 0.5},
         LIMIT_TURNS,
         "quern (35 %)"},
        {{.took_us = SECOND, .cpu_us = 400000, .server_main_us = 300000, .busiest_us = -1, .machine_busy = -1},
         LIMIT_WAY,
         "123 us"},
        {{.took_us = 150000, .server_main_us = 150000, .busiest_us = 100000, .machine_busy = 1}, LIMIT_SHORT, "(150 ms)"},
    };
    const struct gauge_server server = {.round_trip_us = 123};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char words[VERDICT_SIZE];
        struct verdict verdict = verdict_of(&rows[i].gauge, 4);
        verdict_write(&verdict, &rows[i].gauge, &server, words);
        if (verdict.limit != rows[i].limit || !strstr(words, rows[i].words))
            fail_msg("row %zu: %s: %s", i, verdict_name(verdict.limit), words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_limit_is_whoever_is_busy_all_the_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
