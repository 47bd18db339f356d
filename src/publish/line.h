/* SPDX-License-Identifier: MIT */

/* publish/line: calls stand in line: each has its turn in the order in which they came, and none waits longer than its time.
 * Idea       who leaves hands its turn to who has waited longest. A plain mutex would go to whoever is quickest, which is who has
 *            just let go of it, and its others would wait behind calls of a whole publish_ms each.
 * Invariant  at most one has the turn; while somebody waits, somebody has it.
 * Threads    any. What is guarded by the turn is seen by who has it next. */
#ifndef QUERN_PUBLISH_LINE_H
#define QUERN_PUBLISH_LINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct line_waiter;

struct line {
    pthread_mutex_t lock; /* a leaf; guards the rest */
    bool is_taken;
    struct line_waiter *first, **end; /* who waits; they lie on their own stacks */
};

void line_open(struct line *line);
void line_close(struct line *line);

/* Waits for its turn, until deadline_ns. false: it did not come. */
bool line_enter(struct line *line, int64_t deadline_ns);
void line_leave(struct line *line);

#endif
