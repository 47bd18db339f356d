/* SPDX-License-Identifier: MIT */
#include "settle/account.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "job/bill.h"
#include "settle/batch.h"
#include "tell/notices.h"

static const char *const names[OUTCOMES] = {
    [OUTCOME_NONE] = "none",           [OUTCOME_DONE] = "done",           [OUTCOME_RETRY] = "retry",
    [OUTCOME_DEAD] = "dead",           [OUTCOME_MALFORMED] = "malformed", [OUTCOME_TOO_LARGE] = "too_large",
    [OUTCOME_EXPIRED] = "expired",     [OUTCOME_TIMEOUT] = "timeout",     [OUTCOME_UNHANDLED] = "unhandled",
    [OUTCOME_UNWANTED] = "unhandled",  [OUTCOME_PASSED] = "unhandled",    [OUTCOME_RELEASED] = "released",
    [OUTCOME_POSTPONED] = "postponed", [OUTCOME_POISON] = "poison",       [OUTCOME_CANCELLED] = "cancelled",
};

/* What a job came to here, whatever is done with it then; NULL: nothing of its own. */
static struct counter *counter_of(struct settle_counters *counters, enum slot_outcome outcome)
{
    switch (outcome) {
    case OUTCOME_MALFORMED:
        return &counters->malformed;
    case OUTCOME_TOO_LARGE:
        return &counters->too_large;
    case OUTCOME_EXPIRED:
        return &counters->expired;
    case OUTCOME_TIMEOUT:
        return &counters->timeout;
    case OUTCOME_POISON:
        return &counters->poison;
    case OUTCOME_CANCELLED:
        return &counters->cancelled;
    case OUTCOME_UNHANDLED:
    case OUTCOME_UNWANTED:
    case OUTCOME_PASSED:
        return &counters->unhandled;
    default:
        return NULL;
    }
}

static void count_outcome(const struct settler_needs *needs, const struct quern_job *job)
{
    struct counter *counter = counter_of(needs->counters, job->outcome);
    if (counter) counter_add(counter, 1);
}

static const char *error_of(const struct quern_job *job)
{
    return job->error ? job->error : verdict_reason(job->outcome).error;
}

/* A job starts when the one before it ended, which may be a moment before it was admitted: then it has not waited. */
static int64_t wait_us(const struct quern_job *job)
{
    int64_t ns = job->started_ns - job->admitted_ns;
    return ns > 0 ? ns / NS_PER_US : 0;
}

static int64_t run_us(const struct quern_job *job)
{
    return (job->ended_ns - job->started_ns) / NS_PER_US;
}

/* What went back is not over: it will be on the bill of whoever ends it. */
static void bill(const struct settler_needs *needs, const struct quern_job *job, enum bill_end end)
{
    bool was_cancelled_before = job->outcome == OUTCOME_CANCELLED && job->ended_ns == job->started_ns;
    bool has_run = job->line && job->outcome != OUTCOME_EXPIRED && !was_cancelled_before;
    if (job->outcome == OUTCOME_RELEASED || job->outcome == OUTCOME_POSTPONED) return;
    bill_add(needs->bill, job->line, &(struct bill_item){end, wait_us(job), has_run ? run_us(job) : -1});
}

static enum bill_end end_of(const struct quern_job *job, char answer)
{
    if (answer == ANSWER_MOVED) return BILL_RETRY;
    if (answer == ANSWER_BURIED) return BILL_DEAD;
    bool is_done = answer != ANSWER_LOST && answer != ANSWER_STUCK && job->outcome == OUTCOME_DONE;
    return is_done ? BILL_DONE : BILL_OTHER;
}

static void tell(const struct settler_needs *needs, const struct quern_job *job, int what, quern_verdict verdict)
{
    if (!notices_wants(needs->notices, what)) return;
    notices_post(needs->notices, &(quern_notice){
                                     .what = what,
                                     .outcome = verdict,
                                     .event = job->message.event,
                                     .id = job->message.id,
                                     .retries = job->message.retries,
                                     .wait_us = wait_us(job),
                                     .run_us = run_us(job),
                                     .text = verdict == QUERN_DONE ? job->error : error_of(job),
                                     .cpu_us = job->cpu_ns < 0 ? -1 : job->cpu_ns / NS_PER_US,
                                 });
}

static void say(const struct settler_needs *needs, const struct quern_job *job, const char *name, const char *then)
{
    log_event(needs->log, LOG_WARNING, name, LOG_TEXT("entry", job->message.entry_text), LOG_BYTES("job", job->message.id),
              LOG_BYTES("job_event", job->message.event), LOG_TEXT("outcome", names[job->outcome]),
              LOG_TEXT("error", job->error), LOG_TEXT("then", then));
}

/* Told and counted once, by whoever sees it first: the heartbeat, which then has marked the slot, or the settler. */
static void lose(const struct settler_needs *needs, const struct quern_job *job)
{
    say(needs, job, "not_recorded", "another owner has the lease: what the job came to here changes nothing");
    if (slot_has(job, SLOT_LOST)) return;
    counter_add(&needs->counters->lost, 1);
    tell(needs, job, QUERN_NOTICE_LOST, QUERN_RETRY);
}

static const char *gone_or(const struct quern_job *job, const char *then)
{
    return slot_is_gone(job) ? "nobody has its lease any more: what it came to is not recorded" : then;
}

static void stick(const struct settler_needs *needs, const struct quern_job *job)
{
    counter_add(&needs->counters->left, 1);
    say(needs, job, "job_left", gone_or(job, "Redis could not move it: it stays pending"));
}

static void tried_again(const struct settler_needs *needs, const struct quern_job *job)
{
    if (job->outcome == OUTCOME_RELEASED || job->outcome == OUTCOME_POSTPONED) {
        counter_add(&needs->counters->released, 1);
        return;
    }
    counter_add(&needs->counters->retry, 1);
    /* A failure is the job's affair; that nobody here takes its event may be a mistake that buries many. */
    enum log_level level = job->outcome == OUTCOME_UNHANDLED ? LOG_WARNING : LOG_INFO;
    log_event(needs->log, level, "job_failed", LOG_TEXT("entry", job->message.entry_text), LOG_BYTES("job", job->message.id),
              LOG_BYTES("job_event", job->message.event), LOG_TEXT("outcome", names[job->outcome]),
              LOG_INT("retries", job->message.retries), LOG_INT("again_in_ms", job->delay_ms),
              LOG_TEXT("error", error_of(job)));
    tell(needs, job, QUERN_NOTICE_JOB, QUERN_RETRY);
}

static void buried(const struct settler_needs *needs, const struct quern_job *job)
{
    counter_add(&needs->counters->dead, 1);
    log_event(needs->log, LOG_WARNING, "job_dead", LOG_TEXT("entry", job->message.entry_text),
              LOG_BYTES("job", job->message.id), LOG_BYTES("job_event", job->message.event),
              LOG_TEXT("reason", verdict_reason(job->outcome).name), LOG_INT("retries", job->message.retries),
              LOG_TEXT("error", error_of(job)));
    tell(needs, job, QUERN_NOTICE_JOB, QUERN_DEAD);
}

static void finished(const struct settler_needs *needs, const struct quern_job *job)
{
    if (job->outcome != OUTCOME_DONE) return; /* passed: nobody has run it */
    counter_add(&needs->counters->done, 1);
    tell(needs, job, QUERN_NOTICE_JOB, QUERN_DONE);
}

void account_settled(const struct settler_needs *needs, const struct quern_job *job, char answer)
{
    bill(needs, job, end_of(job, answer));
    if (answer == ANSWER_LOST) {
        lose(needs, job);
        return;
    }
    if (answer == ANSWER_AMBIGUOUS) counter_add(&needs->counters->ambiguous, 1);
    count_outcome(needs, job);
    if (answer == ANSWER_STUCK)
        stick(needs, job);
    else if (answer == ANSWER_MOVED)
        tried_again(needs, job);
    else if (answer == ANSWER_BURIED)
        buried(needs, job);
    else
        finished(needs, job);
}

void account_left(const struct settler_needs *needs, const struct quern_job *job)
{
    bill(needs, job, BILL_OTHER);
    count_outcome(needs, job);
    counter_add(&needs->counters->left, 1);
    say(needs, job, "job_left", gone_or(job, "it stays pending"));
    tell(needs, job, QUERN_NOTICE_JOB, job->outcome == OUTCOME_DONE ? QUERN_DONE : QUERN_RETRY);
}
