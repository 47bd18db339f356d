/* SPDX-License-Identifier: MIT */

/* publish/enqueue: a batch by the enqueue script: jobs for later, jobs that are to be there once, a bound on how many wait, and any
 * fields. Threads: the publisher's holder. */
#ifndef QUERN_PUBLISH_ENQUEUE_H
#define QUERN_PUBLISH_ENQUEUE_H

#include "publish/send.h"

/* As send_batch() does. */
int enqueue(struct conn *conn, const struct outgoing *batch, int64_t deadline_ns, int *sent, struct error_meaning *meaning,
            quern_error *err) QUERN_MUST_USE;

#endif
