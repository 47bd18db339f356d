/* SPDX-License-Identifier: MIT */

/* run/overdue: handlers that go on although their timeout and its grace are over.
 * Idea       nobody can end a thread from outside. So the job is taken from it: settled as a failed attempt while its lease is still
 *            renewed, by a ghost that holds all that is needed; the thread is counted out and replaced, and leaves when its
 *            handler returns at last, if it does. What that handler says then changes nothing.
 * Threads    overdue_step: reaper. Walks the slots; waits for nothing but the start of a thread. */
#ifndef QUERN_RUN_OVERDUE_H
#define QUERN_RUN_OVERDUE_H

#include <stdint.h>

struct slots;
struct done;
struct crew;
struct log;
struct notices;
struct journal;

struct overdue_needs {
    struct slots *slots;
    struct done *done;
    struct crew *crew;
    struct log *log;
    struct notices *notices;
    struct journal *journal; /* NULL: none is kept */
};

/* Returns when the next one will be overdue, as far as is known now; CLOCK_NEVER: none. */
int64_t overdue_step(const struct overdue_needs *needs, int64_t now_ns);

#endif
