/* SPDX-License-Identifier: MIT */
#include "settle/account.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "settle/batch.h"
#include "tell/notices.h"

static const struct {
    const char *name;
    quern_verdict verdict; /* as an observer is told */
} outcomes[] = {
    [OUTCOME_NONE] = {"none", QUERN_RETRY},           [OUTCOME_DONE] = {"done", QUERN_DONE},
    [OUTCOME_RETRY] = {"retry", QUERN_RETRY},         [OUTCOME_DEAD] = {"dead", QUERN_DEAD},
    [OUTCOME_MALFORMED] = {"malformed", QUERN_DEAD},  [OUTCOME_UNHANDLED] = {"unhandled", QUERN_RETRY},
    [OUTCOME_RELEASED] = {"released", QUERN_PENDING},
};

static struct counter *counter_of(struct settle_counters *counters, enum slot_outcome outcome)
{
    switch (outcome) {
    case OUTCOME_DONE:
        return &counters->done;
    case OUTCOME_DEAD:
        return &counters->dead;
    case OUTCOME_MALFORMED:
        return &counters->malformed;
    case OUTCOME_UNHANDLED:
        return &counters->unhandled;
    case OUTCOME_RELEASED:
        return &counters->released;
    default:
        return &counters->retry;
    }
}

static void tell(const struct settler_needs *needs, const struct quern_job *job, int what)
{
    if (!notices_wants(needs->notices, what)) return;
    notices_post(needs->notices, &(quern_notice){
                                     .what = what,
                                     .outcome = outcomes[job->outcome].verdict,
                                     .event = job->message.event,
                                     .id = job->message.id,
                                     .retries = job->message.retries,
                                     .wait_us = (job->started_ns - job->admitted_ns) / NS_PER_US,
                                     .run_us = (job->ended_ns - job->started_ns) / NS_PER_US,
                                     .text = job->error,
                                 });
}

static void say(const struct settler_needs *needs, const struct quern_job *job, const char *name, const char *then)
{
    log_event(needs->log, LOG_WARNING, name, LOG_TEXT("entry", job->message.entry_text), LOG_BYTES("job", job->message.id),
              LOG_BYTES("job_event", job->message.event), LOG_TEXT("outcome", outcomes[job->outcome].name),
              LOG_TEXT("error", job->error), LOG_TEXT("then", then));
}

/* Told and counted once, by whoever sees it first: the heartbeat, which then has marked the slot, or the settler. */
static void lose(const struct settler_needs *needs, const struct quern_job *job)
{
    say(needs, job, "not_recorded", "another owner has the lease: what the job came to here changes nothing");
    if (slot_has(job, SLOT_LOST)) return;
    counter_add(&needs->counters->lost, 1);
    tell(needs, job, QUERN_NOTICE_LOST);
}

void account_settled(const struct settler_needs *needs, const struct quern_job *job, char answer)
{
    struct settle_counters *counters = needs->counters;
    if (answer == ANSWER_STUCK) {
        counter_add(&counters->left, 1);
        say(needs, job, "job_left", "Redis could not move it: it stays pending");
        return;
    }
    if (answer == ANSWER_AMBIGUOUS) counter_add(&counters->ambiguous, 1);
    if (answer == ANSWER_LOST) {
        lose(needs, job);
        return;
    }
    counter_add(counter_of(counters, job->outcome), 1);
    if (job->outcome != OUTCOME_RELEASED) tell(needs, job, QUERN_NOTICE_JOB);
}

void account_left(const struct settler_needs *needs, const struct quern_job *job)
{
    if (job->outcome != OUTCOME_DONE && job->outcome != OUTCOME_RELEASED)
        counter_add(counter_of(needs->counters, job->outcome), 1);
    counter_add(&needs->counters->left, 1);
    say(needs, job, "job_left", "it stays pending");
    tell(needs, job, QUERN_NOTICE_JOB);
}
