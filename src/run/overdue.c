/* SPDX-License-Identifier: MIT */
#include "run/overdue.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "blame/journal.h"
#include "job/slot.h"
#include "queue/done.h"
#include "queue/keys.h"
#include "run/caps.h"
#include "run/crew.h"
#include "tell/notices.h"

static const char given_up[] = "its handler did not return within timeout_ms and timeout_grace_ms";

static void end(const struct overdue_needs *needs, struct quern_job *job, int64_t now_ns)
{
    job->outcome = OUTCOME_TIMEOUT;
    job->ended_ns = now_ns;
    quern_job_error(job, "%s", given_up);
    done_push(needs->done, job);
}

static void tell(const struct overdue_needs *needs, const struct quern_job *ghost, bool is_replaced, bool is_pulled)
{
    log_event(needs->log, LOG_WARNING, "handler_stuck", LOG_TEXT("entry", ghost->message.entry_text),
              LOG_BYTES("job", ghost->message.id), LOG_BYTES("job_event", ghost->message.event),
              LOG_INT("run_ms", (ghost->ended_ns - ghost->started_ns) / NS_PER_MS),
              LOG_TEXT("then", is_pulled     ? "its job counts as failed, whoever has pulled it is too late"
                               : is_replaced ? "its job counts as failed, its thread is replaced"
                                             : "its job counts as failed; there is one thread less until it returns"));
    notices_post(needs->notices, &(quern_notice){.what = QUERN_NOTICE_STUCK,
                                                 .event = ghost->message.event,
                                                 .id = ghost->message.id,
                                                 .retries = ghost->message.retries,
                                                 .run_us = (ghost->ended_ns - ghost->started_ns) / NS_PER_US,
                                                 .text = given_up,
                                                 .cpu_us = -1});
}

static void seize(const struct overdue_needs *needs, struct quern_job *job, uint32_t generation, int64_t now_ns)
{
    if (!slot_seize(job, generation)) return;
    struct worker *runner = job->runner;
    bool is_pulled = slot_has(job, SLOT_PULLED); /* then no thread of ours is stuck */
    struct quern_job *ghost = slots_ghost(needs->slots, job);
    /* Without memory for a ghost the handler's end is waited for: the job is failed then. */
    job->said.outcome = ghost ? OUTCOME_SEIZED : OUTCOME_TIMEOUT;
    job->said.ended_ns = now_ns;
    /* It counts as ended: those behind it need not wait for a handler that may never return. Before it is said: from then on the
     * handler may return, and the slot be another job's, with a key of its own. */
    if (ghost) keys_leave(job);
    if (slot_said(job)) { /* it has returned after all, or had deferred its job */
        if (ghost) slots_ghost_free(needs->slots, ghost);
        caps_leave(job);
        keys_leave(job);
        journal_end(needs->journal, job->index);
        end(needs, job, now_ns);
    } else if (ghost) {
        ghost->ended_ns = now_ns;
        tell(needs, ghost, is_pulled || crew_replace(needs->crew, runner), is_pulled);
        end(needs, ghost, now_ns);
    }
}

int64_t overdue_step(const struct overdue_needs *needs, int64_t now_ns)
{
    int64_t next_ns = CLOCK_NEVER;
    struct lease lease;
    for (uint32_t i = 0; i < slots_count(needs->slots); i++) {
        struct quern_job *job = slots_at(needs->slots, i);
        if (!slot_look(job, &lease)) continue;
        /* Behind the look: if the slot is still of that generation when it is seized, so was this. acquire: all that the worker
         * wrote before; pairs with set_deadline() in run/worker. */
        int64_t overdue_ns = atomic_load_explicit(&job->overdue_ns, memory_order_acquire);
        if (overdue_ns <= now_ns)
            seize(needs, job, lease.generation, now_ns);
        else if (overdue_ns < next_ns)
            next_ns = overdue_ns;
    }
    return next_ns;
}
