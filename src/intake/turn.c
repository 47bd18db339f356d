/* SPDX-License-Identifier: MIT */
#include "intake/turn.h"

#include "base/clock.h"
#include "base/err.h"
#include "intake/admit.h"
#include "queue/orders.h"

enum { LOOK_MS = 5 /* how soon other queues are looked at again while one is read */ };

struct in_flight turn_in_flight(const struct dispatcher *dispatcher)
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

void turn_note_owed(const struct dispatcher *dispatcher)
{
    int64_t oldest_ns = 0;
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) {
        const struct tap *tap = &dispatcher->taps[i];
        if (tap->read_count && (!oldest_ns || tap->reads[0].sent_ns < oldest_ns)) oldest_ns = tap->reads[0].sent_ns;
    }
    counter_set(&dispatcher->needs->counters->owed_ns, oldest_ns);
}

void turn_stir(struct dispatcher *dispatcher, uint32_t looked_at)
{
    dispatcher->stirred_ns = clock_now_ns();
    for (uint32_t queue = 0; queue < dispatcher->order.count; queue++)
        if (queue != looked_at && !tap_is_blocked(&dispatcher->taps[dispatcher->tap_of[queue]]))
            order_stir(&dispatcher->order, queue);
}

void turn_stir_tap(struct dispatcher *dispatcher, const struct tap *tap)
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

/* What may be read of it: jobs that run alone are not read here. */
static bool owes(const struct dispatcher *dispatcher, uint32_t queue)
{
    for (uint32_t i = LANES * queue; i < LANES * queue + LANE_ALONE; i++)
        if (entry_id_compare(dispatcher->high[i].seen, dispatcher->high[i].owed) < 0) return true;
    return false;
}

static bool is_owed_by_some(const struct dispatcher *dispatcher)
{
    for (uint32_t queue = 0; queue < dispatcher->order.count; queue++)
        if (owes(dispatcher, queue) && !orders_hold(dispatcher->needs->orders, queue)) return true;
    return false;
}

/* There is no more of a queue: what was owed is not in its stream, or is another's. */
static void forgive(struct dispatcher *dispatcher, uint32_t queue)
{
    for (uint32_t lane = 0; lane < LANES; lane++) dispatcher->high[LANES * queue + lane].owed = (struct entry_id){0, 0};
}

void turn_see_owed(const struct dispatcher *dispatcher)
{
    _Atomic int64_t *until_ns = dispatcher->needs->owed_until_ns;
    if (atomic_load_explicit(until_ns, memory_order_relaxed) && !is_owed(dispatcher)) atomic_store(until_ns, 0);
}

struct plan turn_plan(struct dispatcher *dispatcher)
{
    struct in_flight sum = turn_in_flight(dispatcher);
    struct plan made = demand_plan(&dispatcher->demand, sum);
    dispatcher->reads_owed = !made.count && !sum.jobs && is_owed_by_some(dispatcher);
    if (dispatcher->reads_owed) made.count = demand_room(&dispatcher->demand, sum);
    return made;
}

/* ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Nothing is read for a pool that is paused or stops. */
static bool may_read(const struct dispatcher_needs *needs)
{
    return !ready_is_paused(needs->ready) && !atomic_load(needs->is_stopping);
}

bool turn_wants_heal(const struct dispatcher *dispatcher, const struct tap *tap)
{
    return tap->is_ill || atomic_load(dispatcher->needs->heals) != tap->healed;
}

/* Is it there, and well? */
static bool is_up(const struct dispatcher *dispatcher, const struct tap *tap)
{
    return tap->link.conn && !tap->trouble.code && tap->adopted_on == tap->link.conn && !turn_wants_heal(dispatcher, tap);
}

bool turn_is_open(const struct dispatcher *dispatcher, const struct tap *tap)
{
    return is_up(dispatcher, tap) && !tap_is_blocked(tap) && tap->read_count < READS;
}

bool turn_is_any_open(const struct dispatcher *dispatcher)
{
    for (uint32_t i = 0; i < dispatcher->tap_count; i++)
        if (turn_is_open(dispatcher, &dispatcher->taps[i])) return true;
    return false;
}

static uint32_t reads_of(const struct dispatcher *dispatcher, uint32_t queue)
{
    const struct tap *tap = &dispatcher->taps[dispatcher->tap_of[queue]];
    uint32_t reads = 0;
    if (!is_up(dispatcher, tap) || tap_is_blocked(tap) || orders_hold(dispatcher->needs->orders, queue)) return ORDER_BARRED;
    if (dispatcher->reads_owed && !owes(dispatcher, queue)) return ORDER_BARRED;
    if (tap->read_count >= READS) return ORDER_CROWDED;
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

/* Those that nobody may read, or that cannot be reached, save nothing up meanwhile. */
static void pass_over(struct dispatcher *dispatcher)
{
    for (uint32_t queue = 0; queue < dispatcher->order.count; queue++)
        if (orders_hold(dispatcher->needs->orders, queue) || !is_up(dispatcher, &dispatcher->taps[dispatcher->tap_of[queue]]))
            order_pass_over(&dispatcher->order, queue);
}

/* The next read of one queue; once none has anything left, a blocking one of each tap. NULL: there is none to send. */
static struct tap *choose(struct dispatcher *dispatcher, uint32_t count, struct read *read)
{
    uint32_t reads[QUEUES_MAX];
    pass_over(dispatcher);
    for (uint32_t queue = 0; queue < dispatcher->order.count; queue++) reads[queue] = reads_of(dispatcher, queue);
    int next = order_next(&dispatcher->order, reads);
    /* What a pool before us has given back comes before what nobody has read yet: else jobs of a key would pass each other. */
    bool is_of_retries = next >= 0 && (dispatcher->unsifted >> next & 1);
    if (next >= 0) *read = (struct read){.queues = UINT32_C(1) << next, .count = count, .is_of_retries = is_of_retries};
    if (next >= 0) return &dispatcher->taps[dispatcher->tap_of[next]];
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) {
        struct tap *tap = &dispatcher->taps[i];
        uint32_t queues = turn_is_open(dispatcher, tap) && !tap->read_count ? dry_queues(dispatcher, tap) : 0;
        /* Where several wait for the same threads each asks for one: the first to come tells the others to look. */
        *read = (struct read){.queues = queues, .count = dispatcher->order.count > 1 ? 1 : count, .is_blocking = true};
        if (queues) return tap;
    }
    return NULL;
}

void turn_send(struct dispatcher *dispatcher, struct plan *made)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    struct read read;
    dispatcher->lacks_slots = dispatcher->is_held = false;
    while (may_read(needs)) {
        *made = turn_plan(dispatcher);
        struct tap *tap = made->count ? choose(dispatcher, made->count, &read) : NULL;
        dispatcher->is_held = made->count && !tap;
        if (!tap) return;
        dispatcher->lacks_slots = !demand_reserve(&dispatcher->demand, turn_in_flight(dispatcher), read_slots(&read));
        if (dispatcher->lacks_slots) return;
        read.is_last_look = demand_holds_nothing(&dispatcher->demand) && !slots_ghost_count(needs->slots);
        read.admissions = dispatcher->admissions;
        read.sent_ns = clock_now_ns();
        if (!read.is_blocking) order_asks(&dispatcher->order, first_of(&read), read.count);
        tap_send(tap, needs, &read);
        turn_note_owed(dispatcher);
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

/* Did it ask for all that its tap could have? What is paused may have jobs. */
static bool is_whole(const struct tap *tap, const struct read *read)
{
    return read->is_blocking && (uint32_t)__builtin_popcount(read->queues) == tap->queue_count;
}

/* until_empty: nothing is left once each tap was looked at in vain while nothing was held, and nothing has come since. */
static void see_emptiness(struct dispatcher *dispatcher, struct tap *tap, const struct read *read, uint32_t came)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    bool is_empty = true;
    for (uint32_t i = 0; came && i < dispatcher->tap_count; i++) dispatcher->taps[i].is_empty = false;
    tap->is_empty = is_whole(tap, read) && read->is_last_look && !came && read->admissions == dispatcher->admissions;
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) is_empty = is_empty && dispatcher->taps[i].is_empty;
    if (needs->until_empty && is_empty && may_read(needs) && !atomic_load(needs->alone_waits)) needs->stop(needs->pool);
}

/* Once there is no more of what went back, all is read. */
static bool see_retries(struct dispatcher *dispatcher, const struct read *read, uint32_t came)
{
    bool is_full = came >= read->count;
    order_gets(&dispatcher->order, first_of(read), read->count, came, is_full);
    if (is_full) return true;
    dispatcher->unsifted &= ~read->queues;
    order_stir(&dispatcher->order, first_of(read));
    return false;
}

/* What the answer tells of the queues that were asked. The others are looked at again before long: an urgent job may be there by now. */
static bool see_queues(struct dispatcher *dispatcher, const struct read *read, uint32_t came, uint32_t fullest)
{
    bool is_full = fullest >= read->count, is_of_one = !(read->queues & (read->queues - 1));
    for (uint32_t queue = 0; !is_full && queue < dispatcher->order.count; queue++)
        if (read_is_of(read, queue)) forgive(dispatcher, queue);
    if (is_of_one) order_gets(&dispatcher->order, first_of(read), read->is_blocking ? 0 : read->count, came, is_full);
    if (came && !is_of_one)
        turn_stir(dispatcher, NO_QUEUE);
    else if (came && clock_now_ns() - dispatcher->stirred_ns >= LOOK_MS * NS_PER_MS)
        turn_stir(dispatcher, first_of(read));
    return is_full;
}

static void admit_reply(struct dispatcher *dispatcher, const struct tap *tap, const struct read *read,
                        const struct reply *reply)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    uint32_t entries = 0;
    for (uint32_t i = 0; reply->type == REPLY_ARRAY && i < reply->count; i++) {
        const struct reply *part = reply_item(reply, i), *list = reply_item(part, 1);
        struct arrival arrival = {
            .origin = read_origin(read, needs, reply_bytes(reply_item(part, 0))),
            .granted_ns = read->sent_ns,
            .is_stopping = atomic_load(needs->is_stopping),
        };
        arrival.high = &dispatcher->high[arrival.origin];
        admit_entries(needs, &dispatcher->demand.reserve, list, &arrival);
        counter_add(&needs->fetched[arrival.origin / LANES], list->count);
        entries += list->count;
    }
    if (entries) dispatcher->demand.entry_bytes = (int64_t)conn_reply_size(tap->link.conn) / entries;
}

/* A reply: the next request goes out before what came is admitted, so that Redis has work while we have. */
static void take_reply(struct dispatcher *dispatcher, struct tap *tap, const struct reply *reply)
{
    const struct dispatcher_needs *needs = dispatcher->needs;
    struct plan made;
    struct read read = tap_answered(tap, needs);
    turn_note_owed(dispatcher);
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
    bool is_full = read.is_of_retries ? see_retries(dispatcher, &read, came) : see_queues(dispatcher, &read, came, fullest);
    if (is_full && read.count == needs->batch_size) turn_send(dispatcher, &made);
    admit_reply(dispatcher, tap, &read, reply);
    dispatcher->demand.admitting = 0;
    turn_see_owed(dispatcher);
    conn_drop_reply(tap->link.conn);
    demand_release(&dispatcher->demand, turn_in_flight(dispatcher));
}

int64_t turn_answer_deadline_ns(const struct dispatcher_needs *needs, const struct tap *tap)
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
    bool is_late = code == QUERN_E_BUSY && clock_now_ns() >= turn_answer_deadline_ns(dispatcher->needs, tap);
    if (is_late) code = conn_poll_reply(tap->link.conn, &reply, &tap->trouble); /* it may have come while we stood still */
    if (code == QUERN_OK) tap->trouble.code = QUERN_OK;
    if (code == QUERN_OK) take_reply(dispatcher, tap, reply);
    if (code != QUERN_E_BUSY) return true;
    tap->trouble.code = QUERN_OK;
    if (is_late) err_set(&tap->trouble, QUERN_E_TIMEOUT, "no answer to XREADGROUP in time");
    return tap->trouble.code != QUERN_OK;
}

bool turn_take(struct dispatcher *dispatcher)
{
    bool has_taken = false;
    for (uint32_t i = 0; i < dispatcher->tap_count; i++) has_taken |= take_from(dispatcher, &dispatcher->taps[i]);
    return has_taken;
}
