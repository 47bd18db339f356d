/* SPDX-License-Identifier: MIT */
#include "intake/giveback.h"

#include "base/clock.h"
#include "base/log.h"
#include "queue/keys.h"

enum { STALE_LEAST_MS = 1000, STALE_PREFETCHES = 4 };

static void give_back(const struct dispatcher_needs *needs, uint32_t index, int64_t now_ns)
{
    struct quern_job *job = slots_at(needs->slots, index);
    needs->leaves_cap(job);
    if (keys_give_back(job)) return;
    job->outcome = OUTCOME_RELEASED;
    job->started_ns = job->ended_ns = now_ns;
    slot_move(job, SLOT_READY, SLOT_DONE);
    done_push(needs->done, job);
}

void giveback_all(const struct dispatcher_needs *needs)
{
    uint32_t index;
    int64_t now_ns = clock_now_ns();
    while (ready_take(needs->ready, &index)) give_back(needs, index, now_ns);
}

/* The oldest one that waits has waited since before then, and nobody has time for it. */
static bool is_stale(const struct dispatcher_needs *needs, int64_t before_ns)
{
    uint32_t index;
    return !ready_sleepers(needs->ready) && ready_peek(needs->ready, &index) &&
           slots_at(needs->slots, index)->admitted_ns < before_ns;
}

void giveback_stale(const struct dispatcher_needs *needs, int64_t *paused_ns)
{
    int64_t now_ns = clock_now_ns(), limit_ns = STALE_PREFETCHES * needs->prefetch_ns;
    uint32_t index, count = 0;
    if (limit_ns < STALE_LEAST_MS * NS_PER_MS) limit_ns = STALE_LEAST_MS * NS_PER_MS;
    if (ready_is_paused(needs->ready)) *paused_ns = now_ns;
    if (now_ns - *paused_ns < limit_ns) return;
    for (; is_stale(needs, now_ns - limit_ns) && ready_take(needs->ready, &index); count++) give_back(needs, index, now_ns);
    if (count)
        log_event(needs->log, LOG_INFO, "given_back", LOG_INT("jobs", count),
                  LOG_TEXT("why", "they waited too long behind jobs that take long"));
}
