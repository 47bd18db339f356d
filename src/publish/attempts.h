/* SPDX-License-Identifier: MIT */

/* publish/attempts: one batch, until it is answered or its time is over.
 *
 *      connect ──▶ send ──answered──▶ receipts
 *         ▲          │ lost, or refused for now: the connection goes
 *         └─backoff──┘
 *
 * Idea       a marked batch may be asked for again, an unmarked one only where it is known that nothing of it is there.
 * Invariant  what may be there is never said not to be: also of a batch that was on its way behind one whose connection went.
 * Threads    the publisher's holder. */
#ifndef QUERN_PUBLISH_ATTEMPTS_H
#define QUERN_PUBLISH_ATTEMPTS_H

#include "publish/send.h"

enum { ATTEMPTS_LAST_MS = 100 /* before the end of a call's time: what is not tried by then is not tried again */ };

/* How long a call may take. publish_ms 0 means one attempt, not an impatient one. */
int64_t attempts_budget_ms(const quern_config *config);

/* Publishes it. QUERN_OK: each receipt is filled. Else what is not confirmed has a code that says whether it may be there. */
int attempts_make(quern_publisher *publisher, const struct outgoing *batch, int64_t deadline_ns,
                  quern_error *err) QUERN_MUST_USE;

/* For all of it that is not confirmed. Of an unmarked batch, send_batch() tells which were sent. */
void attempts_set_codes(const struct outgoing *batch, int code);

#endif
