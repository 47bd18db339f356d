/* SPDX-License-Identifier: MIT */
#include "upkeep/alone.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "queue/done.h"
#include "queue/gate.h"
#include "queue/ready.h"
#include "upkeep/reaper.h"
#include "upkeep/reclaim.h"
#include "wire/script.h"

/* Of the script's answer. */
enum { ENTRY, DELIVERIES, STARTS, HOW, DELETED };

/* trusts_idle: may what is idle for a lease be taken from its owner? */
static int ask(const struct reaper_needs *needs, uint32_t origin, struct conn *conn, bool trusts_idle,
               const struct reply **reply, quern_error *err)
{
    const struct source *source = origin_source(needs->sources, origin);
    script_begin(conn, &script_alone, 2, 3);
    conn_arg_text(conn, source->alone);
    conn_arg_text(conn, source->crashes);
    conn_arg_text(conn, source->group);
    conn_arg_text(conn, needs->consumer);
    conn_arg_number(conn, trusts_idle ? needs->lease_ns / NS_PER_MS : INT64_MAX / NS_PER_MS);
    return script_ask(conn, &script_alone, conn_answer_deadline(conn), reply, NULL, err);
}

static void end_unrun(const struct reaper_needs *needs, struct quern_job *job, enum slot_outcome outcome, int64_t now_ns)
{
    job->outcome = outcome;
    job->started_ns = job->ended_ns = now_ns;
    slot_move(job, SLOT_FREE, SLOT_DONE);
    done_push(needs->done, job);
}

/* A stop may have come while we asked: then the workers may have left, and nobody would ever take the job. Pushed first, then looked:
 * either we see that ready is closed, or a worker that has not left yet sees the job. */
static void take_back(const struct reaper_needs *needs, int64_t now_ns)
{
    uint32_t index;
    atomic_thread_fence(memory_order_seq_cst);
    if (!ready_is_closed(needs->ready)) return;
    while (ready_take(needs->ready, &index)) {
        struct quern_job *job = slots_at(needs->slots, index);
        job->outcome = OUTCOME_RELEASED;
        job->started_ns = job->ended_ns = now_ns;
        slot_move(job, SLOT_READY, SLOT_DONE);
        done_push(needs->done, job);
    }
}

static void bury(const struct reaper_needs *needs, struct quern_job *job, int64_t crashes, int64_t now_ns)
{
    size_t first = job->how ? strcspn(job->how, "\n") : 0;
    quern_job_error(job, "it has ended the process that ran it %lld times%s%.*s", (long long)crashes,
                    first ? "; the last time: " : "", (int)first, first ? job->how : "");
    end_unrun(needs, job, OUTCOME_POISON, now_ns);
}

static void admit(const struct reaper_needs *needs, struct quern_job *job, const struct reply *answer, int code,
                  const quern_error *why, int64_t now_ns)
{
    int64_t crashes = reply_number(reply_item(answer, STARTS), 1) - 1;
    quern_bytes how = reply_bytes(reply_item(answer, HOW));
    job->how = how.len ? strndup(how.at, how.len) : NULL;
    if (code == QUERN_E_MEMORY) {
        end_unrun(needs, job, OUTCOME_RELEASED, now_ns);
    } else if (code) {
        job->is_unreadable = true;
        quern_job_error(job, "%s", why->text);
        end_unrun(needs, job, OUTCOME_MALFORMED, now_ns);
    } else if (crashes >= needs->max_crashes) {
        bury(needs, job, crashes, now_ns);
    } else {
        slot_move(job, SLOT_FREE, SLOT_READY);
        ready_push(needs->ready, job->index);
        ready_wake(needs->ready);
        take_back(needs, now_ns);
    }
}

/* The message is copied at once: the reply is this connection's own. */
static void take(const struct reaper_needs *needs, struct quern_job *job, uint32_t origin, const struct reply *answer,
                 const struct entry *entry, int64_t asked_ns)
{
    quern_error why;
    int64_t now_ns = clock_now_ns();
    int code = message_read(&job->message, entry, true, needs->fields_max, &why);
    if (!message_detach(&job->message)) {
        code = QUERN_E_MEMORY;
        job->message.fields_count = 0; /* it would point into the reply */
    }
    slot_lease(job, &(struct admission){.origin = origin - origin_lane(origin) + LANE_ALONE,
                                        .deliveries = (uint32_t)reply_number(reply_item(answer, DELIVERIES), 1),
                                        .granted_ns = asked_ns,
                                        .now_ns = now_ns});
    gate_take(needs->gate);
    log_event(needs->log, LOG_INFO, "runs_alone", LOG_TEXT("entry", job->message.entry_text), LOG_BYTES("job", job->message.id),
              LOG_INT("starts", reply_number(reply_item(answer, STARTS), 1)));
    admit(needs, job, answer, code, &why, now_ns);
}

int alone_step(const struct reaper_needs *needs, uint32_t origin, struct conn *conn, bool trusts_idle, bool *is_taken,
               quern_error *err)
{
    const struct reply *answer;
    struct entry entry;
    int64_t asked_ns = clock_now_ns();
    struct quern_job *job = slots_reserve(needs->slots);
    *is_taken = false;
    if (!job) return QUERN_OK;
    int code = ask(needs, origin, conn, trusts_idle, &answer, err);
    bool is_told = !code && answer->type == REPLY_ARRAY && answer->count;
    if (is_told)
        reclaim_tell_deleted(needs, origin_source(needs->sources, origin)->alone, reply_number(reply_item(answer, DELETED), 0));
    if (is_told && entry_read(reply_item(answer, ENTRY), &entry)) {
        take(needs, job, origin, answer, &entry, asked_ns);
        *is_taken = true;
    } else {
        slots_unreserve(needs->slots, job);
    }
    return code;
}
