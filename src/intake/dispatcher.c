/* SPDX-License-Identifier: MIT */
#include "intake/dispatcher.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "intake/admit.h"
#include "intake/adopt.h"
#include "intake/demand.h"
#include "intake/giveback.h"
#include "intake/heal.h"
#include "intake/order.h"
#include "intake/tap.h"
#include "queue/keys.h"
#include "queue/orders.h"

enum { NUDGE_MS = 5, LOOK_MS = 5 /* how soon other queues are looked at again while one is read */ };

struct dispatcher {
    const struct dispatcher_needs *needs;
    struct tap *taps;
    uint32_t tap_count;
    uint32_t tap_of[QUEUES_MAX]; /* per queue */
    struct order order;
    struct demand demand;
    struct high *high;   /* per origin */
    uint64_t admissions; /* so many entries have come */
    int64_t stirred_ns;
    int64_t paused_ns;   /* when it was last seen that the pool was paused */
    bool lacks_slots;    /* for a read that was wanted */
    bool is_held;        /* jobs are wanted, and what could be read is paused by an operator */
};

static struct in_flight in_flight(const struct dispatcher *dispatcher)
{
    struct in_flight sum = {0, 0};
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) {
        const struct tap *tap = &dispatcher->taps[i];
        for (uint32_t r = 0; r < tap->read_count; r++) {
            sum.slots += read_slots(&tap->reads[r]);
            sum.jobs += tap->reads[r].is_blocking ? 0 : tap->reads[r].count;
        }
    }
    return sum;
}

/* Since when Redis owes us an answer, for who asks whether we are well. */
static void note_owed(const struct dispatcher *dispatcher)
{
    int64_t oldest_ns = 0;
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) {
        const struct tap *tap = &dispatcher->taps[i];
        if (tap->read_count && (!oldest_ns || tap->reads[0].sent_ns < oldest_ns)) oldest_ns = tap->reads[0].sent_ns;
    }
    counter_set(&dispatcher->needs->counters->owed_ns, oldest_ns);
}

/* Each queue that nobody waits for by a blocking read may have something by now; not the one that was just looked at. */
enum { NO_QUEUE = UINT32_MAX };
static void stir(struct dispatcher *dispatcher, uint32_t looked_at)
{
    dispatcher->stirred_ns = clock_now_ns();
    for (uint32_t queue = 0; queue < dispatcher->order.count; queue++)
        if (queue != looked_at && !tap_is_blocked(&dispatcher->taps[dispatcher->tap_of[queue]]))
            order_stir(&dispatcher->order, queue);
}

static void stir_tap(struct dispatcher *dispatcher, const struct tap *tap)
{
    for (uint32_t i = 0; i < tap->queue_count; i++) order_stir(&dispatcher->order, tap->queues[i]);
}

/* ── after a heal: what runs is to get its lease back before it ends ─────────────────────────────────────────────── */

static bool is_owed(const struct dispatcher *dispatcher)
{
    for (uint32_t i = 0; i < LANES * dispatcher->needs->source_count; i++)
        if (entry_id_compare(dispatcher->high[i].seen, dispatcher->high[i].owed) < 0) return true;
    return false;
}

/* There is no more of a queue: what was owed is not in its stream, or is another's. */
static void forgive(struct dispatcher *dispatcher, uint32_t queue)
{
    for (uint32_t lane = 0; lane < LANES; lane++) dispatcher->high[LANES * queue + lane].owed = (struct entry_id){0, 0};
}

/* What comes to its end now need not wait for a new lease. */
static void see_owed(const struct dispatcher *dispatcher)
{
    _Atomic int64_t *until_ns = dispatcher->needs->owed_until_ns;
    if (atomic_load_explicit(until_ns, memory_order_relaxed) && !is_owed(dispatcher)) atomic_store(until_ns, 0);
}

/* Whether or not there is a thread for what comes with it. */
static struct plan make_plan(struct dispatcher *dispatcher)
{
    struct in_flight sum = in_flight(dispatcher);
    struct plan made = demand_plan(&dispatcher->demand, sum);
    if (!made.count && !sum.jobs && is_owed(dispatcher)) made.count = demand_room(&dispatcher->demand, sum);
    return made;
}

/* ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Nothing is read for a pool that is paused or stops. */
static bool may_read(const struct dispatcher_needs *needs)
{
    return !ready_is_paused(needs->ready) && !atomic_load(needs->is_stopping);
}

static bool wants_heal(const struct dispatcher *dispatcher, const struct tap *tap)
{
    return tap->is_ill || atomic_load(dispatcher->needs->heals) != tap->healed;
}

/* Could another read go out on it? */
static bool is_open(const struct dispatcher *dispatcher, const struct tap *tap)
{
    return tap->link.conn && !tap->trouble.code && tap->adopted_on == tap->link.conn && !wants_heal(dispatcher, tap) &&
           !tap_is_blocked(tap) && tap->read_count < READS;
}

static bool is_any_open(const struct dispatcher *dispatcher)
{
    for (uint32_t i = 0; i < dispatcher->tap_count; i++)
        if (is_open(dispatcher, &dispatcher->taps[i])) return true;
    return false;
}

static uint32_t reads_of(const struct dispatcher *dispatcher, uint32_t queue)
{
    const struct tap *tap = &dispatcher->taps[dispatcher->tap_of[queue]];
    uint32_t reads = 0;
    if (!is_open(dispatcher, tap) || orders_hold(dispatcher->needs->orders, queue)) return ORDER_BARRED;
    for (uint32_t i = 0; i < tap->read_count; i++) reads += read_is_of(&tap->reads[i], queue);
    return reads;
}

/* The queues of a tap that can be waited for, a bit for each; 0: none, or some of them may have something. */
static uint32_t dry_queues(const struct dispatcher *dispatcher, const struct tap *tap)
{
    uint32_t queues = 0;
    for (uint32_t i = 0; i < tap->queue_count; i++) {
        uint32_t queue = tap->queues[i];
        if (orders_hold(dispatcher->needs->orders, queue)) continue;
        if (dispatcher->order.queues[queue].state != ORDER_DRY) return 0;
        queues |= UINT32_C(1) << queue;
    }
    return queues;
}

static uint32_t first_of(const struct read *read)
{
    return (uint32_t)__builtin_ctz(read->queues);
}

/* The next read of one queue; once none has anything left, a blocking one of each tap. NULL: there is none to send. */
static struct tap *choose(struct dispatcher *dispatcher, uint32_t count, struct read *read)
{
    uint32_t reads[QUEUES_MAX];
    for (uint32_t queue = 0; queue < dispatcher->order.count; queue++) reads[queue] = reads_of(dispatcher, queue);
    int next = order_next(&dispatcher->order, reads);
    if (next >= 0) *read = (struct read){.queues = UINT32_C(1) << next, .count = count};
    if (next >= 0) return &dispatcher->taps[dispatcher->tap_of[next]];
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) {
        struct tap *tap = &dispatcher->taps[i];
        uint32_t queues = is_open(dispatcher, tap) && !tap->read_count ? dry_queues(dispatcher, tap) : 0;
        /* Where several wait for the same threads each asks for one: the first to come tells the others to look. */
        *read = (struct read){.queues = queues, .count = dispatcher->order.count > 1 ? 1 : count, .is_blocking = true};
        if (queues) return tap;
    }
    return NULL;
}

static void send_reads(struct dispatcher *dispatcher, struct plan *made)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    struct read read;
    dispatcher->lacks_slots = dispatcher->is_held = false;
    while (may_read(needs)) {
        *made = make_plan(dispatcher);
        struct tap *tap = made->count ? choose(dispatcher, made->count, &read) : NULL;
        dispatcher->is_held = made->count && !tap;
        if (!tap) return;
        dispatcher->lacks_slots = !demand_reserve(&dispatcher->demand, in_flight(dispatcher), read_slots(&read));
        if (dispatcher->lacks_slots) return;
        read.is_last_look = demand_holds_nothing(&dispatcher->demand) && !slots_ghost_count(needs->slots);
        read.admissions = dispatcher->admissions;
        read.sent_ns = clock_now_ns();
        if (!read.is_blocking) order_asks(&dispatcher->order, first_of(&read), read.count);
        tap_send(tap, needs, &read);
        note_owed(dispatcher);
    }
}

/* ── taking ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* How many entries a reply holds, and how many of them belong to its fullest stream. */
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

/* until_empty: nothing is left once each tap was looked at in vain while nothing was held, and nothing has come since. */
static void see_emptiness(struct dispatcher *dispatcher, struct tap *tap, const struct read *read, uint32_t came)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    bool is_empty = true;
    for (uint32_t i = 0; came && i < dispatcher->tap_count; i++) dispatcher->taps[i].is_empty = false;
    tap->is_empty = read->is_blocking && read->is_last_look && !came && read->admissions == dispatcher->admissions;
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) is_empty = is_empty && dispatcher->taps[i].is_empty;
    if (needs->until_empty && is_empty && may_read(needs) && !atomic_load(needs->alone_waits)) needs->stop(needs->pool);
}

/* What the answer tells of the queues that were asked. The others are looked at again before long: an urgent job may be there by now. */
static bool see_queues(struct dispatcher *dispatcher, const struct read *read, uint32_t came, uint32_t fullest)
{
    bool is_full = fullest >= read->count, is_of_one = !(read->queues & (read->queues - 1));
    for (uint32_t queue = 0; !is_full && queue < dispatcher->order.count; queue++)
        if (read_is_of(read, queue)) forgive(dispatcher, queue);
    if (is_of_one) order_gets(&dispatcher->order, first_of(read), read->is_blocking ? 0 : read->count, came, is_full);
    if (came && !is_of_one)
        stir(dispatcher, NO_QUEUE);
    else if (came && clock_now_ns() - dispatcher->stirred_ns >= LOOK_MS * NS_PER_MS)
        stir(dispatcher, first_of(read));
    return is_full;
}

static void admit_reply(struct dispatcher *dispatcher, const struct read *read, const struct reply *reply)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    uint32_t entries = 0;
    int64_t bytes = 0;
    for (uint32_t i = 0; reply->type == REPLY_ARRAY && i < reply->count; i++) {
        const struct reply *part = reply_item(reply, i), *list = reply_item(part, 1);
        struct arrival arrival = {
            .origin = read_origin(read, needs, reply_bytes(reply_item(part, 0))),
            .granted_ns = read->sent_ns,
            .is_stopping = atomic_load(needs->is_stopping),
        };
        arrival.high = &dispatcher->high[arrival.origin];
        bytes += admit_entries(needs, &dispatcher->demand.reserve, list, &arrival);
        counter_add(&needs->fetched[arrival.origin / LANES], list->count);
        entries += list->count;
    }
    if (entries) dispatcher->demand.entry_bytes = bytes / entries;
}

/* A reply: the next request goes out before what came is admitted, so that Redis has work while we have. */
static void take_reply(struct dispatcher *dispatcher, struct tap *tap, const struct reply *reply)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    struct plan made;
    struct read read = tap_answered(tap, needs);
    note_owed(dispatcher);
    if (reply->type == REPLY_ERROR) {
        tap->trouble.code = conn_refused(reply, "XREADGROUP", &tap->trouble);
        return;
    }
    counter_set(&needs->counters->last_ns, clock_now_ns());
    link_works(&tap->link);
    demand_see_idleness(&dispatcher->demand);
    uint32_t fullest, came = count_entries(reply, &fullest);
    dispatcher->admissions += came;
    dispatcher->demand.admitting = came;
    see_emptiness(dispatcher, tap, &read, came);
    bool is_full = see_queues(dispatcher, &read, came, fullest);
    if (is_full && read.count == needs->batch_size) send_reads(dispatcher, &made);
    admit_reply(dispatcher, &read, reply);
    dispatcher->demand.admitting = 0;
    see_owed(dispatcher);
    conn_drop_reply(tap->link.conn);
    demand_release(&dispatcher->demand, in_flight(dispatcher));
}

static int64_t answer_deadline_ns(const struct dispatcher_needs *needs, const struct tap *tap)
{
    const struct read *oldest = &tap->reads[0];
    return clock_deadline_ns(oldest->sent_ns, oldest->is_blocking ? needs->block_ms : 0) +
           tap->link.options.conn.answer_ms * NS_PER_MS;
}

/* Takes what has come on a tap, without waiting; true: it was something. */
static bool take_from(struct dispatcher *dispatcher, struct tap *tap)
{
    const struct reply *reply;
    if (!tap->read_count || tap->trouble.code) return false;
    int code = conn_poll_reply(tap->link.conn, &reply, &tap->trouble);
    if (code == QUERN_OK) tap->trouble.code = QUERN_OK;
    if (code == QUERN_OK) take_reply(dispatcher, tap, reply);
    if (code != QUERN_E_BUSY) return true;
    tap->trouble.code = QUERN_OK;
    if (clock_now_ns() >= answer_deadline_ns(dispatcher->needs, tap))
        err_set(&tap->trouble, QUERN_E_TIMEOUT, "no answer to XREADGROUP in time");
    return tap->trouble.code != QUERN_OK;
}

static bool take_all(struct dispatcher *dispatcher)
{
    bool has_taken = false;
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) has_taken |= take_from(dispatcher, &dispatcher->taps[i]);
    return has_taken;
}

/* ── looking after the connections ───────────────────────────────────────────────────────────────────────────────── */

static void lose(struct dispatcher *dispatcher, struct tap *tap, const quern_error *why)
{
    tap_lose(tap, dispatcher->needs, why);
    note_owed(dispatcher);
    demand_release(&dispatcher->demand, in_flight(dispatcher));
}

/* Redis is there, stream or group are not: no outage, but paced like one, so that it cannot become a hot loop. Once what is in flight is
 * answered. */
static void heal_tap(struct dispatcher *dispatcher, struct tap *tap)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    quern_error why;
    if (tap->read_count || clock_now_ns() < tap->next_heal_ns) return;
    tap->healed = atomic_load(needs->heals);
    tap->is_ill = false;
    if (heal(needs, dispatcher->high, tap->link.conn, tap->queues, tap->queue_count, &why)) {
        lose(dispatcher, tap, &why);
        return;
    }
    see_owed(dispatcher);
    stir_tap(dispatcher, tap);
    tap->adopted_on = NULL;
    tap->next_heal_ns = clock_now_ns() + backoff_next_ms(&tap->link.backoff) * NS_PER_MS;
}

static void adopt(struct dispatcher *dispatcher, struct tap *tap)
{
    bool has_more;
    quern_error why;
    if (tap->adopted_on == tap->link.conn || clock_now_ns() < tap->next_adopt_ns) return;
    /* What did not come in one answer, perhaps because together it is more than an answer may have, comes one by one. */
    uint32_t at_once = tap->has_failed_to_adopt ? 1 : ADOPT_PAGE;
    int code = adopt_all(dispatcher->needs, &dispatcher->demand.reserve, dispatcher->high, tap->link.conn, tap->queues, tap->queue_count,
                         at_once, &has_more, &why);
    tap->has_failed_to_adopt = code != QUERN_OK;
    conn_drop_reply(tap->link.conn);
    demand_release(&dispatcher->demand, in_flight(dispatcher));
    if (code == QUERN_E_GONE)
        tap->is_ill = true;
    else if (code)
        lose(dispatcher, tap, &why);
    else if (has_more)
        tap->next_adopt_ns = clock_now_ns() + NUDGE_MS * NS_PER_MS;
    else
        tap->adopted_on = tap->link.conn;
}

/* Its connection is there and works, and what is ours has been looked for, as far as that can be. */
static void attend(struct dispatcher *dispatcher, struct tap *tap)
{
    if (tap->trouble.code == QUERN_E_GONE)
        tap->is_ill = true;
    else if (tap->trouble.code)
        lose(dispatcher, tap, &tap->trouble);
    tap->trouble.code = QUERN_OK;
    if (!link_use(&tap->link, clock_now_ns())) return;
    if (wants_heal(dispatcher, tap)) heal_tap(dispatcher, tap);
    if (tap->link.conn && !wants_heal(dispatcher, tap)) adopt(dispatcher, tap);
}

/* ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* When a tap wants to be looked after, if nothing comes. */
static int64_t tap_due_ns(const struct dispatcher *dispatcher, const struct tap *tap)
{
    if (tap->trouble.code) return 0;
    if (!tap->link.conn) return tap->link.next_try_ns;
    if (tap->read_count) return answer_deadline_ns(dispatcher->needs, tap);
    if (wants_heal(dispatcher, tap)) return tap->next_heal_ns;
    return tap->adopted_on == tap->link.conn ? CLOCK_NEVER : tap->next_adopt_ns;
}

/* How long to wait at most, because of jobs that wait too: for a worker that sleeps although (the backlog was not thought worth a
 * wake), or until they may have become stale. */
static int64_t patience_ns(const struct dispatcher *dispatcher, bool has_demand, bool *is_nudging)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    bool is_waiting = ready_length(needs->ready), is_asleep = ready_sleepers(needs->ready);
    *is_nudging = is_waiting && is_asleep;
    if (*is_nudging || dispatcher->lacks_slots) return NUDGE_MS * NS_PER_MS;
    return is_waiting ? GIVEBACK_LOOK_MS * NS_PER_MS : has_demand ? CLOCK_NEVER : NS_PER_S;
}

/* For a reply on any tap, or to be woken. */
static void wait_until(struct dispatcher *dispatcher, int64_t deadline_ns)
{
    int fds[QUEUES_MAX];
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) {
        const struct tap *tap = &dispatcher->taps[i];
        int64_t due_ns = tap_due_ns(dispatcher, tap);
        fds[i] = tap->read_count ? conn_fd(tap->link.conn) : -1;
        if (due_ns < deadline_ns) deadline_ns = due_ns;
    }
    waker_wait_any(dispatcher->needs->waker, fds, dispatcher->tap_count, deadline_ns);
}

/* Nothing to read now, or no slots, on what could be read on: sleeps until a worker, the settler, a resume or a stop wakes it. */
static void wait_for_demand(struct dispatcher *dispatcher, const struct plan *made)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    if (dispatcher->order.count > 1) stir(dispatcher, NO_QUEUE); /* when somebody has time again, this was some time ago */
    ready_arm_refill(needs->ready, made->refill_at);
    atomic_store(needs->wants_slots, true);
    /* Armed first, then looked once more: what happened in between has found nobody to wake. */
    struct plan again = make_plan(dispatcher);
    for (uint32_t i = 0; i < dispatcher->tap_count; i++)
        if (is_open(dispatcher, &dispatcher->taps[i])) link_rest(&dispatcher->taps[i].link);
    bool is_nudging, is_idle = !again.count || dispatcher->lacks_slots || dispatcher->is_held || ready_is_paused(needs->ready);
    int64_t wait_ns = patience_ns(dispatcher, false, &is_nudging);
    if (is_idle && !atomic_load(needs->is_stopping)) wait_until(dispatcher, clock_now_ns() + wait_ns);
    if (is_nudging) ready_wake(needs->ready);
    ready_disarm_refill(needs->ready);
    atomic_store(needs->wants_slots, false);
}

/* Replies are on their way, or there is no connection to ask on. */
static void wait_for_reply(struct dispatcher *dispatcher)
{
    bool is_nudging;
    int64_t wait_ns = patience_ns(dispatcher, true, &is_nudging);
    wait_until(dispatcher, wait_ns == CLOCK_NEVER ? CLOCK_NEVER : clock_now_ns() + wait_ns);
    if (is_nudging) ready_wake(dispatcher->needs->ready);
}

/* ── the thread ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static void dispatcher_step(struct dispatcher *dispatcher)
{
    struct plan made = {0};
    giveback_stale(dispatcher->needs, &dispatcher->paused_ns);
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) attend(dispatcher, &dispatcher->taps[i]);
    send_reads(dispatcher, &made);
    if (take_all(dispatcher)) return;
    bool has_reads = in_flight(dispatcher).jobs, is_resting = !has_reads && is_any_open(dispatcher);
    if (is_resting)
        wait_for_demand(dispatcher, &made);
    else
        wait_for_reply(dispatcher);
}

/* The last reads are answered (the reaper unblocks them), or the connection goes: then farewell finds what they brought. */
static void finish_reads(struct dispatcher *dispatcher)
{
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) {
        struct tap *tap = &dispatcher->taps[i];
        while (tap->read_count && tap->link.conn) {
            if (!take_from(dispatcher, tap)) wait_for_reply(dispatcher);
            if (tap->trouble.code) lose(dispatcher, tap, &tap->trouble);
            tap->trouble.code = QUERN_OK;
        }
    }
}

/* Only jobs that run alone are taken, by the reaper; but what is gone is made again here. */
static void stand_by(struct dispatcher *dispatcher)
{
    int64_t next_ns = CLOCK_NEVER;
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) {
        struct tap *tap = &dispatcher->taps[i];
        if (wants_heal(dispatcher, tap) && link_use(&tap->link, clock_now_ns())) heal_tap(dispatcher, tap);
        int64_t due_ns = !wants_heal(dispatcher, tap) ? CLOCK_NEVER : tap->link.conn ? tap->next_heal_ns : tap->link.next_try_ns;
        if (due_ns < next_ns) next_ns = due_ns;
    }
    waker_wait(dispatcher->needs->waker, -1, next_ns);
}

/* One per group, in the order of the queues. The first one has a connection already. */
static bool open_taps(struct dispatcher *dispatcher, struct conn *conn)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    uint32_t weights[QUEUES_MAX];
    dispatcher->taps = calloc(needs->source_count, sizeof *dispatcher->taps);
    for (uint32_t queue = 0; dispatcher->taps && queue < needs->source_count; queue++) {
        uint32_t at = 0;
        while (at < dispatcher->tap_count &&
               strcmp(needs->sources[dispatcher->taps[at].queues[0]].group, needs->sources[queue].group) != 0)
            at++;
        struct tap *tap = &dispatcher->taps[at];
        if (at == dispatcher->tap_count) {
            tap->number = dispatcher->tap_count++;
            link_open(&tap->link, &needs->link);
        }
        tap->queues[tap->queue_count++] = queue;
        dispatcher->tap_of[queue] = at;
        weights[queue] = needs->sources[queue].weight;
    }
    if (dispatcher->taps) link_adopt(&dispatcher->taps[0].link, conn);
    order_open(&dispatcher->order, weights, needs->source_count);
    return dispatcher->taps != NULL;
}

static void close_taps(struct dispatcher *dispatcher)
{
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) link_close(&dispatcher->taps[i].link);
    free(dispatcher->taps);
}

void dispatcher_run(void *given)
{
    struct dispatcher_start *start = given;
    const struct dispatcher_needs *needs = start->needs;
    struct dispatcher dispatcher = {.needs = needs};
    ONLY(ROLE_DISPATCHER);
    bool has_taps = open_taps(&dispatcher, start->conn), has_slots = demand_open(&dispatcher.demand, needs);
    dispatcher.high = calloc(LANES * needs->source_count, sizeof *dispatcher.high);
    if (!has_taps) conn_close(start->conn);
    bool is_whole = has_taps && has_slots && dispatcher.high;
    if (is_whole && needs->source_count > 1) stir(&dispatcher, NO_QUEUE); /* what is there already comes in order */
    while (is_whole && needs->reads_nothing && !atomic_load(needs->is_stopping)) stand_by(&dispatcher);
    while (is_whole && !atomic_load(needs->is_stopping)) dispatcher_step(&dispatcher);
    finish_reads(&dispatcher);
    needs->close_caps(needs->caps);
    giveback_all(needs);
    keys_close(needs->keys);
    giveback_all(needs); /* what has come to be at large meanwhile */
    demand_close(&dispatcher.demand);
    close_taps(&dispatcher);
    free(dispatcher.high);
    ready_close(needs->ready);
}
