/* SPDX-License-Identifier: MIT */
#include "intake/plan.h"

enum { STREAMS = 2, READ_BYTES = 256 * 1024, WORTH_NS = 100000 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How many may wait unstarted. */
static int64_t backlog_wanted(const struct plan_facts *facts)
{
    if (!facts->mean_ns) return 0;
    return least(facts->threads * facts->prefetch_ns / facts->mean_ns, facts->prefetch_max);
}

/* What slots and bytes allow, per stream. */
static int64_t room(const struct plan_facts *facts)
{
    int64_t most = least(facts->free / STREAMS, facts->batch_size);
    if (facts->used_bytes >= facts->max_bytes) return facts->holds_nothing ? least(most, 1) : 0;
    if (!facts->entry_bytes) return most;
    int64_t fits = least(READ_BYTES, (facts->max_bytes - facts->used_bytes) / STREAMS) / facts->entry_bytes;
    return least(most, fits > 1 ? fits : 1);
}

struct plan plan(const struct plan_facts *facts)
{
    int64_t backlog = backlog_wanted(facts), wanted = backlog + facts->idle_threads - facts->waiting - facts->asked,
            allowed = room(facts);
    struct plan plan = {.refill_at = (uint32_t)(backlog / 2), .worth = 1};
    if (facts->mean_ns && facts->mean_ns < WORTH_NS) plan.worth = (uint32_t)(WORTH_NS / facts->mean_ns);
    if (wanted <= 0) return plan;
    /* Many have ended and will be free in one go: worth waiting for, but not while a thread has nothing to do. */
    bool has_work = facts->idle_threads <= facts->waiting + facts->asked;
    bool will_be_more = has_work && facts->settling >= facts->batch_size && allowed < least(wanted, facts->batch_size / 2);
    bool is_short_of_slots = allowed <= 0 || will_be_more;
    /* Small reads while plenty is waiting would cost Redis a command each. */
    if (!is_short_of_slots && (facts->waiting <= plan.refill_at || wanted >= facts->batch_size))
        plan.count = (uint32_t)least(wanted, allowed);
    return plan;
}
