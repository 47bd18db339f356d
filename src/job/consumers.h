/* SPDX-License-Identifier: MIT */

/* job/consumers: the names in a group that are of no use any more.
 * Threads    the connection's owner. Waits for the answer. */
#ifndef QUERN_JOB_CONSUMERS_H
#define QUERN_JOB_CONSUMERS_H

#include "job/source.h"
#include "wire/conn.h"

/* consumer says that it is there; others that were silent for silence_ms, and hold nothing, are deleted. */
int consumers_sweep(struct conn *conn, const struct source *source, const char *consumer, int64_t silence_ms, int64_t *swept,
                    quern_error *err) QUERN_MUST_USE;

/* consumer takes its leave. With the last one of the group go its streams that are empty. */
int consumers_leave(struct conn *conn, const struct source *source, const char *consumer, quern_error *err) QUERN_MUST_USE;

#endif
