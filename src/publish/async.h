/* SPDX-License-Identifier: MIT */

/* publish/async: publishing without waiting: a bounded queue, and a thread that publishes what is in it.
 *
 *      put ──copy──▶ [queue] ──a batch──▶ publisher_publish ──▶ [answered] ──▶ callbacks, here or where the host dispatches
 *
 * Idea       what came while one batch was under way goes together as the next. A message is answered exactly once: published, or why not.
 * Invariant  unanswered counts what was put and whose callback has not returned: the bound, the flush and the close look at it.
 * Threads    put, flush, fd, dispatch: any · close: when nobody else is inside. The lock is a leaf; callbacks run without it. */
#ifndef QUERN_PUBLISH_ASYNC_H
#define QUERN_PUBLISH_ASYNC_H

#include "publish/publisher.h"

/* Ends the thread and frees all. QUERN_E_BUSY: something is unanswered, or this is a callback; nothing was closed. NULL is allowed. */
int async_close(struct async *async) QUERN_MUST_USE;

#endif
