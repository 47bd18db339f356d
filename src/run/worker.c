/* SPDX-License-Identifier: MIT */
#include "run/worker.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "blame/hook.h"
#include "blame/journal.h"
#include "config/config.h"
#include "job/source.h"
#include "queue/gate.h"
#include "queue/keys.h"
#include "queue/orders.h"
#include "run/caps.h"
#include "run/forked.h"
#include "run/guard.h"
#include "run/pull.h"

/* A job of an event that takes longer than this leaves the reply it lies in: else it would pin 64 KiB for as long as it runs. */
static const int64_t long_job_ns = NS_PER_MS;
/* And while one runs that takes longer than this, others are woken for what comes. */
static const int64_t brief_job_ns = 30000;

struct context {
    void *thread;
    bool is_open;
};

/* ── contexts ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void contexts_close(struct worker *worker, struct table *table)
{
    if (!worker->contexts) return;
    for (uint32_t i = 0; i < table_count(table); i++) {
        struct handler *handler = table_at(table, i);
        struct context *context = &worker->contexts[i];
        bool was_open = context->is_open;
        context->is_open = false; /* once, also if it ends the thread */
        if (was_open && handler->is.thread_close) handler->is.thread_close(context->thread, handler->is.user);
    }
    free(worker->contexts);
    worker->contexts = NULL;
}

/* The table may have been replaced: contexts belong to the old one's handlers. false: no memory. */
static bool table_refresh(struct worker *worker)
{
    struct table *old = NULL;
    if (registry_hold(worker->needs->registry, &worker->table, &old) && old) {
        contexts_close(worker, old);
        registry_drop(old);
    }
    if (!worker->contexts) worker->contexts = calloc(table_count(worker->table) + 1, sizeof *worker->contexts);
    return worker->contexts != NULL;
}

/* false: the handler cannot serve on this thread now. */
static bool context_open(struct worker *worker, struct handler *handler, quern_job *job, void **thread)
{
    struct context *context = &worker->contexts[handler->index];
    if (!context->is_open && handler->is.thread_open && handler->is.thread_open(&context->thread, handler->is.user)) {
        quern_job_error(job, "thread_open of the handler failed");
        return false;
    }
    context->is_open = true;
    *thread = context->thread;
    return true;
}

/* ── one job ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_late(const quern_job *job)
{
    int64_t deadline_ns = atomic_load_explicit(&job->deadline_ns, memory_order_relaxed);
    return deadline_ns != CLOCK_NEVER && clock_now_ns() >= deadline_ns;
}

/* It was told to end because the pool stops: that is no failure of the job's. */
static bool is_cut_off(const quern_job *job)
{
    return clock_now_ns() >= atomic_load_explicit(job->drain_ns, memory_order_relaxed);
}

static enum slot_outcome outcome_of(struct worker *worker, quern_job *job, quern_verdict verdict)
{
    if (job->is_not_json) return OUTCOME_MALFORMED;
    switch ((int)verdict) {
    case QUERN_DONE:
        return OUTCOME_DONE;
    case QUERN_RETRY:
        return is_late(job) ? OUTCOME_TIMEOUT : is_cut_off(job) ? OUTCOME_RELEASED : OUTCOME_RETRY;
    case QUERN_DEAD:
        return OUTCOME_DEAD;
    default:
        if (!job->error)
            quern_job_error(job, "the handler returned %d, which is no verdict: taken as QUERN_RETRY", (int)verdict);
        log_event(worker->needs->log, LOG_WARNING, "no_verdict", LOG_BYTES("job_event", job->message.event),
                  LOG_INT("returned", (int)verdict));
        return OUTCOME_RETRY;
    }
}

/* Must the job leave its reply before it runs? */
static bool is_long(const struct handler *handler)
{
    int64_t mean_ns = atomic_load_explicit(&handler->mean_ns, memory_order_relaxed);
    return mean_ns == 0 || mean_ns > long_job_ns || atomic_load_explicit(&handler->is_deferring, memory_order_relaxed);
}

/* What comes meanwhile can wait for it. */
static bool is_brief(const struct handler *handler)
{
    int64_t mean_ns = atomic_load_explicit(&handler->mean_ns, memory_order_relaxed);
    return mean_ns && mean_ns < brief_job_ns;
}

static void turn_away(struct worker *worker)
{
    if (worker->is_away) return;
    worker->is_away = true;
    ready_turn_away(worker->needs->ready);
}

static void attend(struct worker *worker)
{
    if (!worker->is_away) return;
    worker->is_away = false;
    ready_attend(worker->needs->ready);
}

static quern_verdict call_handler(struct worker *worker, struct handler *handler, quern_job *job)
{
    void *thread = NULL;
    bool has_thrown;
    if (!is_brief(handler)) turn_away(worker);
    worker->handler = handler; /* from here on the host's code may end the thread */
    worker->job = job;
    bool is_open = context_open(worker, handler, job, &thread);
    atomic_store_explicit(&worker->is_running, is_open, memory_order_relaxed);
    quern_verdict verdict = is_open ? guard_call(&handler->is, job, thread, &has_thrown) : QUERN_RETRY;
    worker->handler = NULL;
    worker->job = NULL;
    if (!is_open) return verdict;
    atomic_store_explicit(&worker->is_running, false, memory_order_relaxed);
    if (is_forked()) forked_end();
    if (has_thrown) quern_job_error(job, "its handler has thrown an exception");
    if (verdict == QUERN_PENDING) atomic_store_explicit(&handler->is_deferring, true, memory_order_relaxed);
    return verdict;
}

/* From overdue_ns on others may look into the job, so it is written last; pairs with run/overdue. */
static void set_deadline(struct worker *worker, quern_job *job, int64_t now_ns)
{
    int64_t deadline_ns = clock_deadline_ns(now_ns, job->policy.timeout_ms);
    atomic_store_explicit(&job->deadline_ns, deadline_ns, memory_order_relaxed);
    job->runner = worker;
    atomic_store_explicit(&job->overdue_ns, clock_deadline_ns(deadline_ns, job->policy.timeout_grace_ms), memory_order_release);
}

/* What the thread had used when a job started, as the meter has it: of jobs that are measured together, some are charged with what has
 * run in that millisecond before them. */
static const struct board_thread *thread_of(struct worker *worker)
{
    worker->self.cpu_ns = worker->meter.asked_cpu_ns;
    return &worker->self;
}

/* For those who look on. thread NULL: whoever pulls it will say. */
static void chalk_up(const quern_job *job, const struct board_thread *thread, int64_t now_ns)
{
    struct board_head head = {.started_ns = now_ns,
                              .thread = thread ? *thread : (struct board_thread){0},
                              .entry = job->message.entry,
                              .generation = slot_generation(job),
                              .queue = (uint16_t)job_queue(job),
                              .retries = job->message.retries};
    if (job->board) board_start(job->board, &head, job->message.event, job->message.id);
}

static void open_record(struct worker *worker, const quern_job *job)
{
    struct journal *journal = worker->needs->journal;
    if (!journal) return;
    journal_start(journal, job->index, atomic_load_explicit(&job->origin, memory_order_relaxed), job->message.entry,
                  atomic_load_explicit(&job->deliveries, memory_order_relaxed));
    hook_enter(journal, job->index);
}

/* The handler has come to its end, whichever way. A job that a ticket will end stays in the journal until then. Returns when. */
static int64_t end_job(struct worker *worker, struct handler *handler, quern_job *job, quern_verdict verdict)
{
    int64_t ended_ns = clock_now_ns(), started_ns = worker->started_ns;
    handler_took(handler, ended_ns - started_ns, (uint64_t)counter_read(&worker->jobs));
    counter_add(&worker->jobs, 1);
    counter_add(&worker->run_ns, ended_ns - started_ns);
    hook_leave();
    job->cpu_ns = meter_end(&worker->meter, handler->line, ended_ns - started_ns, ended_ns);
    if (verdict == QUERN_PENDING && job->board) board_part(job->board, slot_generation(job)); /* before it may be another's */
    enum slot_end end = slot_end(job, verdict == QUERN_PENDING);
    if (end == END_OURS) {
        job->ended_ns = ended_ns;
        job->outcome = outcome_of(worker, job, verdict);
    }
    if (end == END_THEIRS) return ended_ns;
    if (end == END_SAID) slot_merge(job);
    caps_leave(job);
    keys_leave(job);
    journal_end(worker->needs->journal, job->index);
    done_push(worker->needs->done, job);
    return ended_ns;
}

/* Runs a job from start to push. Returns when it ended, which is when the next one starts. */
static int64_t run_job(struct worker *worker, struct handler *handler, quern_job *job, int64_t now_ns)
{
    if (is_long(handler) && message_detach(&job->message)) span_release(&job->span);
    job->started_ns = worker->started_ns = now_ns;
    meter_begin(&worker->meter, atomic_load_explicit(&handler->mean_ns, memory_order_relaxed), now_ns);
    chalk_up(job, thread_of(worker), now_ns);
    open_record(worker, job);
    if (job->policy.timeout_ms) set_deadline(worker, job, now_ns);
    quern_verdict verdict = call_handler(worker, handler, job);
    if (verdict == QUERN_PENDING && !slot_has(job, SLOT_TICKET)) {
        quern_job_error(job, "the handler said pending, but took no ticket: nobody could ever finish it");
        verdict = QUERN_RETRY;
    }
    return end_job(worker, handler, job, verdict);
}

/* What ends without a handler. */
static int64_t end_unrun(struct worker *worker, quern_job *job, enum slot_outcome outcome, int64_t now_ns)
{
    job->started_ns = job->ended_ns = now_ns;
    job->outcome = outcome;
    caps_leave(job);
    keys_leave(job);
    slot_move(job, SLOT_RUNNING, SLOT_DONE);
    done_push(worker->needs->done, job);
    return now_ns;
}

/* ── what is ordered ─────────────────────────────────────────────────────────────────────────────────────────────── */

enum { PAUSED_LEAST_MS = 10000, PAUSED_SPREAD_MS = 10000 };

/* What an operator has ordered for it. What is paused goes back for a while, and not all of it comes again at once. One that is
 * to run alone goes back to where it will, and none is taken for a while: among those that wait for a time it would be one of
 * many. */
static enum slot_outcome ordered_outcome(struct worker *worker, quern_job *job)
{
    struct orders *orders = worker->needs->orders;
    if (!orders_concern(orders)) return OUTCOME_NONE;
    uint64_t identity = atomic_load_explicit(&job->identity, memory_order_relaxed);
    if (orders_is_cancelled(orders, job_queue(job), identity, atomic_load_explicit(&job->born_ms, memory_order_relaxed)))
        return OUTCOME_CANCELLED;
    if (!orders_is_paused(orders, job_queue(job), job->message.event)) return OUTCOME_NONE;
    if (job_is_alone(job)) {
        gate_rest(worker->needs->gate);
        return OUTCOME_RELEASED;
    }
    job->delay_ms = PAUSED_LEAST_MS + (int64_t)(identity % PAUSED_SPREAD_MS);
    return OUTCOME_POSTPONED;
}

/* ── a job for a thread of the host's ────────────────────────────────────────────────────────────────────────────── */

/* The process may have stood still, or Redis been away, while the job waited: by now it may run elsewhere. So it is not started; the
 * script that gives it back will see whether it was still ours to give. */
static bool has_lost_touch(struct worker *worker, const quern_job *job, int64_t now_ns)
{
    int64_t granted_ns = atomic_load_explicit(&job->granted_ns, memory_order_relaxed);
    return worker->needs->lease_ns && now_ns - granted_ns >= worker->needs->lease_ns && !slot_has(job, SLOT_GONE);
}

/* Has its time passed before it could start? */
static bool is_expired(const quern_job *job)
{
    return job->message.expire_at_ms && clock_unix_ms() >= job->message.expire_at_ms;
}

/* One that is to run alone has closed the gate: while nobody pulls it, the others stand still for nothing. */
static bool keeps_others_waiting(struct worker *worker)
{
    if (!job_is_alone(worker->job) || clock_now_ns() - worker->job->started_ns < NS_PER_S) return false;
    gate_rest(worker->needs->gate);
    return true;
}

/* Must the job that waits for somebody to pull it go back? Asked under the pull's lock. */
static bool leaves_pull(void *given)
{
    struct worker *worker = given;
    return atomic_load(worker->needs->is_stopping) || worker->needs->is_extra(worker->needs->crew, worker) ||
           ready_is_paused(worker->needs->ready) || !registry_is_current(worker->needs->registry, worker->table) ||
           slot_has(worker->job, SLOT_LOST) || keeps_others_waiting(worker) ||
           has_lost_touch(worker, worker->job, clock_now_ns()) || is_expired(worker->job) ||
           ordered_outcome(worker, worker->job) != OUTCOME_NONE ||
           (gate_concerns(worker->needs->gate) && !job_is_alone(worker->job));
}

static enum slot_outcome unpulled_outcome(struct worker *worker, quern_job *job, int64_t now_ns)
{
    job->delay_ms = 0; /* what was paused while it was asked may go on by now */
    if (is_expired(job)) return OUTCOME_EXPIRED;
    if (slot_has(job, SLOT_LOST) || has_lost_touch(worker, job, now_ns)) return OUTCOME_RELEASED;
    enum slot_outcome ordered = ordered_outcome(worker, job);
    return ordered != OUTCOME_NONE ? ordered : OUTCOME_RELEASED;
}

/* It begins when somebody pulls it, and ends by its ticket. */
static int64_t offer_job(struct worker *worker, struct handler *handler, quern_job *job, int64_t now_ns)
{
    if (message_detach(&job->message)) span_release(&job->span);
    worker->job = job;
    job->started_ns = now_ns;
    meter_close(&worker->meter);
    turn_away(worker);
    bool is_promised = pull_promise(worker->needs->pull, leaves_pull, worker);
    worker->job = NULL;
    worker->started_ns = now_ns; /* how long somebody had to be waited for is what a job takes here */
    job->started_ns = now_ns = clock_now_ns();
    if (!is_promised) return end_unrun(worker, job, unpulled_outcome(worker, job, now_ns), now_ns);
    chalk_up(job, NULL, now_ns);
    if (worker->needs->journal)
        journal_start(worker->needs->journal, job->index, atomic_load_explicit(&job->origin, memory_order_relaxed),
                      job->message.entry, atomic_load_explicit(&job->deliveries, memory_order_relaxed));
    if (job->policy.timeout_ms) set_deadline(worker, job, now_ns);
    slot_pull(job);
    pull_hand(worker->needs->pull, job);
    handler_took(handler, now_ns - worker->started_ns, (uint64_t)counter_read(&worker->jobs));
    counter_add(&worker->jobs, 1);
    counter_add(&worker->run_ns, now_ns - worker->started_ns);
    return now_ns;
}

/* ── which way it goes ───────────────────────────────────────────────────────────────────────────────────────────── */

/* Nobody here takes its event. */
static enum slot_outcome outcome_unhandled(struct worker *worker, quern_job *job)
{
    int unhandled;
    slot_set_policy(job, table_policy(worker->table, job_queue(job), &unhandled));
    return unhandled == UNHANDLED_ACK ? OUTCOME_PASSED : unhandled == UNHANDLED_DEAD ? OUTCOME_UNWANTED : OUTCOME_UNHANDLED;
}

/* Does it stay with us? One that was parked has entered by now. */
static bool passes_cap(struct worker *worker, struct handler *handler, quern_job *job, int64_t now_ns)
{
    int64_t delay_ms;
    if (!handler->cap || job->cap) return true;
    enum cap_answer answer =
        cap_enter(handler->cap, job, atomic_load_explicit(&handler->mean_ns, memory_order_relaxed), &delay_ms);
    if (answer == CAP_RUN) return true;
    if (answer == CAP_PARKED) return false; /* and is not to be touched any more */
    job->delay_ms = delay_ms;
    end_unrun(worker, job, delay_ms ? OUTCOME_POSTPONED : OUTCOME_RELEASED, now_ns);
    return false;
}

/* One job, if there is one. Returns when it ended; 0: there was none. started_ns 0: ask the clock. */
static int64_t worker_step(struct worker *worker, int64_t started_ns)
{
    uint32_t index;
    if (!ready_pop(worker->needs->ready, &index)) return 0;
    quern_job *job = slots_at(worker->needs->slots, index);
    bool is_mine = slot_move(job, SLOT_READY, SLOT_RUNNING);
    assert(is_mine); /* who pops it holds it */
    (void)is_mine;
    if (gate_concerns(worker->needs->gate)) {
        if (!gate_pass(worker->needs->gate, worker->needs->slots, worker->needs->ready, job))
            return end_unrun(worker, job, OUTCOME_RELEASED, clock_now_ns());
        started_ns = 0;
    }
    int64_t now_ns = started_ns ? started_ns : clock_now_ns();
    worker->job = job; /* what the old handlers' threads are closed by may end this one */
    bool has_table = table_refresh(worker);
    worker->job = NULL;
    if (!has_table) {
        quern_job_error(job, "no memory for this thread's handlers");
        return end_unrun(worker, job, OUTCOME_RELEASED, now_ns); /* no attempt of the job's */
    }
    if (slot_has(job, SLOT_LOST) || has_lost_touch(worker, job, now_ns))
        return end_unrun(worker, job, OUTCOME_RELEASED, now_ns);
    struct handler *handler = table_find(worker->table, job->message.event);
    if (handler) job->line = handler->line;
    enum slot_outcome ordered = ordered_outcome(worker, job);
    if (ordered != OUTCOME_NONE) return end_unrun(worker, job, ordered, now_ns);
    if (is_expired(job)) return end_unrun(worker, job, OUTCOME_EXPIRED, now_ns);
    if (!handler) return end_unrun(worker, job, outcome_unhandled(worker, job), now_ns);
    slot_set_policy(job, &handler->policies[job_queue(job)]);
    if (!passes_cap(worker, handler, job, now_ns)) return now_ns;
    return handler->is.run == quern_pulled ? offer_job(worker, handler, job, now_ns) : run_job(worker, handler, job, now_ns);
}

/* ── the thread ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_extra(void *given)
{
    struct worker *worker = given;
    return worker->needs->is_extra(worker->needs->crew, worker);
}

/* Has it anything to do but jobs: to leave, or to move on to other handlers? */
static bool is_called(void *given)
{
    struct worker *worker = given;
    return is_extra(worker) || (worker->table && !registry_is_current(worker->needs->registry, worker->table));
}

static bool may_leave(struct worker *worker)
{
    return worker->needs->may_leave(worker->needs->crew, worker);
}

static void leave(struct worker *worker)
{
    turn_away(worker);
    meter_close(&worker->meter);
    if (worker->table) contexts_close(worker, worker->table);
    registry_drop(worker->table);
    worker->table = NULL;
    registry_thread_end();
    hook_thread_end(worker->signal_stack);
    ready_wake(worker->needs->ready); /* a wake that was meant for this one goes on to another */
    worker->needs->has_left(worker->needs->crew, worker);
}

/* A handler has called pthread_exit(), or somebody has cancelled the thread: a failed attempt. */
static void was_ended(void *given)
{
    struct worker *worker = given;
    struct handler *handler = worker->handler;
    if (handler) {
        quern_job_error(worker->job, "its handler has ended the thread (pthread_exit)");
        atomic_store_explicit(&worker->is_running, false, memory_order_relaxed);
        end_job(worker, handler, worker->job, QUERN_RETRY);
    } else if (worker->job) {
        end_unrun(worker, worker->job, OUTCOME_RELEASED, clock_now_ns());
    }
    worker->job = NULL;
    worker->handler = NULL;
    worker->needs->was_lost(worker->needs->crew, worker);
    leave(worker);
}

static void take_jobs(struct worker *worker)
{
    struct ready *ready = worker->needs->ready;
    for (int64_t at_ns = 0;;) {
        attend(worker);
        if (is_extra(worker) && may_leave(worker)) break;
        if ((at_ns = worker_step(worker, at_ns))) continue;
        if (ready_is_closed(ready) && ready_length(ready) == 0 && may_leave(worker)) break;
        if (worker->table) table_refresh(worker); /* so that what the old handlers opened is closed without a next job */
        meter_close(&worker->meter);
        ready_sleep(ready, is_called, worker);
    }
}

void worker_run(void *given)
{
    struct worker *worker = given;
    ONLY(ROLE_WORKER);
    registry_thread_begin();
    if (worker->needs->hooks_crashes) worker->signal_stack = hook_thread_begin();
    board_here(&worker->self);
    worker->is_away = true;
    pthread_cleanup_push(was_ended, worker);
    take_jobs(worker);
    pthread_cleanup_pop(0);
    leave(worker);
}
