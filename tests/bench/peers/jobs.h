/* SPDX-License-Identifier: MIT */

/* bench/peers/jobs: the same bench for every peer that is spoken to in C; the peer's own file has what differs.
 *
 *     PROGRAM SERVER MARKS one N AT           enqueues N jobs one by one, a mark before and after them: how many a second
 *     PROGRAM SERVER MARKS bulk N AT          the same, many at once
 *     PROGRAM SERVER MARKS pace N EVERY_US    enqueues N jobs, one each EVERY_US
 *     PROGRAM SERVER MARKS serve THREADS      works until it is ended
 *
 * Idea       a job is a number, AT. 0: it does nothing. -1: it burns a millisecond of CPU. Otherwise it is when the job was
 *            enqueued (CLOCK_MONOTONIC, ns), and the job adds the line "NOW AT" to the file MARKS: a mark. So the time from
 *            the first job to the last one, and each latency, come from the handler, whatever the peer and its language.
 * Never      prints anything but a line of JSON; whatever fails ends the program. */
#pragma once
#include <stdint.h>

enum { AT_ONCE = 512 };

extern const struct peer {
    void *(*connect)(const char *server);                   /* once per thread */
    void (*put)(void *link, const int64_t *ats, int count); /* up to AT_ONCE, answered when it returns */
    void (*serve)(void *link);                              /* for ever, job_do() for each job */
} peer;

void job_do(int64_t at);
_Noreturn void die(const char *what);
