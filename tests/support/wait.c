/* SPDX-License-Identifier: MIT */
#include "support/wait.h"

#include <time.h>

int64_t wait_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void wait_breathe(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

void (*wait_witness)(void);

void wait_fail(const char *condition)
{
    if (wait_witness) wait_witness();
    fail_msg("not in time: %s", condition);
}
