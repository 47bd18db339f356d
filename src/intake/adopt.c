/* SPDX-License-Identifier: MIT */
#include "intake/adopt.h"

#include "base/clock.h"
#include "base/log.h"
#include "wire/pending.h"
#include "wire/script.h"

/* Keeps the rows that lie in no slot and reserves one for each. */
static size_t keep_strays(const struct dispatcher_needs *needs, struct reserve *reserve, uint32_t origin,
                          struct pending_row *rows, size_t count, bool *has_more)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (slots_hold(needs->slots, origin, rows[i].id)) continue;
        struct quern_job *job = slots_reserve(needs->slots);
        *has_more |= !job;
        if (!job) break;
        reserve->jobs[reserve->count++] = job;
        rows[kept++] = rows[i];
    }
    return kept;
}

static void put_id(struct conn *conn, struct entry_id id)
{
    char text[ENTRY_ID_SIZE];
    conn_arg(conn, text, entry_id_text(id, text));
}

/* Only what is still ours: between the look and the claim we may have been stopped for longer than a lease. */
static int claim(const struct dispatcher_needs *needs, struct conn *conn, uint32_t origin, const struct pending_row *rows,
                 size_t count, const struct reply **reply, quern_error *err)
{
    const struct source *source = origin_source(needs->sources, origin);
    script_begin(conn, &script_adopt, 1, 5 + 2 * count);
    conn_arg_text(conn, origin_key(needs->sources, origin));
    conn_arg_text(conn, source->group);
    conn_arg_text(conn, needs->consumer);
    put_id(conn, rows[0].id);
    put_id(conn, rows[count - 1].id);
    conn_arg_number(conn, slots_count(needs->slots));
    for (size_t i = 0; i < count; i++) {
        put_id(conn, rows[i].id);
        conn_arg_number(conn, rows[i].deliveries);
    }
    return script_ask(conn, &script_adopt, conn_answer_deadline(conn), reply, NULL, err);
}

/* XCLAIM leaves out what is gone from the stream, so the counts are found again by id. */
static void count_deliveries(const struct reply *entries, const struct pending_row *rows, size_t count, uint32_t *deliveries)
{
    struct entry entry;
    for (uint32_t i = 0; i < entries->count && i < count; i++) {
        deliveries[i] = 1;
        if (!entry_read(reply_item(entries, i), &entry)) continue;
        for (size_t r = 0; r < count; r++)
            if (entry_id_compare(rows[r].id, entry.id) == 0) deliveries[i] = rows[r].deliveries + 1;
    }
}

static void say_deleted(const struct dispatcher_needs *needs, uint32_t origin, int64_t deleted)
{
    if (!deleted) return;
    counter_add(&needs->counters->deleted, deleted);
    log_event(needs->log, LOG_WARNING, "pending_deleted", LOG_INT("entries", deleted),
              LOG_TEXT("stream", origin_key(needs->sources, origin)),
              LOG_TEXT("why", "somebody has deleted them from the stream before they arrived here: they are lost"));
}

static int adopt_rows(const struct dispatcher_needs *needs, struct reserve *reserve, struct high *high, struct conn *conn,
                      uint32_t origin, const struct pending_row *rows, size_t count, quern_error *err)
{
    const struct reply *answer;
    uint32_t deliveries[ADOPT_PAGE];
    int64_t asked_ns = clock_now_ns();
    int code = claim(needs, conn, origin, rows, count, &answer, err);
    if (code) return code;
    const struct reply *entries = reply_item(answer, 1);
    say_deleted(needs, origin, reply_number(reply_item(answer, 0), 0));
    count_deliveries(entries, rows, count, deliveries);
    struct arrival arrival = {origin, asked_ns, atomic_load(needs->is_stopping), deliveries, (uint32_t)count, high};
    admit_entries(needs, reserve, entries, &arrival);
    counter_add(&needs->counters->adopted, entries->count);
    if (!entries->count) return QUERN_OK;
    log_event(needs->log, LOG_INFO, "adopted", LOG_INT("entries", entries->count),
              LOG_TEXT("stream", origin_key(needs->sources, origin)));
    return QUERN_OK;
}

static int adopt_origin(const struct dispatcher_needs *needs, struct reserve *reserve, struct high *high, struct conn *conn,
                        uint32_t origin, uint32_t at_once, bool *has_more, quern_error *err)
{
    const struct source *source = origin_source(needs->sources, origin);
    struct pending_page page = {origin_key(needs->sources, origin), source->group, needs->consumer, high->seen};
    struct pending_row rows[ADOPT_PAGE];
    for (size_t count = at_once; count == at_once && !*has_more;) {
        int code = pending_read(conn, &page, rows, at_once, &count, err);
        if (code) return code;
        if (!count) break;
        page.after = rows[count - 1].id;
        size_t strays = keep_strays(needs, reserve, origin, rows, count, has_more);
        if (strays && (code = adopt_rows(needs, reserve, high, conn, origin, rows, strays, err))) return code;
    }
    return QUERN_OK;
}

int adopt_all(const struct dispatcher_needs *needs, struct reserve *reserve, struct high *high, struct conn *conn,
              const uint32_t *queues, uint32_t count, uint32_t at_once, bool *has_more, quern_error *err)
{
    int code = QUERN_OK;
    *has_more = false;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t lane = LANE_STREAM; lane < LANE_ALONE && !code; lane++) { /* upkeep/alone adopts its own */
            uint32_t origin = LANES * queues[i] + lane;
            code = adopt_origin(needs, reserve, &high[origin], conn, origin, at_once, has_more, err);
        }
    return code;
}
