/* SPDX-License-Identifier: MIT */
#include "queue/done.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <urcu/wfcqueue.h>

#include "base/futex.h"
#include "base/tsan.h"
#include "job/slot.h"

_Static_assert(sizeof(struct slot_link) == sizeof(struct cds_wfcq_node), "a slot's link is liburcu's node");

struct done {
    struct cds_wfcq_head head; /* settler's end */
    _Alignas(64) struct cds_wfcq_tail tail;
    _Alignas(64) _Atomic uint64_t pushed;
    _Atomic uint64_t wake_at; /* the settler sleeps until so many were pushed; UINT64_MAX: it is awake */
    _Atomic uint64_t urgent;  /* so many were pushed when one came that is waited for */
    _Atomic uint32_t signal;  /* the word it sleeps on */
    _Atomic bool is_closed;
    _Alignas(64) uint64_t taken; /* settler's */
    _Atomic uint64_t freed;      /* written by the settler */
};

struct done *done_open(void)
{
    struct done *done = aligned_alloc(64, (sizeof *done + 63) / 64 * 64);
    if (!done) return NULL;
    cds_wfcq_init(&done->head, &done->tail);
    atomic_init(&done->pushed, 0);
    atomic_init(&done->wake_at, UINT64_MAX);
    atomic_init(&done->urgent, 0);
    atomic_init(&done->signal, 0);
    atomic_init(&done->is_closed, false);
    done->taken = 0;
    atomic_init(&done->freed, 0);
    return done;
}

void done_free(struct done *done)
{
    if (!done) return;
    cds_wfcq_destroy(&done->head, &done->tail);
    free(done);
}

void done_wake(struct done *done)
{
    atomic_store(&done->wake_at, UINT64_MAX);
    atomic_fetch_add(&done->signal, 1);
    futex_wake(&done->signal, 1);
}

void done_push(struct done *done, struct quern_job *job)
{
    struct cds_wfcq_node *node = (struct cds_wfcq_node *)(void *)&job->link;
    bool is_waited_for = job_is_alone(job); /* all others stand still until it is settled */
    cds_wfcq_node_init(node);
    TSAN_PUBLISHES(node); /* all that was written into the job before the settler takes it; pairs with done_take() */
    cds_wfcq_enqueue(&done->head, &done->tail, node);
    uint64_t pushed = atomic_fetch_add(&done->pushed, 1) + 1;
    if (is_waited_for) atomic_store(&done->urgent, pushed);
    if (is_waited_for || pushed >= atomic_load(&done->wake_at)) done_wake(done);
}

struct quern_job *done_take(struct done *done)
{
    struct cds_wfcq_node *node = __cds_wfcq_dequeue_blocking(&done->head, &done->tail);
    if (!node) return NULL;
    TSAN_SEES(node);
    done->taken++;
    return (struct quern_job *)(void *)((char *)node - offsetof(struct quern_job, link));
}

void done_note_freed(struct done *done)
{
    uint64_t freed = atomic_load_explicit(&done->freed, memory_order_relaxed);
    atomic_store_explicit(&done->freed, freed + 1, memory_order_relaxed);
}

uint64_t done_unfreed(const struct done *done)
{
    uint64_t freed = atomic_load_explicit(&done->freed, memory_order_relaxed); /* first: it never passes what was pushed */
    return atomic_load(&done->pushed) - freed;
}

uint64_t done_length(const struct done *done)
{
    return atomic_load(&done->pushed) - done->taken;
}

static void wait_for(struct done *done, uint64_t at_least, int64_t deadline_ns, bool until_closed)
{
    uint32_t seen = atomic_load(&done->signal);
    atomic_store(&done->wake_at, done->taken + at_least);
    bool is_urgent = atomic_load(&done->urgent) > done->taken;
    if (done_length(done) < at_least && !is_urgent && !(until_closed && atomic_load(&done->is_closed)))
        futex_wait(&done->signal, seen, deadline_ns);
    atomic_store(&done->wake_at, UINT64_MAX);
}

void done_wait(struct done *done, uint64_t at_least, int64_t deadline_ns)
{
    wait_for(done, at_least, deadline_ns, true);
}

void done_rest(struct done *done, uint64_t at_least, int64_t deadline_ns)
{
    wait_for(done, at_least, deadline_ns, false);
}

void done_close(struct done *done)
{
    atomic_store(&done->is_closed, true);
    done_wake(done);
}

bool done_is_closed(const struct done *done)
{
    return atomic_load(&done->is_closed);
}
