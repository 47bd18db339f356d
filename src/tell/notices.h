/* SPDX-License-Identifier: MIT */

/* tell/notices: the thread on which the host's callbacks run.
 * Idea       notices and log lines go through a bounded queue of fixed-size records to one thread. Full: dropped and counted. So a
 *            callback may block, stop the pool, publish or call anything, and stalls nothing but the other callbacks.
 * Invariant  each record is delivered at most once, in order.
 * Threads    post: any, a short lock · open, close: owner
 * Never      touches Redis. */
#ifndef QUERN_TELL_NOTICES_H
#define QUERN_TELL_NOTICES_H

#include <stdbool.h>
#include <stdint.h>

#include "quern.h"

struct notices;

struct notices_options {
    unsigned observed; /* kinds of notices, enum quern_what; 0: none */
    void (*observer)(void *user, const quern_notice *notice);
    void *observer_user;
    void (*logger)(void *user, int level, const char *line); /* may be NULL */
    void *logger_user;
};

/* Starts the thread. Gives; NULL: no memory or no thread. */
struct notices *notices_open(const struct notices_options *options);
/* Is anybody listening to this kind? If not, it need not be composed. */
bool notices_wants(const struct notices *notices, int what);
void notices_post(struct notices *notices, const quern_notice *notice);
/* A log sink (base/log). */
void notices_line(void *notices, int level, const char *line);
uint64_t notices_dropped(const struct notices *notices);
/* Nothing is posted after this; what is queued is still delivered; then *ended is called on the thread. Does not wait. */
void notices_finish(struct notices *notices, void (*ended)(void *user), void *user);
/* Joins the thread and frees. Waits for the callbacks. */
void notices_close(struct notices *notices);

#endif
