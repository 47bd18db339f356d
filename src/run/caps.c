/* SPDX-License-Identifier: MIT */
#include "run/caps.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "job/slot.h"
#include "queue/done.h"
#include "queue/keys.h"
#include "queue/ready.h"

enum { LEAST_MS = 1000, MOST_MS = 60000, UNKNOWN_MS = 100 };

struct cap {
    struct caps *caps;
    struct cap *next;
    char *event;
    uint32_t most, running, parked;
    struct quern_job *first, **end; /* the parked ones, the oldest first */
    int64_t turn_ns;                /* when the last one that went back would have had its turn */
};

struct caps {
    struct ready *ready;
    struct done *done;
    pthread_mutex_t lock; /* guards all of it */
    struct cap *list;
    bool is_closed;
    int64_t postponed;
};

struct caps *caps_open(struct ready *ready, struct done *done)
{
    struct caps *caps = calloc(1, sizeof *caps);
    if (!caps) return NULL;
    *caps = (struct caps){.ready = ready, .done = done};
    pthread_mutex_init(&caps->lock, NULL);
    return caps;
}

void caps_free(struct caps *caps)
{
    if (!caps) return;
    for (struct cap *cap = caps->list, *next; cap; cap = next) {
        next = cap->next;
        free(cap->event);
        free(cap);
    }
    pthread_mutex_destroy(&caps->lock);
    free(caps);
}

static struct cap *find(struct caps *caps, const char *event)
{
    struct cap *cap = caps->list;
    while (cap && strcmp(cap->event, event) != 0) cap = cap->next;
    return cap;
}

static struct cap *make(struct caps *caps, const char *event)
{
    struct cap *cap = calloc(1, sizeof *cap);
    if (!cap || !(cap->event = strdup(event))) return free(cap), NULL;
    cap->caps = caps;
    cap->end = &cap->first;
    cap->next = caps->list;
    caps->list = cap;
    return cap;
}

/* ── parking; under the lock ─────────────────────────────────────────────────────────────────────────────────────── */

static void park(struct cap *cap, struct quern_job *job)
{
    slot_move(job, SLOT_RUNNING, SLOT_READY);
    job->next_parked = NULL;
    *cap->end = job;
    cap->end = &job->next_parked;
    cap->parked++;
}

static struct quern_job *unpark(struct cap *cap)
{
    struct quern_job *job = cap->first;
    if (!job) return NULL;
    if (!(cap->first = job->next_parked)) cap->end = &cap->first;
    cap->parked--;
    return job;
}

/* As many as may run by now go on: they are counted as running, and need not ask again. */
static void send_on(struct cap *cap)
{
    struct quern_job *job;
    while ((!cap->most || cap->running < cap->most) && (job = unpark(cap))) {
        cap->running++;
        job->cap = cap;
        ready_push(cap->caps->ready, job->index);
        ready_wake(cap->caps->ready);
    }
}

/* Each that goes back takes its turn behind the one before it, at the pace at which they run here. */
static int64_t delay_of(struct cap *cap, int64_t mean_ns)
{
    int64_t now_ns = clock_now_ns(), least_ns = now_ns + LEAST_MS * NS_PER_MS, most_ns = now_ns + MOST_MS * NS_PER_MS;
    int64_t step_ns = (mean_ns ? mean_ns : UNKNOWN_MS * NS_PER_MS) / (cap->most ? cap->most : 1);
    cap->turn_ns = (cap->turn_ns > least_ns ? cap->turn_ns : least_ns) + step_ns;
    if (cap->turn_ns > most_ns) cap->turn_ns = most_ns;
    return (cap->turn_ns - now_ns) / NS_PER_MS;
}

/* ── for all ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct cap *caps_get(struct caps *caps, const char *event)
{
    pthread_mutex_lock(&caps->lock);
    struct cap *cap = find(caps, event);
    if (!cap) cap = make(caps, event);
    pthread_mutex_unlock(&caps->lock);
    return cap;
}

void caps_set(struct caps *caps, const char *event, uint32_t most)
{
    pthread_mutex_lock(&caps->lock);
    struct cap *cap = find(caps, event);
    if (cap) cap->most = most;
    if (cap && !caps->is_closed) send_on(cap);
    pthread_mutex_unlock(&caps->lock);
}

enum cap_answer cap_enter(struct cap *cap, struct quern_job *job, int64_t mean_ns, int64_t *delay_ms)
{
    enum cap_answer answer = CAP_RUN;
    pthread_mutex_lock(&cap->caps->lock);
    if (cap->most && cap->running >= cap->most) {
        answer = cap->parked < cap->most && !cap->caps->is_closed ? CAP_PARKED : CAP_OVER;
        cap->caps->postponed += answer == CAP_OVER;
        if (answer == CAP_PARKED)
            park(cap, job);
        else
            *delay_ms = cap->caps->is_closed ? 0 : delay_of(cap, mean_ns);
    } else {
        cap->running++;
        job->cap = cap;
    }
    pthread_mutex_unlock(&cap->caps->lock);
    return answer;
}

void caps_leave(struct quern_job *job)
{
    struct cap *cap = job->cap;
    if (!cap) return;
    job->cap = NULL;
    pthread_mutex_lock(&cap->caps->lock);
    cap->running--;
    if (!cap->caps->is_closed) send_on(cap);
    pthread_mutex_unlock(&cap->caps->lock);
}

void caps_close(struct caps *caps)
{
    struct quern_job *job;
    int64_t now_ns = clock_now_ns();
    pthread_mutex_lock(&caps->lock);
    caps->is_closed = true;
    for (struct cap *cap = caps->list; cap; cap = cap->next)
        while ((job = unpark(cap))) {
            if (keys_give_back(job)) continue;
            job->outcome = OUTCOME_RELEASED;
            job->started_ns = job->ended_ns = now_ns;
            slot_move(job, SLOT_READY, SLOT_DONE);
            done_push(caps->done, job);
        }
    pthread_mutex_unlock(&caps->lock);
}

void caps_read(struct caps *caps, uint32_t *parked, int64_t *postponed)
{
    *parked = 0;
    pthread_mutex_lock(&caps->lock);
    for (struct cap *cap = caps->list; cap; cap = cap->next) *parked += cap->parked;
    *postponed = caps->postponed;
    pthread_mutex_unlock(&caps->lock);
}
