/* SPDX-License-Identifier: MIT */
#include "upkeep/reaper.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "job/consumers.h"
#include "queue/gate.h"
#include "queue/orders.h"
#include "queue/ready.h"
#include "upkeep/alone.h"
#include "upkeep/due.h"
#include "upkeep/reclaim.h"
#include "upkeep/tidy.h"
#include "upkeep/trim.h"
#include "wire/errors.h"

enum { LONGEST_TURN_MS = 5000 };

/* One source, and what the chores remember of it. */
struct ward {
    const struct source *source;
    struct ward *all; /* the wards of the pool */
    uint32_t count;
    uint32_t origin; /* of its stream */
    int64_t turn_until_ns;
    bool is_seen;     /* do_due has looked */
    bool alone_waits; /* as of the last look */
    bool looks_again; /* reclaim: the next look is a few milliseconds behind the last one */
    bool may_yield;   /* to others that wait for a turn */
    uint64_t turn;    /* when it last had one that ran alone here; 0: never */
    bool has_alone;   /* and whether there is any such job, waiting or running somewhere */
    struct reclaim reclaim;
    struct trim trim;
    struct heeded heeded;
    bool has_swept_late; /* a stop began meanwhile: our name may have been made again behind the settler's farewell */
};

struct chore {
    /* Does its work; *due_ns: when it wants to be called again. */
    int (*step)(const struct reaper_needs *needs, struct ward *ward, struct conn *conn, int64_t now_ns, int64_t *due_ns,
                quern_error *err);
    struct ward *ward;
    int64_t due_ns;
    bool is_refused; /* the last time */
};

struct reaper {
    const struct reaper_needs *needs;
    struct link link;
    struct ward *wards;
    struct chore *chores;
    size_t chore_count;
    size_t first; /* that is looked at first: behind the one that was refused last */
};

/* ── chores ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The turn is another's. Redis keeps its end by the wall clock: after a step back it would not come for as long as the step was. */
static int is_endless(const char *key, int64_t turn_ms, struct conn *conn, bool *is, quern_error *err)
{
    const struct reply *reply;
    conn_command(conn, "PTTL", key, NULL);
    int code = conn_ask(conn, &reply, err);
    int64_t left_ms = code ? 0 : reply_number(reply, 0);
    *is = left_ms > turn_ms || left_ms == -1;
    return code;
}

/* One pool a period does for the group what need not be done twice. Correctness does not depend on it. The turn is never longer than
 * usual: others may look more often, and must not wait for one that has died or dozes; a longer one is not waited for. */
static int ask_turn(const struct reaper_needs *needs, struct ward *ward, struct conn *conn, int64_t now_ns, bool *is_ours,
                    quern_error *err)
{
    char turn_ms[24];
    int64_t turn_ns = needs->period_ns < LONGEST_TURN_MS * NS_PER_MS ? needs->period_ns : LONGEST_TURN_MS * NS_PER_MS;
    const struct reply *reply = NULL;
    *is_ours = now_ns < ward->turn_until_ns;
    if (*is_ours) return QUERN_OK;
    snprintf(turn_ms, sizeof turn_ms, "%lld", (long long)(turn_ns / NS_PER_MS));
    conn_command(conn, "SET", ward->source->reaper, needs->consumer, "NX", "PX", turn_ms, NULL);
    int code = conn_ask(conn, &reply, err);
    /* A full server has no room even for that, and needs these chores the most. */
    if (code && reply && reply_is_error(reply, "OOM")) code = QUERN_OK;
    *is_ours = !code && reply->type != REPLY_NIL;
    if (!code && !*is_ours && !(code = is_endless(ward->source->reaper, turn_ns / NS_PER_MS, conn, is_ours, err)) && *is_ours) {
        conn_command(conn, "SET", ward->source->reaper, needs->consumer, "PX", turn_ms, NULL);
        code = conn_ask(conn, &reply, err);
    }
    if (*is_ours) ward->turn_until_ns = now_ns + turn_ns;
    return code;
}

/* Is there a job that is to run alone, in any of them? */
static bool is_any_alone(const struct ward *ward)
{
    bool is = false;
    for (uint32_t i = 0; i < ward->count; i++) is |= ward->all[i].has_alone;
    return is;
}

/* Does none wait, in any of them? One that was not looked at yet may have one. */
static bool none_waits(const struct ward *ward)
{
    bool is = true;
    for (uint32_t i = 0; i < ward->count; i++) is &= ward->all[i].is_seen && !ward->all[i].alone_waits;
    return is;
}

static int do_due(const struct reaper_needs *needs, struct ward *ward, struct conn *conn, int64_t now_ns, int64_t *due_ns,
                  quern_error *err)
{
    int64_t next_ms;
    struct due_alone alone;
    struct heard heard;
    bool is_batch_due = false, is_more = false;
    int code = due_step(needs, ward->source, conn, &next_ms, &alone, &heard, &is_batch_due, err);
    if (!code) code = heed(needs, ward->origin / LANES, &ward->heeded, &heard, conn, err);
    if (!code && is_batch_due) code = due_batches(needs, ward->source, conn, &is_more, err);
    if (code) return code;
    ward->is_seen = true;
    ward->alone_waits = alone.waiting > 0;
    ward->has_alone = alone.all > 0;
    atomic_store(needs->alone_waits, is_any_alone(ward));
    if (is_more) next_ms = 0;
    *due_ns = now_ns + (next_ms < 0 || next_ms > DUE_LOOK_MS ? DUE_LOOK_MS : next_ms) * NS_PER_MS;
    return QUERN_OK;
}

/* Has another one a job that is to run alone, and has waited longer for a turn? Once: it may not get it, for a reason of its own. */
static bool yields(const struct reaper_needs *needs, struct ward *ward)
{
    bool is_other = false;
    for (uint32_t i = 0; i < ward->count && ward->may_yield; i++)
        is_other |= ward->all[i].alone_waits && ward->all[i].turn < ward->turn &&
                    !orders_hold(needs->orders, ward->all[i].origin / LANES);
    ward->may_yield = !is_other;
    return is_other;
}

static void note_turn(struct ward *ward)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < ward->count; i++)
        if (ward->all[i].turn > last) last = ward->all[i].turn;
    ward->turn = last + 1;
}

/* Behind do_due, which has looked. */
static int do_alone(const struct reaper_needs *needs, struct ward *ward, struct conn *conn, int64_t now_ns, int64_t *due_ns,
                    quern_error *err)
{
    bool is_taken = false, trusts_idle = now_ns >= ward->reclaim.hold_ns;
    bool may_take = !gate_is_taken(needs->gate) && now_ns >= atomic_load(&needs->gate->rest_ns) &&
                    !ready_is_paused(needs->ready) && !orders_hold(needs->orders, ward->origin / LANES) &&
                    !atomic_load(needs->is_stopping);
    *due_ns = now_ns + DUE_LOOK_MS * NS_PER_MS;
    if (needs->lanes == LANES_SHARED) {
        if (ward->alone_waits && may_take) needs->call_alone(needs->call_user);
        return QUERN_OK;
    }
    if (may_take && ward->alone_waits && yields(needs, ward)) return QUERN_OK;
    int code = may_take && ward->alone_waits ? alone_step(needs, ward->origin, conn, trusts_idle, &is_taken, err) : QUERN_OK;
    if (code || !may_take) return code;
    if (is_taken) note_turn(ward);
    if (!is_taken) ward->alone_waits = false;
    if (!is_taken && needs->lanes == LANES_ALONE && none_waits(ward)) needs->stop(needs->user);
    return QUERN_OK;
}

static int do_reclaim(const struct reaper_needs *needs, struct ward *ward, struct conn *conn, int64_t now_ns, int64_t *due_ns,
                      quern_error *err)
{
    bool is_ours, has_more = false;
    *due_ns = CLOCK_NEVER;
    if (atomic_load(needs->is_stopping)) return QUERN_OK; /* who is there afterwards does it, and can still say so */
    int code = ask_turn(needs, ward, conn, now_ns, &is_ours, err);
    if (!code && is_ours) code = reclaim_step(&ward->reclaim, needs, ward->origin, conn, now_ns, &has_more, err);
    *due_ns = has_more ? now_ns : now_ns + needs->period_ns;
    if (has_more || !is_ours || code) return code;
    ward->looks_again = ward->reclaim.frozen.wants_look && !ward->looks_again; /* once: it may be in vain */
    if (ward->looks_again) *due_ns = clock_now_ns() + FROZEN_AGAIN_MS * NS_PER_MS;
    return code;
}

static int do_sweep(const struct reaper_needs *needs, struct ward *ward, struct conn *conn, int64_t now_ns, int64_t *due_ns,
                    quern_error *err)
{
    *due_ns = now_ns + needs->lease_ns;
    if (atomic_load(needs->is_stopping)) return QUERN_OK; /* it would make our own name again */
    int code = tidy_consumers(needs, ward->source, conn, err);
    ward->has_swept_late |= atomic_load(needs->is_stopping);
    return code;
}

static int do_letters(const struct reaper_needs *needs, struct ward *ward, struct conn *conn, int64_t now_ns, int64_t *due_ns,
                      quern_error *err)
{
    bool is_ours = false, has_more = false;
    int code = ward->source->config->dead_letter_max ? ask_turn(needs, ward, conn, now_ns, &is_ours, err) : QUERN_OK;
    if (!code && is_ours) code = tidy_letters(needs, ward->source, conn, &has_more, err);
    *due_ns = has_more ? now_ns : now_ns + needs->period_ns;
    return code;
}

static int do_trim(const struct reaper_needs *needs, struct ward *ward, struct conn *conn, int64_t now_ns, int64_t *due_ns,
                   quern_error *err)
{
    bool has_more = false;
    bool trims = ward->source->config->trim;
    if (trims) atomic_store(needs->acked, 0);
    int code = trims ? trim_step(&ward->trim, needs, ward->source, conn, &has_more, err) : QUERN_OK;
    if (!code && !has_more) code = trim_private(ward->source, conn, err);
    *due_ns = has_more ? now_ns : now_ns + needs->period_ns;
    return code;
}

enum { DUE, ALONE, RECLAIM, SWEEP, LETTERS, TRIM, CHORES };
static int (*const steps[CHORES])(const struct reaper_needs *, struct ward *, struct conn *, int64_t, int64_t *,
                                  quern_error *) = {do_due, do_alone, do_reclaim, do_sweep, do_letters, do_trim};

/* All are due at once, but for the sweep: names that were silent for ten leases can wait for one more. */
static bool chores_open(struct reaper *reaper)
{
    const struct reaper_needs *needs = reaper->needs;
    int64_t now_ns = clock_now_ns();
    reaper->wards = calloc(needs->source_count, sizeof *reaper->wards);
    reaper->chores = calloc(needs->source_count, CHORES * sizeof *reaper->chores);
    if (!reaper->wards || !reaper->chores) return false;
    for (uint32_t i = 0; i < needs->source_count; i++) {
        reaper->wards[i] = (struct ward){.source = &needs->sources[i],
                                         .all = reaper->wards,
                                         .count = needs->source_count,
                                         .origin = LANES * i,
                                         .has_alone = true};
        for (int kind = 0; kind < CHORES; kind++)
            reaper->chores[reaper->chore_count++] =
                (struct chore){steps[kind], &reaper->wards[i], kind == SWEEP ? now_ns + needs->lease_ns : now_ns, false};
    }
    return true;
}

/* ── the thread ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_any_refused(const struct reaper *reaper)
{
    for (size_t i = 0; i < reaper->chore_count; i++)
        if (reaper->chores[i].is_refused) return true;
    return false;
}

/* A Redis that refuses writes answers what only reads: it works again once each chore that was refused has been done. */
static void run_chore(struct reaper *reaper, struct chore *chore, struct conn *conn, int64_t now_ns)
{
    quern_error why;
    int code = chore->step(reaper->needs, chore->ward, conn, now_ns, &chore->due_ns, &why);
    chore->is_refused = error_is_refusal(code);
    if (!code) {
        if (!is_any_refused(reaper)) link_works(&reaper->link);
        return;
    }
    link_fail(&reaper->link, &why);
    if (!chore->is_refused) return;
    if (reaper->needs->source_count > 1) link_hurry(&reaper->link); /* for the others */
    reaper->first = (size_t)(chore - reaper->chores) + 1; /* else it would go first on the next connection, too, and end that */
    /* What Redis refuses, it will refuse again: a key of another type, a group that is gone. */
    int64_t pause_ns = reaper->needs->period_ns > NS_PER_S ? reaper->needs->period_ns : NS_PER_S;
    chore->due_ns = now_ns + pause_ns;
}

/* Runs what is due; returns when the next chore is. */
static int64_t reaper_step(struct reaper *reaper, int64_t now_ns)
{
    int64_t next_ns = CLOCK_NEVER;
    size_t first = reaper->first;
    for (size_t i = 0; i < reaper->chore_count; i++) {
        struct chore *chore = &reaper->chores[(first + i) % reaper->chore_count];
        bool is_due = chore->due_ns <= now_ns;
        /* A lost connection is made again whether or not anything is due: else its time would be over, and nobody would wait. */
        struct conn *conn = is_due || !reaper->link.conn ? link_use(&reaper->link, now_ns) : NULL;
        if (conn && is_due) run_chore(reaper, chore, conn, now_ns);
        int64_t at_ns = reaper->link.conn ? chore->due_ns : reaper->link.next_try_ns;
        if (at_ns < next_ns) next_ns = at_ns;
    }
    return next_ns;
}

/* Asks once, and says when to ask again. A connection that an outage broke while it was idle is made anew. */
static int64_t unblock(struct reaper *reaper, int64_t blocked)
{
    char id[24];
    quern_error why;
    const struct reply *reply;
    struct conn *conn = link_use(&reaper->link, clock_now_ns());
    if (!conn) return reaper->link.next_try_ns;
    snprintf(id, sizeof id, "%lld", (long long)blocked);
    conn_command(conn, "CLIENT", "UNBLOCK", id, NULL);
    int code = conn_ask(conn, &reply, &why);
    if (code == QUERN_E_AUTH) return CLOCK_NEVER;
    if (code) link_fail(&reaper->link, &why);
    return clock_now_ns() + 2 * NS_PER_MS;
}

/* The dispatcher's read may not have reached Redis yet when it is to be unblocked: asked until the dispatcher says that it is
 * out. Without the right to CLIENT UNBLOCK, or without Redis, its read ends by its own BLOCK. */
static void unblock_dispatcher(struct reaper *reaper)
{
    int64_t blocked, again_ns = 0;
    for (uint32_t i = 0; i < reaper->needs->source_count; i++)
        while ((blocked = atomic_load(&reaper->needs->blocked_ids[i])) > 0 &&
               (again_ns = unblock(reaper, blocked)) < CLOCK_NEVER)
            waker_wait(reaper->needs->waker, -1, again_ns);
}

/* What others tell may be due before its time: many acknowledgements, a retry of ours. */
static void hear(struct reaper *reaper, int64_t now_ns)
{
    int64_t first_ns =
        atomic_exchange(reaper->needs->due_ns, CLOCK_NEVER); /* before the look: what is laid aside later is told anew */
    bool is_trim_due = atomic_load(reaper->needs->acked) >= TRIM_AFTER;
    for (size_t i = 0; i < reaper->chore_count; i++) {
        struct chore *chore = &reaper->chores[i];
        if (chore->step == do_trim && is_trim_due) chore->due_ns = now_ns;
        bool is_free = chore->step == do_alone && chore->ward->alone_waits && !gate_is_taken(reaper->needs->gate);
        if (is_free && !chore->is_refused) chore->due_ns = now_ns;
        if (chore->step == do_due && first_ns < chore->due_ns) chore->due_ns = first_ns;
    }
}

/* The last jobs are settled: what nobody needs any more goes now, for there may be no other pool to trim it. */
static void last_trim(struct reaper *reaper)
{
    for (uint32_t i = 0; i < reaper->needs->source_count; i++) {
        bool has_more = reaper->needs->sources[i].config->trim;
        while (has_more) {
            struct conn *conn = link_use(&reaper->link, clock_now_ns());
            has_more = false;
            int code = conn
                           ? trim_step(&reaper->wards[i].trim, reaper->needs, &reaper->needs->sources[i], conn, &has_more, NULL)
                           : QUERN_E_CONNECT;
            if (code && !error_is_refusal(code)) return;
        }
    }
}

/* Once more, where the settler's may have been in vain. */
static void leave_again(struct reaper *reaper)
{
    for (uint32_t i = 0; i < reaper->needs->source_count; i++) {
        quern_error why;
        struct conn *conn = reaper->wards[i].has_swept_late ? link_use(&reaper->link, clock_now_ns()) : NULL;
        if (conn && consumers_leave(conn, &reaper->needs->sources[i], reaper->needs->consumer, &why))
            link_fail(&reaper->link, &why);
    }
}

/* Returns when to come again. */
static int64_t work(struct reaper *reaper)
{
    int64_t now_ns = clock_now_ns(), watch_ns = reaper->needs->watch(reaper->needs->user, now_ns);
    hear(reaper, now_ns);
    int64_t next_ns = reaper_step(reaper, now_ns);
    return watch_ns < next_ns ? watch_ns : next_ns;
}

void reaper_run(void *given)
{
    struct reaper_start *start = given;
    const struct reaper_needs *needs = start->needs;
    struct reaper reaper = {.needs = needs};
    ONLY(ROLE_REAPER);
    link_open(&reaper.link, &needs->link);
    link_adopt(&reaper.link, start->conn);
    bool is_open = chores_open(&reaper);
    start->begun(start->pool, is_open);
    for (bool has_unblocked = false; !atomic_load(needs->has_settled);) {
        int64_t next_ns = work(&reaper);
        if (atomic_load(needs->is_stopping) && !has_unblocked) {
            unblock_dispatcher(&reaper);
            has_unblocked = true;
        } else if (next_ns > clock_now_ns()) {
            waker_wait(needs->waker, -1, next_ns);
        }
    }
    if (is_open) last_trim(&reaper);
    if (is_open) leave_again(&reaper);
    link_close(&reaper.link);
    free(reaper.wards);
    free(reaper.chores);
}
