/* SPDX-License-Identifier: MIT */
#include "intake/dispatcher.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "config/config.h"
#include "intake/adopt.h"
#include "intake/giveback.h"
#include "intake/heal.h"
#include "intake/turn.h"
#include "queue/keys.h"

enum { NUDGE_MS = 5 };
#define NOBODY UINT64_MAX

/* ── looking after the connections ───────────────────────────────────────────────────────────────────────────────── */

static void lose(struct dispatcher *dispatcher, struct tap *tap, const quern_error *why)
{
    tap_lose(tap, dispatcher->needs, why);
    turn_note_owed(dispatcher);
    demand_release(&dispatcher->demand, turn_in_flight(dispatcher));
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
    turn_see_owed(dispatcher);
    turn_stir_tap(dispatcher, tap);
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
    int code = adopt_all(dispatcher->needs, &dispatcher->demand.reserve, dispatcher->high, tap->link.conn, tap->queues,
                         tap->queue_count, at_once, &has_more, &why);
    tap->has_failed_to_adopt = code != QUERN_OK;
    conn_drop_reply(tap->link.conn);
    demand_release(&dispatcher->demand, turn_in_flight(dispatcher));
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
    /* What follows may take seconds, in which nobody would see that a worker does not come who was thought to. */
    if (!tap->link.conn || tap->adopted_on != tap->link.conn || turn_wants_heal(dispatcher, tap))
        ready_wake(dispatcher->needs->ready);
    if (!link_use(&tap->link, clock_now_ns())) return;
    if (turn_wants_heal(dispatcher, tap)) heal_tap(dispatcher, tap);
    if (tap->link.conn && !turn_wants_heal(dispatcher, tap)) adopt(dispatcher, tap);
}

/* ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* When a tap wants to be looked after, if nothing comes. */
static int64_t tap_due_ns(const struct dispatcher *dispatcher, const struct tap *tap)
{
    if (tap->trouble.code) return 0;
    if (!tap->link.conn) return tap->link.next_try_ns;
    if (tap->read_count) return turn_answer_deadline_ns(dispatcher->needs, tap);
    if (turn_wants_heal(dispatcher, tap)) return tap->next_heal_ns;
    return tap->adopted_on == tap->link.conn ? CLOCK_NEVER : tap->next_adopt_ns;
}

/* A worker sleeps although a job waits: the backlog was not thought worth a wake, or another worker was thought to be on its way. When
 * that is too long; CLOCK_NEVER: it is not so. */
static int64_t late_ns(struct dispatcher *dispatcher, int64_t now_ns)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    uint32_t index;
    bool is_so = ready_sleepers(needs->ready) && ready_peek(needs->ready, &index);
    uint64_t oldest = is_so ? (uint64_t)slot_generation(slots_at(needs->slots, index)) << 32 | index : NOBODY;
    if (oldest != dispatcher->oldest) dispatcher->oldest_ns = now_ns;
    dispatcher->oldest = oldest;
    return is_so ? dispatcher->oldest_ns + NUDGE_MS * NS_PER_MS : CLOCK_NEVER;
}

/* How long to wait at most, because of jobs that wait too: until they have waited too long beside a worker that sleeps, or until they
 * may have become stale. */
static int64_t patience_ns(struct dispatcher *dispatcher, bool has_demand)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    int64_t now_ns = clock_now_ns(), at_ns = late_ns(dispatcher, now_ns);
    if (at_ns != CLOCK_NEVER && at_ns > now_ns) return at_ns - now_ns;
    if (at_ns != CLOCK_NEVER) ready_nudge(needs->ready, now_ns);
    if (at_ns != CLOCK_NEVER || dispatcher->lacks_slots) return NUDGE_MS * NS_PER_MS;
    return ready_length(needs->ready) ? GIVEBACK_LOOK_MS * NS_PER_MS : has_demand ? CLOCK_NEVER : NS_PER_S;
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
    if (dispatcher->order.count > 1) turn_stir(dispatcher, NO_QUEUE); /* when somebody has time again, this was some time ago */
    ready_arm_refill(needs->ready, made->refill_at);
    atomic_store(needs->wants_slots, true);
    atomic_thread_fence(memory_order_seq_cst); /* said before it looks for free slots; pairs with the settler's wake_others() */
    /* Armed first, then looked once more: what happened in between has found nobody to wake. */
    struct plan again = turn_plan(dispatcher);
    for (uint32_t i = 0; i < dispatcher->tap_count; i++)
        if (turn_is_open(dispatcher, &dispatcher->taps[i])) link_rest(&dispatcher->taps[i].link);
    bool is_idle = !again.count || dispatcher->lacks_slots || dispatcher->is_held || ready_is_paused(needs->ready);
    /* Threads have nothing to do for want of room, and what has ended takes some: it is settled now. */
    if (is_idle && ready_sleepers(needs->ready) && !ready_length(needs->ready) && done_unfreed(needs->done))
        done_wake(needs->done);
    int64_t wait_ns = patience_ns(dispatcher, false);
    if (is_idle && !atomic_load(needs->is_stopping)) wait_until(dispatcher, clock_now_ns() + wait_ns);
    ready_disarm_refill(needs->ready);
    atomic_store(needs->wants_slots, false);
}

/* Replies are on their way, or there is no connection to ask on. */
static void wait_for_reply(struct dispatcher *dispatcher)
{
    int64_t wait_ns = patience_ns(dispatcher, true);
    wait_until(dispatcher, wait_ns == CLOCK_NEVER ? CLOCK_NEVER : clock_now_ns() + wait_ns);
}

/* ── the thread ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static void dispatcher_step(struct dispatcher *dispatcher)
{
    struct plan made = {0};
    giveback_stale(dispatcher->needs, &dispatcher->paused_ns);
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) attend(dispatcher, &dispatcher->taps[i]);
    turn_send(dispatcher, &made);
    if (turn_take(dispatcher)) return;
    bool has_reads = turn_in_flight(dispatcher).jobs, is_resting = !has_reads && turn_is_any_open(dispatcher);
    if (is_resting)
        wait_for_demand(dispatcher, &made);
    else
        wait_for_reply(dispatcher);
}

/* What went wrong on any connection ends its reads. Returns whether there are others. */
static bool lose_troubled(struct dispatcher *dispatcher)
{
    bool has_reads = false;
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) {
        struct tap *tap = &dispatcher->taps[i];
        if (tap->trouble.code) lose(dispatcher, tap, &tap->trouble);
        tap->trouble.code = QUERN_OK;
        has_reads |= tap->read_count > 0;
    }
    return has_reads;
}

/* The last reads are answered (the reaper unblocks them), or the connection goes: then farewell finds what they brought. In the
 * order in which they are answered: an answer that nobody takes would keep us awake. */
static void finish_reads(struct dispatcher *dispatcher)
{
    while (lose_troubled(dispatcher))
        if (!turn_take(dispatcher)) wait_for_reply(dispatcher);
}

/* Only jobs that run alone are taken, by the reaper; but what is gone is made again here. */
static void stand_by(struct dispatcher *dispatcher)
{
    int64_t next_ns = CLOCK_NEVER;
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) {
        struct tap *tap = &dispatcher->taps[i];
        if (turn_wants_heal(dispatcher, tap) && link_use(&tap->link, clock_now_ns())) heal_tap(dispatcher, tap);
        int64_t due_ns = !turn_wants_heal(dispatcher, tap) ? CLOCK_NEVER
                         : tap->link.conn                  ? tap->next_heal_ns
                                                           : tap->link.next_try_ns;
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
        weights[queue] = needs->sources[queue].config->weight;
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
    start->begun(start->pool, is_whole);
    dispatcher.unsifted = UINT32_MAX;
    dispatcher.oldest = NOBODY;
    if (is_whole) turn_stir(&dispatcher, NO_QUEUE); /* what is there already comes in order */
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
