/* SPDX-License-Identifier: MIT */
#include "inspect/health.h"

#include <stddef.h>

#include "base/clock.h"

static bool is_late(const struct health_facts *facts, int64_t since_ns, int64_t bound_ms)
{
    return since_ns && facts->now_ns - since_ns > bound_ms * NS_PER_MS;
}

/* A renewal is owed when a third of the lease is over; when another third is, it is high time. */
static int64_t renewal_ms(const struct health_facts *facts)
{
    return facts->lease_ms / 3 > facts->answer_ms ? facts->lease_ms / 3 : facts->answer_ms;
}

const char *health_why_not(const struct health_facts *facts)
{
    if (!facts->is_up) return "Redis is away, or refuses what it is asked";
    if (is_late(facts, facts->read_since_ns, facts->block_ms + facts->answer_ms)) return "no read was answered in time";
    if (is_late(facts, facts->settle_since_ns, facts->answer_ms)) return "what jobs came to could not be told to Redis in time";
    if (is_late(facts, facts->renewal_since_ns, renewal_ms(facts))) return "leases were not renewed in time";
    return NULL;
}
