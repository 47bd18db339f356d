/* SPDX-License-Identifier: MIT */

/* settle/farewell: the last step before a consumer closes.
 * Idea       what Redis says is ours but lies in no slot (a reply that was lost, a job that was left) goes back to the group at
 *            once, instead of waiting for its lease to run out. Then the consumer goes, and with the last one of a group what only
 *            those who run need.
 * Threads    settler, at its end. */
#ifndef QUERN_SETTLE_FAREWELL_H
#define QUERN_SETTLE_FAREWELL_H

#include "settle/settler.h"

struct batch;

/* Two attempts for each queue, bounded by the answers' deadlines; where Redis is away, leases do the rest. batches: one per queue, all
 * answered. */
void farewell(const struct settler_needs *needs, struct link *link, struct batch *batches);

#endif
