/* SPDX-License-Identifier: MIT */
#include "intake/admit.h"

#include <assert.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "queue/keys.h"
#include "tell/notices.h"

static void end_unstarted(const struct dispatcher_needs *needs, struct quern_job *job, enum slot_outcome outcome,
                          int64_t now_ns)
{
    job->outcome = outcome;
    job->started_ns = job->ended_ns = now_ns;
    slot_move(job, SLOT_FREE, SLOT_DONE);
    done_push(needs->done, job);
}

/* Keys are those of one stream. Never 0. */
static uint64_t key_within(uint64_t key, uint32_t queue)
{
    enum { QUEUE_BITS = 6 };
    return (key | 1) << QUEUE_BITS | queue;
}

static void lose(const struct dispatcher_needs *needs, const char *entry)
{
    counter_add(&needs->counters->lost, 1);
    log_event(needs->log, LOG_WARNING, "lease_lost", LOG_TEXT("entry", entry),
              LOG_TEXT("why", "Redis has given its id to another job: what the old one comes to changes nothing"));
    notices_post(needs->notices, &(quern_notice){.what = QUERN_NOTICE_LOST, .id = bytes_of(entry), .cpu_us = -1});
}

/* Is this very job held already? Then its slot has the new lease. */
static bool is_held(const struct dispatcher_needs *needs, const struct message *message, const struct admission *admission)
{
    struct lease lease;
    struct quern_job *held = slots_find(needs->slots, admission->origin, message->entry, &lease);
    if (!held) return false;
    if (lease.identity == message_identity(message))
        return admission->is_unpended || slot_regrant(held, lease.generation, admission->deliveries, admission->granted_ns);
    if (slot_supersede(held, lease.generation)) lose(needs, message->entry_text);
    return false;
}

/* false: the slot was not needed, for the job is held already. */
static bool admit_one(const struct dispatcher_needs *needs, struct quern_job *job, const struct reply *reply,
                      const struct entry *entry, const struct admission *admission, const struct arrival *arrival)
{
    bool may_come_again = entry_id_compare(entry->id, arrival->high->newest) <= 0;
    quern_error why;
    int code = message_read(&job->message, entry, origin_is_private(admission->origin), needs->fields_max, &why);
    if (may_come_again && is_held(needs, &job->message, admission)) {
        message_free(&job->message);
        return false;
    }
    job->span = entry_hold(reply);
    slot_lease(job, admission);
    if (arrival->is_stopping) {
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
        if (job->message.key)
            keys_admit(needs->keys, job, key_within(job->message.key, admission->origin / LANES));
        else
            ready_push(needs->ready, job->index);
    }
    return true;
}

static void raise(struct entry_id *high, struct entry_id id)
{
    if (entry_id_compare(id, *high) > 0) *high = id;
}

void admit_entries(const struct dispatcher_needs *needs, struct reserve *reserve, const struct reply *entries,
                   const struct arrival *arrival)
{
    int64_t now_ns = clock_now_ns();
    struct entry entry;
    for (uint32_t i = 0; entries->type == REPLY_ARRAY && i < entries->count; i++) {
        const struct reply *reply = reply_item(entries, i);
        bool is_asked = !arrival->deliveries || i < arrival->deliveries_count;
        if (reply->type == REPLY_NIL) continue;
        if (!is_asked || !entry_read(reply, &entry) || reserve->count == 0) {
            log_event(needs->log, LOG_ERROR, "entry_refused",
                      LOG_TEXT("why", "Redis sent what was not asked for: it stays pending"));
            continue;
        }
        struct admission admission = {
            .origin = arrival->origin,
            .deliveries = arrival->deliveries ? arrival->deliveries[i] : 1,
            .granted_ns = arrival->granted_ns,
            .now_ns = now_ns,
            .is_unpended = needs->is_unpended,
        };
        struct quern_job *job = reserve->jobs[--reserve->count];
        if (!admit_one(needs, job, reply, &entry, &admission, arrival)) reserve->jobs[reserve->count++] = job;
        raise(&arrival->high->newest, entry.id);
        raise(&arrival->high->seen, entry.id);
        if (i == 0) ready_call(needs->ready, now_ns); /* the first one need not wait for the rest */
    }
    ready_call(needs->ready, now_ns);
}
