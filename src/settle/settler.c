/* SPDX-License-Identifier: MIT */
#include "settle/settler.h"

#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "config/config.h"
#include "keep/lease.h"
#include "queue/gate.h"
#include "settle/account.h"
#include "settle/batch.h"
#include "settle/farewell.h"
#include "settle/verdict.h"
#include "wire/errors.h"

/* What is worth being woken for: so many jobs, or fewer if they are large, for what they came in is held until they are settled, and
 * what is held long is out of the caches when its place is used again. */
enum { FULL = 128, FULL_LEAST = 8, FULL_BYTES = 262144, LINGER_MS = 20 };

struct settler {
    const struct settler_needs *needs;
    struct link link;
    struct quern_job **jobs; /* taken and not yet settled, in order; room for every slot, and for a ghost of each */
    uint32_t count;
    size_t mean_bytes;  /* the data of those that were taken last */
    bool is_overdue;    /* said that the drain is over */
    uint64_t random;    /* the state of a small generator */
    struct batch *open; /* per queue: the script batch that is being asked; kept as it is until it is answered */
    uint32_t put_off;   /* queues of which something was refused: they come last; a bit for each */
    uint32_t first;     /* the one of them that is asked first: behind the one that was refused last */
};

/* ── taking ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* It would have been tried again. Of a ghost its body has the mark. */
static bool is_cancelled(const struct quern_job *job)
{
    bool would_come_again =
        job->outcome == OUTCOME_RETRY || job->outcome == OUTCOME_TIMEOUT || job->outcome == OUTCOME_UNHANDLED;
    return would_come_again && slot_is_cancelled(job);
}

static void free_slot(struct settler *settler, struct quern_job *job)
{
    slots_free(settler->needs->slots, job);
    done_note_freed(settler->needs->done);
}

/* True: slots became free by that alone. */
static bool take_all(struct settler *settler)
{
    struct quern_job *job;
    bool has_freed = false;
    size_t bytes = 0, taken = 0;
    for (; (job = done_take(settler->needs->done)); taken++) {
        bytes += job->message.data.len;
        if (is_cancelled(job)) job->outcome = OUTCOME_CANCELLED;
        if (job->outcome != OUTCOME_SEIZED) {
            settler->jobs[settler->count++] = job;
            continue;
        }
        free_slot(settler, job); /* its ghost was settled, or is in here too */
        has_freed = true;
    }
    if (taken) settler->mean_bytes = bytes / taken;
    return has_freed;
}

/* Sleeps until a batch is worth it, or for so long. */
static void linger(const struct settler *settler)
{
    size_t fit = FULL_BYTES / (settler->mean_bytes + 1), worth = fit < FULL_LEAST ? FULL_LEAST : fit;
    done_wait(settler->needs->done, worth < FULL ? worth : FULL, clock_now_ns() + LINGER_MS * NS_PER_MS);
}

/* After slots were freed. */
static void wake_others(struct settler *settler)
{
    const struct settler_needs *needs = settler->needs;
    atomic_thread_fence(memory_order_seq_cst); /* slots are free before it looks who wants some; pairs with wait_for_demand() */
    if (atomic_load(needs->wants_slots) && atomic_exchange(needs->wants_slots, false)) waker_wake(needs->refill);
}

/* The job has come to its end. After one that ran alone others may start, and the next of its kind. */
static void let_go(struct settler *settler, struct quern_job *job)
{
    bool was_alone = job_is_alone(job);
    free_slot(settler, job);
    if (!was_alone) return;
    gate_open(settler->needs->gate);
    waker_wake(settler->needs->upkeep);
}

/* Which action a job needs now. */
static enum action action_of(struct settler *settler, const struct quern_job *job, int64_t now_ns, int64_t connected_ns)
{
    const struct source *source = &settler->needs->sources[job_queue(job)];
    int64_t granted_ns = atomic_load_explicit(&job->granted_ns, memory_order_relaxed);
    return verdict(&(struct verdict_facts){
        .outcome = job->outcome,
        .retries = job->message.retries,
        .retry_limit = job->policy.retry_limit,
        .is_fresh = !job_is_alone(job) && lease_is_fresh(granted_ns, now_ns, settler->needs->lease_ns, connected_ns),
        .is_lost = slot_has(job, SLOT_LOST) || slot_is_gone(job),
        .keeps_log = source->config->completed_max > 0,
        .is_log_scripted = settler->open[job_queue(job)].refused_on_ns == connected_ns ||
                           atomic_load_explicit(&settler->needs->deletes[job_queue(job)], memory_order_relaxed),
        .is_of_batch = message_batch(&job->message, source->group).at,
        .is_unpended =
            settler->needs->is_unpended && !origin_is_private(atomic_load_explicit(&job->origin, memory_order_relaxed)),
    });
}

/* Settled now, it would be handed out and run once more. A stop does not wait. First the time, then the mark: when the time was taken
 * back, the new lease is there. */
static bool is_owed_a_lease(const struct settler *settler, const struct quern_job *job, int64_t now_ns)
{
    const struct settler_needs *needs = settler->needs;
    return now_ns < atomic_load(needs->owed_until_ns) && slot_is_gone(job) && atomic_load(needs->drain_ns) == CLOCK_NEVER;
}

static uint64_t next_random(struct settler *settler)
{
    settler->random ^= settler->random << 13;
    settler->random ^= settler->random >> 7;
    settler->random ^= settler->random << 17;
    return settler->random;
}

/* A retry was laid aside: the reaper hears of the first one that is due, and at once if that is soon. */
static void expect_due(struct settler *settler, const struct quern_job *job)
{
    const struct settler_needs *needs = settler->needs;
    if (!job->delay_ms) return;
    int64_t due_ns = clock_deadline_ns(clock_now_ns(), job->delay_ms), first_ns = atomic_load(needs->due_ns);
    while (due_ns < first_ns && !atomic_compare_exchange_weak(needs->due_ns, &first_ns, due_ns)) continue;
    if (due_ns < first_ns && job->delay_ms < needs->soon_ms) waker_wake(needs->upkeep);
}

/* ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Enough of them are worth a trim. */
static void count_settled(struct settler *settler, uint32_t settled)
{
    const struct settler_needs *needs = settler->needs;
    int64_t acked = atomic_fetch_add(needs->acked, settled);
    if (acked < needs->trim_after && acked + settled >= needs->trim_after) waker_wake(needs->upkeep);
}

/* A batch was answered: each of its jobs is accounted for and free, or stays for another try. */
static void close_batch(struct settler *settler, struct batch *batch)
{
    uint32_t settled = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct quern_job *job = batch->jobs[i];
        if (batch->answers[i] == ANSWER_AGAIN) {
            settler->jobs[settler->count++] = job;
            continue;
        }
        if (batch->answers[i] == ANSWER_MOVED) expect_due(settler, job);
        account_settled(settler->needs, job, batch->answers[i]);
        let_go(settler, job);
        settled++;
    }
    batch->count = 0;
    counter_add(&settler->needs->counters->batches, 1);
    counter_set(&settler->needs->counters->last_ns, clock_now_ns());
    count_settled(settler, settled);
}

/* Moves the jobs of these queues (a bit for each) that share their action and origin with the first one of it into its queue's batch, as
 * many as one command takes. NULL: there is none. */
static struct batch *gather(struct settler *settler, uint32_t queues, enum action action, int64_t now_ns, struct conn *conn)
{
    struct batch *batch = NULL;
    uint32_t kept = 0, i = 0;
    for (; i < settler->count && !(batch && batch_is_full(batch)); i++) {
        struct quern_job *job = settler->jobs[i];
        struct batch *own = &settler->open[job_queue(job)];
        bool fits = queues >> job_queue(job) & 1 && (!batch || batch == own) && !is_owed_a_lease(settler, job, now_ns) &&
                    action_of(settler, job, now_ns, conn_opened_ns(conn)) == action;
        if (fits && !batch) batch_begin(batch = own, action);
        if (!fits || !batch_takes(batch, job)) {
            settler->jobs[kept++] = job;
            continue;
        }
        if (action == ACTION_RETRY)
            job->delay_ms = verdict_delay_ms(&job->policy, job->message.retries, job->retry_after_ms, next_random(settler));
        batch_add(batch, job);
    }
    memmove(settler->jobs + kept, settler->jobs + i, (settler->count - i) * sizeof *settler->jobs);
    settler->count -= i - kept;
    return batch && batch->count ? batch : NULL;
}

static void take_back(struct settler *settler, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) settler->jobs[settler->count++] = batch->jobs[i];
    batch->count = 0;
}

/* QUERN_OK: answered. Else a script batch stays open as it is; a plain one is taken apart. */
static int ask_open(struct settler *settler, struct batch *batch, struct conn *conn, quern_error *err)
{
    uint32_t queue = (uint32_t)(batch - settler->open), count = settler->needs->source_count;
    int code = batch_ask(batch, settler->needs, conn, err);
    /* A right that our user has not, he has for none of them. */
    for (uint32_t i = 0; batch->lacks_transactions && i < count; i++) settler->open[i].lacks_transactions = true;
    if (!code)
        close_batch(settler, batch);
    else if (batch->action == ACTION_ACK)
        take_back(settler, batch);
    if (!code) settler->put_off &= ~(UINT32_C(1) << queue);
    if (!error_is_refusal(code)) return code;
    settler->put_off |= UINT32_C(1) << queue;
    settler->first = queue + 1;
    return code;
}

static bool is_any_open(const struct settler *settler)
{
    for (uint32_t i = 0; i < settler->needs->source_count; i++)
        if (settler->open[i].count) return true;
    return false;
}

static void leave(struct settler *settler, struct quern_job *job)
{
    account_left(settler->needs, job);
    let_go(settler, job);
}

/* Those for which Redis is asked nothing. */
static bool forget_some(struct settler *settler)
{
    uint32_t kept = 0;
    if (!settler->needs->is_unpended) return false;
    for (uint32_t i = 0; i < settler->count; i++) {
        struct quern_job *job = settler->jobs[i];
        if (action_of(settler, job, 0, 0) != ACTION_FORGET) {
            settler->jobs[kept++] = job;
            continue;
        }
        account_settled(settler->needs, job, ANSWER_SETTLED);
        free_slot(settler, job);
    }
    uint32_t forgotten = settler->count - kept;
    count_settled(settler, forgotten);
    settler->count = kept;
    return forgotten > 0;
}

/* What was taken of these queues, action by action; nothing of a queue before its open batch is answered. */
static int settle_queues(struct settler *settler, uint32_t queues, struct conn *conn, quern_error *err)
{
    static const enum action actions[] = {ACTION_ACK,   ACTION_LOG,     ACTION_DONE, ACTION_PASS,
                                          ACTION_RETRY, ACTION_RELEASE, ACTION_DEAD};
    int code = QUERN_OK;
    for (uint32_t i = 0; i < settler->needs->source_count && !code; i++)
        if (queues >> i & 1 && settler->open[i].count) code = ask_open(settler, &settler->open[i], conn, err);
    int64_t now_ns = clock_now_ns();
    struct batch *batch;
    for (size_t i = 0; i < COUNT_OF(actions) && !code; i++)
        while (!code && (batch = gather(settler, queues, actions[i], now_ns, conn))) code = ask_open(settler, batch, conn, err);
    return code;
}

/* Everything taken. A refusal ends the connection, so those of which something was refused come last, one by one: what Redis will not
 * have of one queue is no reason to keep the jobs of the others. */
static int settle_all(struct settler *settler, struct conn *conn, quern_error *err)
{
    uint32_t last = settler->put_off, first = settler->first, count = settler->needs->source_count;
    int code = settle_queues(settler, ~last, conn, err);
    for (uint32_t i = 0; last && i < count && !code; i++) {
        uint32_t bit = UINT32_C(1) << (first + i) % count;
        if (last & bit) code = settle_queues(settler, bit, conn, err);
    }
    wake_others(settler);
    return code;
}

/* ── the thread ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_over(struct settler *settler)
{
    const struct settler_needs *needs = settler->needs;
    return done_is_closed(needs->done) && slots_free_count(needs->slots) == slots_count(needs->slots) &&
           slots_ghost_count(needs->slots) == 0;
}

/* Redis is away and the drain's time is over: what is in hand stays pending, and others will find it. */
static bool give_up(struct settler *settler, int64_t now_ns)
{
    const struct settler_needs *needs = settler->needs;
    if (now_ns < atomic_load(needs->drain_ns)) return false;
    for (uint32_t i = 0; i < needs->source_count; i++) take_back(settler, &settler->open[i]);
    counter_add(&needs->counters->unsettled, settler->count);
    for (uint32_t i = 0; i < settler->count; i++) leave(settler, settler->jobs[i]);
    settler->count = 0;
    return true;
}

/* The drain's time is over and handlers still run: nobody can end them from outside, so it is said, once. */
static void say_overdue(struct settler *settler)
{
    if (settler->is_overdue) return;
    settler->is_overdue = true;
    log_event(settler->needs->log, LOG_WARNING, "still_running", LOG_INT("jobs", slots_held_count(settler->needs->slots)),
              LOG_TEXT("why", "drain_ms is over"));
}

/* Nothing to settle: sleeps until there is. Once done is closed, only tickets can bring more. */
static void settler_idle(struct settler *settler)
{
    struct done *done = settler->needs->done;
    int64_t drain_ns = atomic_load(settler->needs->drain_ns), now_ns = clock_now_ns();
    if (now_ns >= drain_ns) say_overdue(settler);
    int64_t look_ns = drain_ns != CLOCK_NEVER && now_ns >= drain_ns ? CLOCK_NEVER : drain_ns;
    if (!done_is_closed(done))
        done_wait(done, 1, look_ns);
    else if (!is_over(settler)) /* it may have been closed since that was asked, and then nobody would wake us */
        done_rest(done, 1, look_ns);
}

/* Redis is away: sleeps until the next attempt, or until it is time to give up. */
static void settler_outage(struct settler *settler, int64_t now_ns)
{
    int64_t drain_ns = atomic_load(settler->needs->drain_ns), next_ns = settler->link.next_try_ns;
    if (!give_up(settler, now_ns)) done_rest(settler->needs->done, UINT32_MAX, drain_ns < next_ns ? drain_ns : next_ns);
}

static void settler_step(struct settler *settler)
{
    struct counter *owed_ns = &settler->needs->counters->owed_ns;
    quern_error why;
    bool has_freed = take_all(settler) | forget_some(settler);
    if (!settler->count && !is_any_open(settler)) {
        counter_set(owed_ns, 0);
        link_rest(&settler->link);
        if (has_freed) wake_others(settler);
        /* What was freed may have been the last one: then there is nothing to sleep for. */
        if (has_freed)
            linger(settler);
        else
            settler_idle(settler);
        return;
    }
    int64_t now_ns = clock_now_ns();
    if (!counter_read(owed_ns)) counter_set(owed_ns, now_ns);
    struct conn *conn = link_use(&settler->link, now_ns);
    if (!conn) {
        settler_outage(settler, now_ns);
        return;
    }
    int code = settle_all(settler, conn, &why);
    if (code) {
        link_fail(&settler->link, &why);
        if (error_is_refusal(code) && settler->needs->source_count > 1) link_hurry(&settler->link); /* for the others */
        return;
    }
    link_works(&settler->link);
    counter_set(owed_ns, 0);
    linger(settler);
}

static bool batches_open(struct settler *settler, uint32_t most)
{
    uint32_t count = settler->needs->source_count, opened = 0;
    settler->open = calloc(count, sizeof *settler->open);
    while (settler->open && opened < count && batch_open(&settler->open[opened], most)) opened++;
    return opened == count;
}

static void batches_close(struct settler *settler)
{
    for (uint32_t i = 0; settler->open && i < settler->needs->source_count; i++) batch_close(&settler->open[i]);
    free(settler->open);
}

void settler_run(void *given)
{
    struct settler_start *start = given;
    struct settler settler = {.needs = start->needs, .random = backoff_seed()};
    ONLY(ROLE_SETTLER);
    link_open(&settler.link, &start->needs->link);
    link_adopt(&settler.link, start->conn);
    uint32_t most = 2 * slots_count(start->needs->slots);
    settler.jobs = malloc(most * sizeof *settler.jobs);
    bool is_whole = settler.jobs && batches_open(&settler, most);
    start->begun(start->pool, is_whole);
    if (is_whole) {
        while (!is_over(&settler)) settler_step(&settler);
        farewell(start->needs, &settler.link, settler.open);
    }
    batches_close(&settler);
    free(settler.jobs);
    link_close(&settler.link);
}
