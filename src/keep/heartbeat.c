/* SPDX-License-Identifier: MIT */
#include "keep/heartbeat.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "job/witness.h"
#include "keep/lease.h"
#include "tell/notices.h"
#include "wire/errors.h"
#include "wire/script.h"

struct heartbeat {
    const struct heartbeat_needs *needs;
    struct link link;
    struct lease *due; /* room for every slot */
    uint32_t count;
};

/* By origin, then by id: one call then asks for a narrow range of ids. */
static int compare(const void *left, const void *right)
{
    const struct lease *a = left, *b = right;
    if (a->origin != b->origin) return a->origin < b->origin ? -1 : 1;
    return entry_id_compare(a->entry, b->entry);
}

static void collect(struct heartbeat *heartbeat, int64_t now_ns)
{
    const struct heartbeat_needs *needs = heartbeat->needs;
    struct lease lease;
    heartbeat->count = 0;
    for (uint32_t i = 0; i < slots_count(needs->slots); i++)
        if (slot_lease_of(slots_at(needs->slots, i), &lease) && lease_is_due(lease.granted_ns, now_ns, needs->lease_ns))
            heartbeat->due[heartbeat->count++] = lease;
    qsort(heartbeat->due, heartbeat->count, sizeof *heartbeat->due, compare);
}

static void put_id(struct conn *conn, struct entry_id id)
{
    char text[ENTRY_ID_SIZE];
    conn_arg(conn, text, entry_id_text(id, text));
}

/* One call for leases of one origin. */
static int ask(struct heartbeat *heartbeat, struct conn *conn, const struct lease *leases, uint32_t count,
               const struct reply **reply, quern_error *err)
{
    const struct heartbeat_needs *needs = heartbeat->needs;
    const struct source *source = origin_source(needs->sources, leases[0].origin);
    script_begin(conn, &script_renew, 1, 5 + 2 * count);
    conn_arg_text(conn, origin_key(needs->sources, leases[0].origin));
    conn_arg_text(conn, source->group);
    conn_arg_text(conn, needs->consumer);
    put_id(conn, leases[0].entry);
    put_id(conn, leases[count - 1].entry);
    conn_arg_number(conn, slots_count(needs->slots));
    for (uint32_t i = 0; i < count; i++) {
        put_id(conn, leases[i].entry);
        conn_arg_number(conn, leases[i].deliveries);
    }
    return script_ask(conn, &script_renew, conn_answer_deadline(conn), reply, NULL, err);
}

/* It may have been settled since it was collected: then it is not lost, and its slot has another generation. */
static void lose(struct heartbeat *heartbeat, const struct lease *lease)
{
    const struct heartbeat_needs *needs = heartbeat->needs;
    struct quern_job *job = slots_at(needs->slots, lease->index);
    char entry[ENTRY_ID_SIZE];
    if (slot_has(job, SLOT_SAID)) return; /* it is being settled while its handler still runs: the settler will know */
    if (!slot_lose(job, lease)) return;
    counter_add(&needs->counters->lost, 1);
    entry_id_text(lease->entry, entry);
    log_event(needs->log, LOG_WARNING, "lease_lost", LOG_TEXT("entry", entry), LOG_TEXT("then", "its handler is told"));
    notices_post(needs->notices, &(quern_notice){.what = QUERN_NOTICE_LOST, .id = bytes_of(entry), .cpu_us = -1});
}

/* Nobody can take it from us any more: it goes on, and what it comes to is recorded without a lease. */
static void miss(struct heartbeat *heartbeat, const struct lease *lease)
{
    const struct heartbeat_needs *needs = heartbeat->needs;
    char entry[ENTRY_ID_SIZE];
    if (!slot_mark(slots_at(needs->slots, lease->index), lease->generation, SLOT_GONE)) return;
    entry_id_text(lease->entry, entry);
    log_event(needs->log, LOG_WARNING, "entry_deleted", LOG_TEXT("entry", entry),
              LOG_TEXT("why", "somebody deleted or trimmed it while it was held here: it is kept from memory"));
}

static int renew(struct heartbeat *heartbeat, struct conn *conn, const struct lease *leases, uint32_t count, quern_error *err)
{
    const struct reply *reply;
    int64_t asked_ns = clock_now_ns(), renewed = 0;
    if (witness) witness->renews(leases, count, NULL);
    int code = ask(heartbeat, conn, leases, count, &reply, err);
    if (code) return code;
    quern_bytes letters = reply_bytes(reply);
    if (letters.len != count)
        return err_set(err, QUERN_E_SERVER, "script renew answered for %zu of %u leases", letters.len, count);
    if (witness) witness->renews(leases, count, letters.at);
    for (uint32_t i = 0; i < count; i++) {
        if (letters.at[i] == 'l')
            lose(heartbeat, &leases[i]);
        else if (letters.at[i] == 'g')
            miss(heartbeat, &leases[i]);
        else
            slot_renewed(slots_at(heartbeat->needs->slots, leases[i].index), leases[i].generation, asked_ns);
        renewed += letters.at[i] == 'k';
    }
    counter_add(&heartbeat->needs->counters->renewed, renewed);
    counter_set(&heartbeat->needs->counters->last_ns, clock_now_ns());
    return QUERN_OK;
}

/* How many from the first on go in one call. */
static uint32_t run_length(const struct lease *leases, uint32_t count)
{
    uint32_t n = 1;
    while (n < count && n < SCRIPT_ENTRIES_MAX && leases[n].origin == leases[0].origin) n++;
    return n;
}

/* What is refused for one queue is no reason to lose the leases of the others. The first refusal is the one that is told. */
static int renew_all(struct heartbeat *heartbeat, struct conn *conn, quern_error *err)
{
    int refused = QUERN_OK;
    for (uint32_t at = 0, n; at < heartbeat->count; at += n) {
        quern_error why;
        n = run_length(heartbeat->due + at, heartbeat->count - at);
        int code = renew(heartbeat, conn, heartbeat->due + at, n, &why);
        if (code && (!refused || code == QUERN_E_GONE)) { /* one that is gone is made again by who hears of it */
            refused = code;
            *err = why;
        }
        if (conn_is_broken(conn)) break;
    }
    return refused;
}

/* Returns when to come again. */
static int64_t heartbeat_step(struct heartbeat *heartbeat, int64_t now_ns)
{
    quern_error why;
    struct counter *owed_ns = &heartbeat->needs->counters->owed_ns;
    collect(heartbeat, now_ns);
    int64_t next_ns = now_ns + heartbeat->needs->tick_ns;
    if (!heartbeat->count) {
        counter_set(owed_ns, 0);
        link_rest(&heartbeat->link);
        return next_ns;
    }
    if (!counter_read(owed_ns)) counter_set(owed_ns, now_ns);
    struct conn *conn = link_use(&heartbeat->link, now_ns);
    int code = conn ? renew_all(heartbeat, conn, &why) : QUERN_E_CONNECT;
    if (!code) {
        link_works(&heartbeat->link);
        counter_set(owed_ns, 0);
        return next_ns;
    }
    if (conn) link_fail(&heartbeat->link, &why);
    return heartbeat->link.next_try_ns < next_ns ? heartbeat->link.next_try_ns : next_ns;
}

void heartbeat_run(void *given)
{
    struct heartbeat_start *start = given;
    struct heartbeat heartbeat = {.needs = start->needs};
    ONLY(ROLE_HEARTBEAT);
    thread_hurry(); /* handlers that burn all cores must not cost anybody's lease */
    link_open(&heartbeat.link, &start->needs->link);
    link_adopt(&heartbeat.link, start->conn);
    /* Whoever keeps leases cannot be away for long. */
    int64_t tick_ms = start->needs->tick_ns / NS_PER_MS;
    if (heartbeat.link.backoff.max_ms > tick_ms)
        heartbeat.link.backoff.max_ms = tick_ms > heartbeat.link.backoff.first_ms ? tick_ms : heartbeat.link.backoff.first_ms;
    heartbeat.due = malloc(slots_count(start->needs->slots) * sizeof *heartbeat.due);
    start->begun(start->pool, heartbeat.due != NULL);
    while (heartbeat.due && !atomic_load(start->needs->is_stopping))
        waker_wait(start->needs->waker, -1, heartbeat_step(&heartbeat, clock_now_ns()));
    free(heartbeat.due);
    link_close(&heartbeat.link);
}
