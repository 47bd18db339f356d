/* SPDX-License-Identifier: MIT */
#include "upkeep/reaper.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/thread.h"
#include "upkeep/trim.h"

struct reaper;

struct chore {
    /* Does its work; *due_ns: when it wants to be called again. */
    int (*step)(struct reaper *reaper, struct conn *conn, int64_t now_ns, int64_t *due_ns, quern_error *err);
    int64_t due_ns;
};

struct reaper {
    const struct reaper_needs *needs;
    struct link link;
    struct trim trim;
};

static int trim_chore(struct reaper *reaper, struct conn *conn, int64_t now_ns, int64_t *due_ns, quern_error *err)
{
    bool has_more = false;
    int code = trim_step(&reaper->trim, reaper->needs, conn, &has_more, err);
    *due_ns = has_more ? now_ns : now_ns + reaper->needs->period_ns;
    return code;
}

/* Runs what is due; returns when the next chore is. */
static int64_t reaper_step(struct reaper *reaper, struct chore *chores, size_t count, int64_t now_ns)
{
    quern_error why;
    int64_t next_ns = CLOCK_NEVER;
    for (size_t i = 0; i < count; i++) {
        bool is_due = chores[i].due_ns <= now_ns;
        /* A lost connection is made again whether or not anything is due: else its time would be over, and nobody would wait. */
        struct conn *conn = is_due || !reaper->link.conn ? link_use(&reaper->link, now_ns) : NULL;
        int code = conn && is_due ? chores[i].step(reaper, conn, now_ns, &chores[i].due_ns, &why) : QUERN_OK;
        if (code)
            link_fail(&reaper->link, &why);
        else if (conn && is_due)
            link_works(&reaper->link);
        int64_t at_ns = reaper->link.conn ? chores[i].due_ns : reaper->link.next_try_ns;
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
    while ((blocked = atomic_load(reaper->needs->blocked_id)) > 0 && (again_ns = unblock(reaper, blocked)) < CLOCK_NEVER)
        waker_wait(reaper->needs->waker, -1, again_ns);
}

/* What is due, and what is due before its time. Returns when to come again. */
static int64_t work(struct reaper *reaper, struct chore *chores, size_t count)
{
    int64_t now_ns = clock_now_ns();
    if (atomic_load(reaper->needs->acked) >= TRIM_AFTER) chores[0].due_ns = now_ns;
    return reaper_step(reaper, chores, count, now_ns);
}

/* The last jobs are settled: what nobody needs any more goes now, for there may be no other pool to trim it. */
static void last_trim(struct reaper *reaper)
{
    bool has_more = true;
    while (has_more) {
        struct conn *conn = link_use(&reaper->link, clock_now_ns());
        has_more = false;
        if (!conn || trim_step(&reaper->trim, reaper->needs, conn, &has_more, NULL)) return;
    }
}

void reaper_run(void *given)
{
    struct reaper_start *start = given;
    const struct reaper_needs *needs = start->needs;
    struct reaper reaper = {.needs = needs};
    struct chore chores[] = {{trim_chore, clock_now_ns()}};
    size_t count = needs->trims ? sizeof chores / sizeof *chores : 0;
    ONLY(ROLE_REAPER);
    link_open(&reaper.link, &needs->link);
    link_adopt(&reaper.link, start->conn);
    for (bool has_unblocked = false; !atomic_load(needs->has_settled);) {
        int64_t next_ns = work(&reaper, chores, count);
        if (atomic_load(needs->is_stopping) && !has_unblocked) {
            unblock_dispatcher(&reaper);
            has_unblocked = true;
        } else if (next_ns > clock_now_ns()) {
            waker_wait(needs->waker, -1, next_ns);
        }
    }
    if (needs->trims) last_trim(&reaper);
    link_close(&reaper.link);
}
