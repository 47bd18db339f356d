/* SPDX-License-Identifier: MIT */

/* job/bill: what the jobs of each event cost: how many there were, how long they waited and ran, how much CPU they took.
 * Idea       a line for each handler's event, and one for the jobs that no handler has had. A job carries its line, so nothing is
 *            looked up when it ends; what publishers call their events makes no lines.
 * Invariant  a line stays until the bill is freed, and outlives its handler: after a reload the same event has the same one.
 * Threads    line: the host's, one at a time (start, reload) · add: settler · took: workers · each: any. None waits.
 * Never      allocates for a job. */
#ifndef QUERN_JOB_BILL_H
#define QUERN_JOB_BILL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"

struct bill;
struct bill_line;

/* Gives; NULL: no memory. The lines are lent. */
struct bill *bill_open(void);
void bill_free(struct bill *bill);

/* The line of a handler's event, made where it is missing. NULL: no memory. */
struct bill_line *bill_line(struct bill *bill, const char *event);

/* What a job has come to here; BILL_OTHER: neither of them (its lease was lost, Redis could not be told, or nobody missed it). */
enum bill_end { BILL_OTHER, BILL_DONE, BILL_RETRY, BILL_DEAD, BILL_ENDS };
struct bill_item {
    enum bill_end end;
    int64_t wait_us, run_us; /* run_us -1: no handler has run it */
};
/* A job has ended. line NULL: no handler has had it. */
void bill_add(struct bill *bill, struct bill_line *line, const struct bill_item *item);

/* So much CPU went into jobs of it. line NULL: of nobody's. */
void bill_took(struct bill_line *line, int64_t cpu_ns);

/* One line, read. */
struct bill_sums {
    const char *event;
    int64_t jobs, done, retry, dead, cpu_ns;
    struct histogram_sums wait, run;
};
/* Calls each for every line that has had a job, until it returns false; false then. */
bool bill_each(const struct bill *bill, bool (*each)(void *user, const struct bill_sums *sums), void *user);

#endif
