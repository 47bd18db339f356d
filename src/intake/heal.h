/* SPDX-License-Identifier: MIT */

/* intake/heal: stream or group are gone (deleted, flushed, a failover to an emptier server).
 * Rule       both groups are made again at 0, never at $: what the stream still holds is delivered again rather than passed over.
 * Threads    dispatcher, with no read in flight. */
#ifndef QUERN_INTAKE_HEAL_H
#define QUERN_INTAKE_HEAL_H

#include "intake/dispatcher.h"

/* false: it could not be done; said why. Waits for answers. */
bool heal(const struct dispatcher_needs *needs, struct conn *conn);

#endif
