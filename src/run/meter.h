/* SPDX-License-Identifier: MIT */

/* run/meter: how much CPU the jobs of one thread take.
 * Idea       to ask for a thread's CPU is a system call (0.3 to 1 µs), too much for a job of one microsecond. So an event whose
 *            jobs take METER_NS or longer is measured job by job; those that are shorter are measured together, each METER_SHARED_NS, and
 *            what they took is shared out by the time that each of them ran.
 *
 *      ──[ a long job ][ a long job ][ short  short  short  short ]── sleep ──[ short …
 *        ▲             ▲             ▲                           ▲            ▲             asked
 *
 * Invariant  all that the thread took between its sleeps is on a line; only whose it was, of the short ones, may be wrong.
 * Threads    its own worker's. Waits for nothing. */
#ifndef QUERN_RUN_METER_H
#define QUERN_RUN_METER_H

#include <stdbool.h>
#include <stdint.h>

struct bill_line;

enum { METER_NS = 50000, METER_SHARED_NS = 1000000, METER_EVENTS = 8 };

/* All zero, but for what to ask: closed. */
struct meter {
    int64_t (*cpu_ns)(void);        /* of this thread */
    bool is_open, is_single;        /* is_single: the job that runs is measured by itself */
    int64_t asked_cpu_ns, asked_ns; /* what the last answer was, and when */
    uint32_t count;                 /* of shares */
    int64_t run_ns;                 /* of all of them */
    struct meter_share {
        struct bill_line *line;
        int64_t run_ns;
    } shares[METER_EVENTS];
};

/* A job starts; the jobs of its event take mean_ns (0: not known yet). */
void meter_begin(struct meter *meter, int64_t mean_ns, int64_t now_ns);
/* It has ended, after run_ns. Returns what CPU it took; -1: it was not measured by itself. */
int64_t meter_end(struct meter *meter, struct bill_line *line, int64_t run_ns, int64_t now_ns);
/* The thread is about to wait, or to end. */
void meter_close(struct meter *meter);

#endif
