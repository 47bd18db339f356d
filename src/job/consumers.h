/* SPDX-License-Identifier: MIT */

/* job/consumers: the names in a group that are of no use any more.
 * Threads    the connection's owner. Waits for the answer. */
#ifndef QUERN_JOB_CONSUMERS_H
#define QUERN_JOB_CONSUMERS_H

#include "job/source.h"
#include "wire/conn.h"

/* Deletes the consumer leaver, or (NULL) all that were silent for silence_ms: of those who hold nothing. With the last one goes the
 * empty retry stream. */
int consumers_sweep(struct conn *conn, const struct source *source, int64_t silence_ms, const char *leaver, int64_t *swept,
                    quern_error *err) QUERN_MUST_USE;

#endif
