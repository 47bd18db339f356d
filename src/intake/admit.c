/* SPDX-License-Identifier: MIT */
#include "intake/admit.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"

static void end_unstarted(const struct dispatcher_needs *needs, struct quern_job *job, enum slot_outcome outcome,
                          int64_t now_ns)
{
    job->outcome = outcome;
    job->started_ns = job->ended_ns = now_ns;
    slot_move(job, SLOT_FREE, SLOT_DONE);
    done_push(needs->done, job);
}

static void admit_one(const struct dispatcher_needs *needs, struct quern_job *job, const struct reply *reply,
                      const struct entry *entry, const struct admission *admission, bool is_stopping)
{
    quern_error why;
    int code = message_read(&job->message, entry, origin_is_private(admission->origin), needs->fields_max, &why);
    job->span = entry_hold(reply);
    slot_lease(job, admission);
    if (is_stopping) {
        end_unstarted(needs, job, OUTCOME_RELEASED, admission->now_ns);
    } else if (code) {
        job->is_unreadable = true;
        quern_job_error(job, "%s", why.text);
        end_unstarted(needs, job, OUTCOME_MALFORMED, admission->now_ns);
    } else if ((int64_t)job->message.data.len > needs->payload_max_bytes) {
        quern_job_error(job, "the data has %zu bytes; payload_max_bytes is %lld", job->message.data.len,
                        (long long)needs->payload_max_bytes);
        end_unstarted(needs, job, OUTCOME_TOO_LARGE, admission->now_ns);
    } else if (needs->max_unended && job->message.unended >= needs->max_unended) {
        quern_job_error(job, "it was handed out %u times without an outcome; max_deliveries is %u", job->message.unended,
                        needs->max_unended);
        end_unstarted(needs, job, OUTCOME_POISON, admission->now_ns);
    } else {
        slot_move(job, SLOT_FREE, SLOT_READY);
        ready_push(needs->ready, job->index);
    }
}

int64_t admit_entries(const struct dispatcher_needs *needs, struct reserve *reserve, const struct reply *entries,
                      const struct arrival *arrival)
{
    int64_t now_ns = clock_now_ns(), bytes = 0;
    struct entry entry;
    for (uint32_t i = 0; entries->type == REPLY_ARRAY && i < entries->count; i++) {
        const struct reply *reply = reply_item(entries, i);
        if (reply->type == REPLY_NIL) continue;
        if (!entry_read(reply, &entry) || reserve->count == 0) {
            log_event(needs->log, LOG_ERROR, "entry_refused",
                      LOG_TEXT("why", "Redis sent what was not asked for: it stays pending"));
            continue;
        }
        for (uint32_t f = 0; entry.fields->type == REPLY_ARRAY && f < entry.fields->count; f++)
            bytes += entry.fields->items[f].count + 17;
        if (entry_id_compare(entry.id, *arrival->high) > 0) *arrival->high = entry.id;
        struct admission admission = {
            .origin = arrival->origin,
            .deliveries = arrival->deliveries ? arrival->deliveries[i] : 1,
            .granted_ns = arrival->granted_ns,
            .now_ns = now_ns,
            .is_unpended = needs->is_unpended,
        };
        admit_one(needs, reserve->jobs[--reserve->count], reply, &entry, &admission, arrival->is_stopping);
        if (i == 0) ready_wake(needs->ready); /* the first one need not wait for the rest */
    }
    ready_wake(needs->ready);
    return bytes;
}
