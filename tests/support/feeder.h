/* SPDX-License-Identifier: MIT */

/* tests/support/feeder: publishes without pause while servers fail, and knows afterwards what became of each job.
 * Idea       a thread of its own publishes jobs 0, 1, 2, …, a few at a time, each confirmed before the next: so what a failover takes
 *            is a run of numbers. feeder_account() compares what was confirmed with what the server has now and what handlers saw.
 * Threads    the test's own, but for the one that publishes, which asserts nothing. */
#ifndef QUERN_TESTS_SUPPORT_FEEDER_H
#define QUERN_TESTS_SUPPORT_FEEDER_H

#include <pthread.h>

#include "support/mill.h"

struct feeder {
    quern_config *config; /* a copy of the mill's, but for publish_ms */
    pthread_t thread;
    _Atomic bool is_ending;
    _Atomic int confirmed, failed; /* jobs */
    quern_error error;             /* of the first that failed */
    quern_receipt receipts[MILL_IDS];
};

/* Begins to publish to the mill's stream. */
void feeder_start(struct feeder *feeder, struct mill *mill);
/* Ends it; every job must have been confirmed. */
void feeder_stop(struct feeder *feeder);

/* The stream as it is now, which nobody has trimmed, holds all that was confirmed but one run of numbers at most, each of which is
 * listed; what it holds was run. Returns how many of that run were run nowhere: lost. */
int feeder_account(const struct feeder *feeder, const struct mill *mill, struct redis *now, const char *stream);
/* Has all been run that the stream holds? */
bool feeder_is_done(const struct feeder *feeder, const struct mill *mill, struct redis *now, const char *stream);

#endif
