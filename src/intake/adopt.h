/* SPDX-License-Identifier: MIT */

/* intake/adopt: what Redis says is ours but lies in no slot.
 * Idea       a reply that was lost left entries in our name that we never saw, newer than all that came (high, per origin). After
 *            each connect, with no read of our own in flight, they are claimed (one delivery more) and admitted. What is older
 *            and lies in no slot was left on purpose.
 * Threads    dispatcher. */
#ifndef QUERN_INTAKE_ADOPT_H
#define QUERN_INTAKE_ADOPT_H

#include "intake/admit.h"

/* Of these queues both streams; at most at_once in one answer (1 to ADOPT_PAGE). As many as there are free slots for: *has_more says that
 * some were passed over. Waits for answers. */
enum { ADOPT_PAGE = 128 };
int adopt_all(const struct dispatcher_needs *needs, struct reserve *reserve, struct high *high, struct conn *conn,
              const uint32_t *queues, uint32_t count, uint32_t at_once, bool *has_more, quern_error *err) QUERN_MUST_USE;

#endif
