/* SPDX-License-Identifier: MIT */
#include "intake/dispatcher.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "intake/admit.h"
#include "intake/adopt.h"
#include "intake/giveback.h"
#include "intake/heal.h"
#include "intake/plan.h"

enum { READS = 2, STREAMS = 2 /* that one reads */, EMPTY_BLOCK_MS = 50, NUDGE_MS = 5, MEAN_WEIGHT = 4 };

/* A read that was sent and not answered yet. */
struct read {
    uint32_t source, count;
    bool is_blocking;
    bool is_last_look; /* nothing was held when it was sent: what ends later may bring a retry behind it */
    int64_t sent_ns;
};

struct dispatcher {
    const struct dispatcher_needs *needs;
    struct link link;
    const struct conn *adopted_on; /* the connection on which strays were looked for */
    bool has_failed_to_adopt;
    struct reserve reserve;
    struct high *high;        /* per origin */
    int64_t next_heal_ns;     /* not before */
    struct read reads[READS]; /* the oldest first */
    uint32_t read_count;
    uint32_t admitting; /* entries of a reply that was taken but not admitted yet: they will need slots of the reserve */
    uint32_t next_source;
    bool was_short;      /* the last reply held less than was asked for: block the next time */
    int64_t entry_bytes; /* of an entry, of late */
    int64_t mean_ns, jobs_before, run_ns_before;
    int64_t progress_ns; /* when it was last seen that a job had ended, or a thread had none */
    int64_t paused_ns;   /* when it was last seen that the pool was paused */
};

/* ── what to ask for ─────────────────────────────────────────────────────────────────────────────────────────────── */

/* Where a thread has nothing to do, nothing stands still. Looked at also when a reply comes: the threads may be busy with it before
 * the next plan is made. */
static void see_idleness(struct dispatcher *dispatcher)
{
    if (ready_sleepers(dispatcher->needs->ready)) dispatcher->progress_ns = clock_now_ns();
}

static uint32_t measure(struct dispatcher *dispatcher)
{
    uint32_t threads;
    int64_t jobs, run_ns;
    dispatcher->needs->read_crew(dispatcher->needs->crew, &threads, &jobs, &run_ns);
    if (jobs > dispatcher->jobs_before) {
        int64_t of_late_ns = (run_ns - dispatcher->run_ns_before) / (jobs - dispatcher->jobs_before);
        dispatcher->mean_ns =
            dispatcher->mean_ns ? dispatcher->mean_ns + (of_late_ns - dispatcher->mean_ns) / MEAN_WEIGHT : of_late_ns;
        if (dispatcher->mean_ns < 1) dispatcher->mean_ns = 1;
    }
    if (jobs > dispatcher->jobs_before) dispatcher->progress_ns = clock_now_ns();
    see_idleness(dispatcher);
    dispatcher->jobs_before = jobs;
    dispatcher->run_ns_before = run_ns;
    return threads;
}

/* What a job takes. Where every thread is busy and none has ended a job for a while, it takes at least so long by now, whatever the
 * jobs before it took: what is fetched then would only wait. */
static int64_t expected_ns(const struct dispatcher *dispatcher)
{
    if (!dispatcher->mean_ns || ready_sleepers(dispatcher->needs->ready)) return dispatcher->mean_ns;
    int64_t standing_ns = clock_now_ns() - dispatcher->progress_ns;
    return standing_ns > dispatcher->mean_ns ? standing_ns : dispatcher->mean_ns;
}

static uint32_t asked(const struct dispatcher *dispatcher)
{
    uint32_t asked = 0;
    for (uint32_t i = 0; i < dispatcher->read_count; i++) asked += dispatcher->reads[i].count;
    return asked;
}

static bool nothing_held(const struct dispatcher *dispatcher)
{
    return slots_free_count(dispatcher->needs->slots) + dispatcher->reserve.count == slots_count(dispatcher->needs->slots);
}

/* After a heal, what runs is to get its lease back before it ends, whether or not there is a thread for what comes with it. */
static bool is_owed(const struct dispatcher *dispatcher)
{
    for (uint32_t i = 0; i < LANES * dispatcher->needs->source_count; i++)
        if (entry_id_compare(dispatcher->high[i].seen, dispatcher->high[i].owed) < 0) return true;
    return false;
}

/* There is no more: what was owed is not in the stream, or is another's. */
static void forgive(struct dispatcher *dispatcher)
{
    for (uint32_t i = 0; i < LANES * dispatcher->needs->source_count; i++)
        dispatcher->high[i].owed = (struct entry_id){0, 0};
}

/* What comes to its end now need not wait for a new lease. */
static void see_owed(const struct dispatcher *dispatcher)
{
    _Atomic int64_t *until_ns = dispatcher->needs->owed_until_ns;
    if (atomic_load_explicit(until_ns, memory_order_relaxed) && !is_owed(dispatcher)) atomic_store(until_ns, 0);
}

static struct plan make_plan(struct dispatcher *dispatcher)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    uint32_t threads = measure(dispatcher), in_flight = asked(dispatcher);
    uint32_t spare = dispatcher->reserve.count - STREAMS * in_flight - dispatcher->admitting;
    struct plan made = plan(&(struct plan_facts){
        .threads = threads,
        .idle_threads = ready_sleepers(needs->ready),
        .waiting = ready_length(needs->ready) + dispatcher->admitting,
        .asked = in_flight,
        .free = slots_free_count(needs->slots) + spare,
        .mean_ns = expected_ns(dispatcher),
        .prefetch_ns = needs->is_unpended ? 0 : needs->prefetch_ns,
        .prefetch_max = needs->prefetch_max,
        .batch_size = needs->batch_size,
        .entry_bytes = dispatcher->entry_bytes,
        .holds_nothing = nothing_held(dispatcher) && !in_flight,
        .used_bytes = chunk_pool_used_bytes(needs->chunks),
        .max_bytes = needs->prefetch_bytes,
    });
    uint32_t free = (slots_free_count(needs->slots) + spare) / STREAMS;
    if (!made.count && !in_flight && is_owed(dispatcher)) made.count = free < needs->batch_size ? free : needs->batch_size;
    ready_set_worth(needs->ready, made.worth);
    return made;
}

/* Has the reserve what the reads in flight may bring, and count per stream more? Takes it if the table has it. */
static bool reserve_for(struct dispatcher *dispatcher, uint32_t count)
{
    uint32_t needed = STREAMS * (asked(dispatcher) + count) + dispatcher->admitting;
    while (dispatcher->reserve.count < needed) {
        struct quern_job *job = slots_reserve(dispatcher->needs->slots);
        if (!job) return false;
        dispatcher->reserve.jobs[dispatcher->reserve.count++] = job;
    }
    return true;
}

/* Gives back what no read in flight may need. */
static void reserve_shrink(struct dispatcher *dispatcher)
{
    uint32_t needed = STREAMS * asked(dispatcher);
    while (dispatcher->reserve.count > needed)
        slots_unreserve(dispatcher->needs->slots, dispatcher->reserve.jobs[--dispatcher->reserve.count]);
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void put_read(const struct dispatcher_needs *needs, struct conn *conn, const struct read *read)
{
    const struct source *source = &needs->sources[read->source];
    conn_begin(conn, (read->is_blocking ? 13u : 11u) + needs->is_unpended);
    conn_arg_text(conn, "XREADGROUP");
    conn_arg_text(conn, "GROUP");
    conn_arg_text(conn, source->group);
    conn_arg_text(conn, needs->consumer);
    conn_arg_text(conn, "COUNT");
    conn_arg_number(conn, read->count);
    if (read->is_blocking) {
        conn_arg_text(conn, "BLOCK");
        conn_arg_number(conn, needs->until_empty ? EMPTY_BLOCK_MS : needs->block_ms);
    }
    if (needs->is_unpended) conn_arg_text(conn, "NOACK");
    conn_arg_text(conn, "STREAMS");
    conn_arg_text(conn, source->retry);
    conn_arg_text(conn, source->stream);
    conn_arg_text(conn, ">");
    conn_arg_text(conn, ">");
}

/* The oldest read was answered. */
static struct read take_read(struct dispatcher *dispatcher)
{
    struct read read = dispatcher->reads[0];
    dispatcher->reads[0] = dispatcher->reads[1];
    dispatcher->read_count--;
    if (read.is_blocking) atomic_store(dispatcher->needs->blocked_id, 0);
    return read;
}

static int send_read(struct dispatcher *dispatcher, struct conn *conn, uint32_t count, quern_error *err)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    struct read *read = &dispatcher->reads[dispatcher->read_count++];
    *read = (struct read){
        .source = dispatcher->next_source,
        .count = count,
        .is_blocking = dispatcher->was_short && needs->source_count == 1,
        .is_last_look = nothing_held(dispatcher) && !slots_ghost_count(needs->slots),
        .sent_ns = clock_now_ns(),
    };
    dispatcher->next_source = (dispatcher->next_source + 1) % needs->source_count;
    /* Said first, then looked whether to stop: so either the reaper sees that it has to unblock us, or we see the stop. */
    if (read->is_blocking) atomic_store(needs->blocked_id, conn_client_id(conn));
    if (read->is_blocking && atomic_load(needs->is_stopping)) {
        take_read(dispatcher);
        return QUERN_OK;
    }
    put_read(needs, conn, read);
    counter_add(&needs->counters->reads, 1);
    if (!counter_read(&needs->counters->owed_ns)) counter_set(&needs->counters->owed_ns, read->sent_ns);
    return conn_send(conn, conn_answer_deadline(conn), err);
}

/* Nothing is read for a pool that is paused or stops. */
static bool may_read(const struct dispatcher_needs *needs)
{
    return !ready_is_paused(needs->ready) && !atomic_load(needs->is_stopping);
}

/* Sends what the plan allows: two reads at most; one if the last reply was short. */
static int send_reads(struct dispatcher *dispatcher, struct conn *conn, struct plan *made, quern_error *err)
{
    int code = QUERN_OK;
    while (!code && may_read(dispatcher->needs)) {
        uint32_t most = dispatcher->was_short ? 1 : READS;
        *made = make_plan(dispatcher);
        if (dispatcher->read_count >= most || !made->count || !reserve_for(dispatcher, made->count)) break;
        code = send_read(dispatcher, conn, made->count, err);
    }
    return code;
}

/* Which of the source's two streams a part of the reply speaks of. */
static uint32_t origin_of(const struct dispatcher_needs *needs, const struct read *read, quern_bytes key)
{
    bool is_retry = bytes_is(key, needs->sources[read->source].retry);
    return LANES * read->source + (is_retry ? LANE_RETRY : LANE_STREAM);
}

/* How many entries a reply holds, and how many of them belong to its fuller stream. */
static uint32_t count_entries(const struct reply *reply, uint32_t *fullest)
{
    uint32_t all = 0;
    *fullest = 0;
    for (uint32_t i = 0; reply->type == REPLY_ARRAY && i < reply->count; i++) {
        uint32_t n = reply_item(reply_item(reply, i), 1)->count;
        if (n > *fullest) *fullest = n;
        all += n;
    }
    return all;
}

static void admit_reply(struct dispatcher *dispatcher, const struct read *read, const struct reply *reply)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    uint32_t entries = 0;
    int64_t bytes = 0;
    for (uint32_t i = 0; reply->type == REPLY_ARRAY && i < reply->count; i++) {
        const struct reply *part = reply_item(reply, i), *list = reply_item(part, 1);
        struct arrival arrival = {
            .origin = origin_of(needs, read, reply_bytes(reply_item(part, 0))),
            .granted_ns = read->sent_ns,
            .is_stopping = atomic_load(needs->is_stopping),
        };
        arrival.high = &dispatcher->high[arrival.origin];
        bytes += admit_entries(needs, &dispatcher->reserve, list, &arrival);
        entries += list->count;
    }
    counter_add(&needs->counters->fetched, entries);
    if (entries) dispatcher->entry_bytes = bytes / entries;
}

/* A reply: the next request goes out before what came is admitted, so that Redis has work while we have. */
static int take_reply(struct dispatcher *dispatcher, struct conn *conn, const struct reply *reply, quern_error *err)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    struct plan made;
    struct read read = take_read(dispatcher);
    if (reply->type == REPLY_ERROR) return conn_refused(reply, "XREADGROUP", err);
    counter_set(&needs->counters->last_ns, clock_now_ns());
    counter_set(&needs->counters->owed_ns, dispatcher->read_count ? dispatcher->reads[0].sent_ns : 0);
    link_works(&dispatcher->link);
    see_idleness(dispatcher);
    uint32_t fullest;
    dispatcher->admitting = count_entries(reply, &fullest);
    dispatcher->was_short = fullest < read.count;
    bool is_empty = read.is_blocking && read.is_last_look && reply->type == REPLY_NIL && !atomic_load(needs->alone_waits);
    if (needs->until_empty && may_read(needs) && is_empty) needs->stop(needs->pool);
    if (dispatcher->was_short) forgive(dispatcher);
    int code = !dispatcher->was_short && read.count == needs->batch_size ? send_reads(dispatcher, conn, &made, err) : QUERN_OK;
    admit_reply(dispatcher, &read, reply);
    dispatcher->admitting = 0;
    see_owed(dispatcher);
    conn_drop_reply(conn);
    reserve_shrink(dispatcher);
    return code;
}

/* ── the thread ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static void lose_connection(struct dispatcher *dispatcher, const quern_error *why)
{
    link_fail(&dispatcher->link, why);
    dispatcher->adopted_on = NULL;
    dispatcher->read_count = 0;
    atomic_store(dispatcher->needs->blocked_id, 0);
    reserve_shrink(dispatcher);
}

/* A second read may be in flight behind the one that failed: its answer comes first. What it brings is adopted later. */
static bool is_quiet(struct dispatcher *dispatcher, struct conn *conn)
{
    const struct reply *reply;
    for (; dispatcher->read_count; dispatcher->read_count--)
        if (conn_reply(conn, conn_answer_deadline(conn), &reply, NULL)) return false;
    atomic_store(dispatcher->needs->blocked_id, 0);
    return true;
}

/* Redis is there, stream or group are not: no outage, but paced like one, so that it cannot become a hot loop. */
static bool has_healed(struct dispatcher *dispatcher, struct conn *conn, quern_error *why)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    while (clock_now_ns() < dispatcher->next_heal_ns && !atomic_load(needs->is_stopping))
        waker_wait(needs->waker, -1, dispatcher->next_heal_ns);
    atomic_store(needs->wants_heal, false);
    if (!is_quiet(dispatcher, conn) || heal(needs, dispatcher->high, conn, why)) return false;
    see_owed(dispatcher);
    dispatcher->adopted_on = NULL;
    reserve_shrink(dispatcher);
    dispatcher->next_heal_ns = clock_now_ns() + backoff_next_ms(&dispatcher->link.backoff) * NS_PER_MS;
    return true;
}

static void fail(struct dispatcher *dispatcher, struct conn *conn, quern_error *why)
{
    if (why->code != QUERN_E_GONE || !has_healed(dispatcher, conn, why)) lose_connection(dispatcher, why);
}

/* ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* How long to wait at most, because of jobs that wait too: for a worker that sleeps although (the backlog was not thought worth a
 * wake), or until they may have become stale. */
static int64_t patience_ns(const struct dispatcher_needs *needs, bool *is_nudging)
{
    bool is_waiting = ready_length(needs->ready), is_asleep = ready_sleepers(needs->ready);
    *is_nudging = is_waiting && is_asleep;
    return *is_nudging ? NUDGE_MS * NS_PER_MS : is_waiting ? GIVEBACK_LOOK_MS * NS_PER_MS : NS_PER_S;
}

/* Nothing to read now, or no slots: sleeps until a worker, the settler, a resume or a stop wakes it. */
static void wait_for_demand(struct dispatcher *dispatcher, const struct plan *made)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    ready_arm_refill(needs->ready, made->refill_at);
    atomic_store(needs->wants_slots, true);
    /* Armed first, then looked once more: what happened in between has found nobody to wake. */
    struct plan again = make_plan(dispatcher);
    bool is_nudging;
    int64_t wait_ns = patience_ns(needs, &is_nudging);
    bool is_idle = !again.count || ready_is_paused(needs->ready);
    if (is_idle && !atomic_load(needs->is_stopping)) waker_wait(needs->waker, -1, clock_now_ns() + wait_ns);
    if (is_nudging) ready_wake(needs->ready);
    ready_disarm_refill(needs->ready);
    atomic_store(needs->wants_slots, false);
}

/* A reply is on its way. */
static int wait_for_reply(struct dispatcher *dispatcher, struct conn *conn, quern_error *err)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    const struct reply *reply;
    int code = conn_poll_reply(conn, &reply, err);
    if (code == QUERN_OK) return take_reply(dispatcher, conn, reply, err);
    if (code != QUERN_E_BUSY) return code;
    const struct read *oldest = &dispatcher->reads[0];
    int64_t limit_ns = clock_deadline_ns(oldest->sent_ns, oldest->is_blocking ? needs->block_ms : 0) +
                       dispatcher->link.options.conn.answer_ms * NS_PER_MS;
    bool is_nudging;
    int64_t look_ns = clock_now_ns() + patience_ns(needs, &is_nudging);
    waker_wait(needs->waker, conn_fd(conn), ready_length(needs->ready) && look_ns < limit_ns ? look_ns : limit_ns);
    if (is_nudging) ready_wake(needs->ready);
    if (clock_now_ns() < limit_ns) return QUERN_OK;
    return err_set(err, QUERN_E_TIMEOUT, "no answer to XREADGROUP in time");
}

static int adopt(struct dispatcher *dispatcher, struct conn *conn, quern_error *err)
{
    bool has_more;
    if (dispatcher->adopted_on == conn) return QUERN_OK;
    /* What did not come in one answer, perhaps because together it is more than an answer may have, comes one by one. */
    uint32_t at_once = dispatcher->has_failed_to_adopt ? 1 : ADOPT_PAGE;
    int code = adopt_all(dispatcher->needs, &dispatcher->reserve, dispatcher->high, conn, at_once, &has_more, err);
    dispatcher->has_failed_to_adopt = code != QUERN_OK;
    conn_drop_reply(conn);
    reserve_shrink(dispatcher);
    if (!code && !has_more) dispatcher->adopted_on = conn;
    if (!code && has_more) waker_wait(dispatcher->needs->waker, -1, clock_now_ns() + NUDGE_MS * NS_PER_MS);
    return code;
}

static void dispatcher_step(struct dispatcher *dispatcher)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    quern_error why;
    struct plan made = {0};
    struct conn *conn = link_use(&dispatcher->link, clock_now_ns());
    if (!conn) {
        waker_wait(needs->waker, -1, dispatcher->link.next_try_ns);
        return;
    }
    giveback_stale(needs, &dispatcher->paused_ns);
    int code = atomic_load(needs->wants_heal) ? err_set(&why, QUERN_E_GONE, "stream or group are gone") : QUERN_OK;
    if (!code) code = adopt(dispatcher, conn, &why);
    if (!code && dispatcher->adopted_on != conn) return;
    if (!code) code = send_reads(dispatcher, conn, &made, &why);
    if (!code && dispatcher->read_count)
        code = wait_for_reply(dispatcher, conn, &why);
    else if (!code) {
        link_rest(&dispatcher->link);
        counter_set(&needs->counters->owed_ns, 0);
        wait_for_demand(dispatcher, &made);
    }
    if (code) fail(dispatcher, conn, &why);
}

/* The last reads are answered (the reaper unblocks them), or the connection goes: then farewell finds what they brought. */
static void finish_reads(struct dispatcher *dispatcher)
{
    quern_error why;
    while (dispatcher->read_count && dispatcher->link.conn)
        if (wait_for_reply(dispatcher, dispatcher->link.conn, &why)) lose_connection(dispatcher, &why);
}

/* Only jobs that run alone are taken, by the reaper; but what is gone is made again here. */
static void stand_by(struct dispatcher *dispatcher)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    quern_error why;
    if (!atomic_load(needs->wants_heal)) {
        waker_wait(needs->waker, -1, CLOCK_NEVER);
        return;
    }
    struct conn *conn = link_use(&dispatcher->link, clock_now_ns());
    if (!conn)
        waker_wait(needs->waker, -1, dispatcher->link.next_try_ns);
    else if (!has_healed(dispatcher, conn, &why))
        lose_connection(dispatcher, &why);
}

void dispatcher_run(void *given)
{
    struct dispatcher_start *start = given;
    struct dispatcher dispatcher = {.needs = start->needs, .was_short = true};
    ONLY(ROLE_DISPATCHER);
    link_open(&dispatcher.link, &start->needs->link);
    link_adopt(&dispatcher.link, start->conn);
    dispatcher.reserve.jobs = malloc(slots_count(start->needs->slots) * sizeof *dispatcher.reserve.jobs);
    dispatcher.high = calloc(LANES * start->needs->source_count, sizeof *dispatcher.high);
    while (start->needs->reads_nothing && dispatcher.high && !atomic_load(start->needs->is_stopping)) stand_by(&dispatcher);
    while (dispatcher.reserve.jobs && dispatcher.high && !atomic_load(start->needs->is_stopping)) dispatcher_step(&dispatcher);
    finish_reads(&dispatcher);
    start->needs->close_caps(start->needs->caps);
    giveback_all(start->needs);
    reserve_shrink(&dispatcher);
    link_close(&dispatcher.link);
    free(dispatcher.reserve.jobs);
    free(dispatcher.high);
    ready_close(start->needs->ready);
}
