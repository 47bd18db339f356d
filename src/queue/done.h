/* SPDX-License-Identifier: MIT */

/* queue/done: where ended jobs wait for the settler.
 * Idea       liburcu's wait-free queue, many to one. A push is two exchanges and never waits, whatever the settler does. The
 *            settler says how many jobs are worth waking it for: 1 when it is idle, a batch while it lingers.
 * Invariant  what goes in comes out once, in the order of the pushes of each thread.
 * Threads    push: any · take, wait: settler · open, free: owner · close: whoever ends last of those who push for sure
 *
 *            What can go wrong: a pusher counts itself while the settler goes to sleep. The settler writes its mark, then looks
 *            at the count; the pusher counts, then looks at the mark; both orders are total, so one of them sees the other.
 * Never      allocates. */
#ifndef QUERN_QUEUE_DONE_H
#define QUERN_QUEUE_DONE_H

#include <stdbool.h>
#include <stdint.h>

struct done;
struct quern_job;

/* Gives; NULL: no memory. */
struct done *done_open(void);
void done_free(struct done *done);

/* Takes a job whose slot is DONE. */
void done_push(struct done *done, struct quern_job *job);
/* The oldest job; NULL: empty. */
struct quern_job *done_take(struct done *done);
/* Waits until at_least jobs are inside, it is closed or done_wake() is called, at most until the deadline. */
void done_wait(struct done *done, uint64_t at_least, int64_t deadline_ns);
/* The same, but goes on waiting when it is closed: for what only tickets can still push. */
void done_rest(struct done *done, uint64_t at_least, int64_t deadline_ns);
void done_wake(struct done *done);
/* The slot of one that was taken is free. Settler. */
void done_note_freed(struct done *done);
/* How many were pushed whose slots are not free yet. Any thread. */
uint64_t done_unfreed(const struct done *done);
/* How many are inside. Settler. */
uint64_t done_length(const struct done *done);

/* Nobody is sure to push any more; tickets still may. */
void done_close(struct done *done);
bool done_is_closed(const struct done *done);

#endif
