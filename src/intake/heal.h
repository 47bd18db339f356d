/* SPDX-License-Identifier: MIT */

/* intake/heal: stream or group are gone (deleted, flushed, a failover to an emptier server).
 * Rule       where the stream is still there, and nobody else is known who may have held some of it, its group is made again just before
 *            the oldest entry that is held here, or behind the newest that was; else at 0, likewise where the stream is gone or
 *            has come less far than what was handed to us. Never at $: what was not settled is delivered again rather than
 *            passed over.
 * Invariant  what is held and pending for nobody is marked GONE: what it comes to is written from memory. If it is handed out again,
 *            it gets its lease back (admit), and till then its settlement waits (owed_until_ns), though not for ever: then it may run twice; nothing is lost.
 * Threads    dispatcher, with no read in flight for these queues. */
#ifndef QUERN_INTAKE_HEAL_H
#define QUERN_INTAKE_HEAL_H

#include "intake/admit.h"

/* Of these queues all streams. high: one per origin. That nothing was wrong is no error. Waits for answers. */
int heal(const struct dispatcher_needs *needs, struct high *high, struct conn *conn, const uint32_t *queues, uint32_t count,
         quern_error *err) QUERN_MUST_USE;

#endif
