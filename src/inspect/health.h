/* SPDX-License-Identifier: MIT */

/* inspect/health: does a pool get on with Redis?
 * Idea       a pure function. Each thread that asks Redis says since when it is owed an answer; what is owed for longer than it may
 *            take is unhealthy. Who has nothing to ask is owed nothing: idle, paused and stopping pools are healthy.
 * Threads    any. */
#ifndef QUERN_INSPECT_HEALTH_H
#define QUERN_INSPECT_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

struct health_facts {
    bool is_up;
    int64_t now_ns;
    int64_t read_since_ns, settle_since_ns, renewal_since_ns; /* since when an answer is owed; 0: none is */
    int64_t block_ms, answer_ms, lease_ms;
};

/* What is wrong; NULL: it is healthy. */
const char *health_why_not(const struct health_facts *facts);

#endif
