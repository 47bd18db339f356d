/* SPDX-License-Identifier: MIT */
#include "proof/history.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int history_fd = -1;

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t history_now_ns(void)
{
    return clock_ns(CLOCK_BOOTTIME);
}

int history_open(const char *folder, char role, unsigned number, unsigned instance)
{
    char path[512];
    snprintf(path, sizeof path, "%s/history/%c%u.%u", folder, role, number, instance);
    history_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (history_fd < 0) return 0;
    HISTORY(.kind = RECORD_BEGIN, .job = (uint32_t)getpid(), .also = clock_ns(CLOCK_REALTIME) - history_now_ns());
    return 1;
}

void history_write(struct record *records, size_t count)
{
    size_t bytes = count * sizeof *records;
    uint64_t now_ns = history_now_ns();
    for (size_t i = 0; i < count; i++) records[i].at_ns = now_ns;
    if (count && write(history_fd, records, bytes) != (ssize_t)bytes) {
        perror("the history cannot be written");
        _exit(70);
    }
}
