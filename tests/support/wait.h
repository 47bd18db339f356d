/* SPDX-License-Identifier: MIT */

/* tests/support/wait: a condition comes true in time, or the test fails and says which.
 * Idea       looked at every millisecond: a test that passes takes as long as it must and no longer.
 * Threads    the test's own (cmocka's failures are for that one only). */
#ifndef QUERN_TESTS_SUPPORT_WAIT_H
#define QUERN_TESTS_SUPPORT_WAIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* SOON_MS: what takes a moment has ended by then on a machine that is busy, too; what it must not wait for lasts longer. */
enum { PATIENCE_MS = 45000, SOON_MS = 15000 };

#define wait_until(condition, deadline_ms)                                              \
    do {                                                                                \
        int64_t wait_started_ms = wait_now_ms();                                        \
        while (!(condition)) {                                                          \
            if (wait_now_ms() - wait_started_ms > (deadline_ms)) wait_fail(#condition); \
            wait_breathe();                                                             \
        }                                                                               \
    } while (0)
#define wait_for(condition) wait_until(condition, PATIENCE_MS)

/* The condition holds now, and at every look until hold_ms are over. */
#define stays(condition, hold_ms)                                                                 \
    do {                                                                                          \
        for (int64_t stays_from_ms = wait_now_ms(); wait_now_ms() - stays_from_ms < (hold_ms);) { \
            if (!(condition)) fail_msg("did not stay: %s", #condition);                           \
            wait_breathe();                                                                       \
        }                                                                                         \
    } while (0)

int64_t wait_now_ms(void);
void wait_breathe(void);

/* Says what did not come true, and fails; before that wait_witness, where there is one, tells what it looks like now. */
void wait_fail(const char *condition);
extern void (*wait_witness)(void);

#endif
