/* SPDX-License-Identifier: MIT */
#include "run/pull.h"

#include "base/clock.h"
#include "base/futex.h"
#include "job/slot.h"

static const int64_t look_ns =
    NS_PER_S / 2; /* what has no wake of its own is seen so late: fewer threads, a job that runs alone */

void pull_open(struct pull *pull)
{
    pthread_mutex_init(&pull->lock, NULL);
}

void pull_close(struct pull *pull)
{
    pthread_mutex_destroy(&pull->lock);
}

void pull_wake(struct pull *pull)
{
    atomic_fetch_add(&pull->changes, 1);
    futex_wake(&pull->changes, INT32_MAX);
}

/* The lock is given up meanwhile. seen: as it was before the look that found nothing: a wake needs no lock. */
static void wait_for_change(struct pull *pull, uint32_t seen, int64_t deadline_ns)
{
    pthread_mutex_unlock(&pull->lock);
    futex_wait(&pull->changes, seen, deadline_ns);
    pthread_mutex_lock(&pull->lock);
}

bool pull_promise(struct pull *pull, bool (*leaves)(void *user), void *user)
{
    pthread_mutex_lock(&pull->lock);
    bool is_leaving;
    uint32_t seen = atomic_load(&pull->changes);
    pull->holding++;
    while (!(is_leaving = leaves(user)) && !pull->wanting) {
        wait_for_change(pull, seen, clock_now_ns() + look_ns);
        seen = atomic_load(&pull->changes);
    }
    pull->holding--;
    if (is_leaving) {
        pull_wake(pull);
    } else {
        pull->wanting--;
        pull->promised++;
    }
    pthread_mutex_unlock(&pull->lock);
    return !is_leaving;
}

void pull_hand(struct pull *pull, struct quern_job *job)
{
    pthread_mutex_lock(&pull->lock);
    pull->promised--;
    job->next_offered = pull->offered;
    pull->offered = job;
    pull_wake(pull);
    pthread_mutex_unlock(&pull->lock);
}

static struct quern_job *take_offered(struct pull *pull)
{
    struct quern_job *job = pull->offered;
    if (job) pull->offered = job->next_offered;
    return job;
}

struct quern_job *pull_take(struct pull *pull, int64_t deadline_ns, bool (*has_ended)(void *user), void *user)
{
    struct quern_job *job;
    pthread_mutex_lock(&pull->lock);
    pull->wanting++;
    pull_wake(pull);
    for (;;) {
        uint32_t seen = atomic_load(&pull->changes);
        if ((job = take_offered(pull))) break;
        bool is_over = clock_now_ns() >= deadline_ns || has_ended(user);
        /* A job that was promised is on its way, perhaps to this one: others may have taken what was theirs. */
        if (is_over && pull->wanting && !pull->holding) break;
        wait_for_change(pull, seen, is_over ? CLOCK_NEVER : deadline_ns);
    }
    if (!job) pull->wanting--;
    pthread_mutex_unlock(&pull->lock);
    return job;
}

quern_verdict quern_pulled(quern_job *job, void *thread, void *user)
{
    (void)job, (void)thread, (void)user;
    return QUERN_RETRY; /* never called: the worker knows it by its address */
}
