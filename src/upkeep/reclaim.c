/* SPDX-License-Identifier: MIT */
#include "upkeep/reclaim.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "upkeep/reaper.h"
#include "wire/pending.h"
#include "wire/script.h"

enum { PAGE = 1000 };

/* Answers of the script. */
enum { MOVED = 'm', DELETED = 'g', STUCK = 'e', NOT_YET = 'n' };

bool reclaim_sees_time(struct reclaim *reclaim, int64_t redis_ms, int64_t now_ns, int64_t lease_ns)
{
    int64_t offset_ms = redis_ms - now_ns / NS_PER_MS, step_ms = offset_ms - reclaim->offset_ms;
    bool has_stepped = reclaim->has_offset && (step_ms < 0 ? -step_ms : step_ms) > lease_ns / NS_PER_MS / 4;
    reclaim->has_offset = true;
    reclaim->offset_ms = offset_ms;
    if (has_stepped) reclaim->hold_ns = now_ns + lease_ns;
    return has_stepped;
}

static int look_at_clock(struct reclaim *reclaim, const struct reaper_needs *needs, struct conn *conn, int64_t now_ns,
                         quern_error *err)
{
    const struct reply *reply;
    conn_command(conn, "TIME", NULL);
    int code = conn_ask(conn, &reply, err);
    if (code) return code;
    int64_t redis_ms = reply_number(reply_item(reply, 0), 0) * 1000 + reply_number(reply_item(reply, 1), 0) / 1000;
    if (reclaim_sees_time(reclaim, redis_ms, now_ns, needs->lease_ns))
        log_event(needs->log, LOG_WARNING, "redis_clock_stepped",
                  LOG_TEXT("then", "nothing is taken from idle owners for a lease: they may only look idle"));
    return QUERN_OK;
}

/* Keeps the rows whose owner has let go. */
static size_t keep_idle(struct reclaim *reclaim, const struct reaper_needs *needs, uint32_t origin, struct pending_row *rows,
                        size_t count, int64_t asked_ns)
{
    int64_t now_ns = clock_now_ns();
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_over = rows[i].idle_ms >= needs->lease_ns / NS_PER_MS ||
                       frozen_sees(&reclaim->frozen, origin, &rows[i], asked_ns, now_ns, needs->lease_ns);
        if (is_over && !slots_hold(needs->slots, origin, rows[i].id)) rows[kept++] = rows[i];
    }
    return kept;
}

static int ask(const struct reaper_needs *needs, uint32_t origin, struct conn *conn, const struct pending_row *rows,
               size_t count, const struct reply **reply, quern_error *err)
{
    const struct source *source = origin_source(needs->sources, origin);
    char id[ENTRY_ID_SIZE];
    script_begin(conn, &script_reclaim, 3, 5 + 4 * count);
    conn_arg_text(conn, origin_key(needs->sources, origin));
    conn_arg_text(conn, source->retry);
    conn_arg_text(conn, source->alone);
    conn_arg_text(conn, source->group);
    conn_arg_number(conn, needs->lease_ns / NS_PER_MS);
    conn_arg_number(conn, origin_is_private(origin));
    conn_arg_number(conn, SCRIPT_BYTES);
    conn_arg_number(conn, needs->alone_after);
    for (size_t i = 0; i < count; i++) {
        conn_arg(conn, id, entry_id_text(rows[i].id, id));
        conn_arg(conn, rows[i].consumer.at, rows[i].consumer.len);
        conn_arg_number(conn, rows[i].deliveries);
        conn_arg_number(conn, rows[i].idle_ms == 0);
    }
    return script_ask(conn, &script_reclaim, conn_answer_deadline(conn), reply, NULL, err);
}

void reclaim_tell_deleted(const struct reaper_needs *needs, const char *key, int64_t deleted)
{
    if (!deleted) return;
    counter_add(&needs->counters->deleted, deleted);
    log_event(needs->log, LOG_WARNING, "pending_deleted", LOG_INT("entries", deleted), LOG_TEXT("stream", key),
              LOG_TEXT("why", "somebody has deleted them from the stream while they were pending: they are lost"));
}

static void account(const struct reaper_needs *needs, uint32_t origin, quern_bytes letters)
{
    const char *key = origin_key(needs->sources, origin);
    int64_t moved = 0, deleted = 0, stuck = 0;
    for (size_t i = 0; i < letters.len; i++) {
        moved += letters.at[i] == MOVED;
        deleted += letters.at[i] == DELETED;
        stuck += letters.at[i] == STUCK;
    }
    counter_add(&needs->counters->reclaimed, moved);
    if (moved)
        log_event(needs->log, LOG_INFO, "reclaimed", LOG_INT("entries", moved), LOG_TEXT("stream", key),
                  LOG_TEXT("why", "their leases were over"));
    reclaim_tell_deleted(needs, key, deleted);
    if (stuck)
        log_event(needs->log, LOG_ERROR, "reclaim_stuck", LOG_INT("entries", stuck), LOG_TEXT("stream", key),
                  LOG_TEXT("why", "Redis could not move them: they stay pending"));
}

/* All rows, a bounded call at a time. What the rows lend is gone with the first answer, so what a call had no time for waits for
 * the next walk. */
static int take(const struct reaper_needs *needs, uint32_t origin, struct conn *conn, const struct pending_row *rows,
                size_t count, size_t *taken, quern_error *err)
{
    const struct reply *reply;
    int code = ask(needs, origin, conn, rows, count, &reply, err);
    if (code) return code;
    quern_bytes letters = reply_bytes(reply);
    account(needs, origin, letters);
    for (*taken = 0; *taken < letters.len && letters.at[*taken] != NOT_YET;) ++*taken;
    return QUERN_OK;
}

/* Where the next page begins: behind the last row, or behind the last one that was taken. */
static int walk_page(struct reclaim *reclaim, const struct reaper_needs *needs, uint32_t origin, struct conn *conn,
                     int64_t now_ns, bool *is_last, quern_error *err)
{
    struct pending_row rows[PAGE];
    const struct source *source = origin_source(needs->sources, origin);
    struct pending_page page = {origin_key(needs->sources, origin), source->group, NULL, reclaim->after};
    size_t count, taken;
    int code = pending_read(conn, &page, rows, PAGE, &count, err);
    if (code) return code;
    *is_last = count < PAGE;
    if (count) reclaim->after = rows[count - 1].id;
    size_t idle = keep_idle(reclaim, needs, origin, rows, count, now_ns),
           most = idle < SCRIPT_MOVES_MAX ? idle : SCRIPT_MOVES_MAX;
    if (!idle) return QUERN_OK;
    code = take(needs, origin, conn, rows, most, &taken, err);
    if (code || taken == idle) return code;
    reclaim->after = taken ? rows[taken - 1].id : page.after;
    *is_last = false;
    return QUERN_OK;
}

int reclaim_step(struct reclaim *reclaim, const struct reaper_needs *needs, uint32_t origin, struct conn *conn, int64_t now_ns,
                 bool *has_more, quern_error *err)
{
    bool is_last = false;
    int code = QUERN_OK;
    *has_more = false;
    if (!reclaim->is_walking) {
        reclaim->is_private = false;
        reclaim->after = (struct entry_id){0, 0};
        frozen_begin(&reclaim->frozen);
        code = look_at_clock(reclaim, needs, conn, now_ns, err);
    }
    reclaim->is_walking = false;
    if (code || now_ns < reclaim->hold_ns) return code;
    if ((code = walk_page(reclaim, needs, origin + reclaim->is_private, conn, now_ns, &is_last, err))) return code;
    reclaim->is_walking = *has_more = !is_last || !reclaim->is_private;
    if (!is_last || reclaim->is_private) return QUERN_OK;
    reclaim->is_private = true; /* the stream's own list is done, now the retry stream's */
    reclaim->after = (struct entry_id){0, 0};
    return QUERN_OK;
}
