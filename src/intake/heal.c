/* SPDX-License-Identifier: MIT */
#include "intake/heal.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "keep/lease.h"
#include "wire/pending.h"
#include "wire/script.h"

enum { PAGE = 128, OWED_MS = 3000 /* more than it takes to read what is held here once more */ };

/* One origin while it is healed. */
struct ward {
    const struct dispatcher_needs *needs;
    const struct source *source;
    const char *key;
    bool is_private;
    struct conn *conn;
    struct high *high;
    struct lease *held; /* what lies in slots and is not lost; room for every slot */
    uint32_t count;
};

/* Answers of the script. */
enum { MADE = 'm', NEW_STREAM = 'n', EXISTS = 'e' };

static void collect(struct ward *ward, uint32_t origin)
{
    struct slots *slots = ward->needs->slots;
    struct lease lease;
    ward->count = 0;
    for (uint32_t i = 0; i < slots_count(slots); i++)
        if (slot_look(slots_at(slots, i), &lease) && lease.origin == origin && !slot_has(slots_at(slots, i), SLOT_LOST))
            ward->held[ward->count++] = lease;
}

static struct entry_id id_before(struct entry_id id)
{
    if (id.seq) return (struct entry_id){id.ms, id.seq - 1};
    return id.ms ? (struct entry_id){id.ms - 1, UINT64_MAX} : id;
}

/* The newest id that the stream has ever given out; 0: there is no stream. */
static int read_last(const struct ward *ward, struct entry_id *last, quern_error *err)
{
    const struct reply *reply;
    *last = (struct entry_id){0, 0};
    conn_command(ward->conn, "EXISTS", ward->key, NULL);
    int code = conn_ask(ward->conn, &reply, err);
    if (code || !reply_number(reply, 0)) return code;
    conn_command(ward->conn, "XINFO", "STREAM", ward->key, NULL);
    if ((code = conn_ask(ward->conn, &reply, err))) return code;
    if (entry_id_read(reply_bytes(reply_field(reply, "last-generated-id")), last)) return QUERN_OK;
    return err_set(err, QUERN_E_SERVER, "XINFO STREAM told no id that can be read");
}

/* Behind which id the group begins. A retry stream holds nothing that was settled. At most once: what was handed to us is never to
 * be run again. */
static struct entry_id low_water(const struct ward *ward, struct entry_id last)
{
    struct entry_id mark = ward->high->newest;
    if (ward->is_private && !ward->needs->is_unpended) return (struct entry_id){0, 0};
    for (uint32_t i = 0; i < ward->count && !ward->needs->is_unpended; i++) {
        struct entry_id before = id_before(ward->held[i].entry);
        if (entry_id_compare(before, mark) < 0) mark = before;
    }
    /* A stream that has not come so far is not the one those ids are of. */
    return entry_id_compare(mark, last) > 0 ? (struct entry_id){0, 0} : mark;
}

static int make(const struct ward *ward, char *made, quern_error *err)
{
    char mark[ENTRY_ID_SIZE];
    struct entry_id last;
    const struct reply *reply;
    int code = read_last(ward, &last, err);
    if (code) return code;
    entry_id_text(low_water(ward, last), mark);
    script_begin(ward->conn, &script_heal, 2, 3);
    conn_arg_text(ward->conn, ward->key);
    conn_arg_text(ward->conn, ward->source->retry);
    conn_arg_text(ward->conn, ward->source->group);
    conn_arg_text(ward->conn, ward->needs->consumer);
    conn_arg_text(ward->conn, mark);
    if ((code = script_ask(ward->conn, &script_heal, conn_answer_deadline(ward->conn), &reply, NULL, err))) return code;
    quern_bytes letter = reply_bytes(reply);
    *made = letter.len ? letter.at[0] : EXISTS;
    return QUERN_OK;
}

/* ── what is pending nevertheless ────────────────────────────────────────────────────────────────────────────────── */

static void strike(struct ward *ward, struct entry_id id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < ward->count; i++)
        if (entry_id_compare(ward->held[i].entry, id) != 0) ward->held[kept++] = ward->held[i];
    ward->count = kept;
}

static int strike_ours(struct ward *ward, quern_error *err)
{
    struct pending_row rows[PAGE];
    struct pending_page page = {ward->key, ward->source->group, ward->needs->consumer, {0, 0}};
    for (size_t count = PAGE; count == PAGE;) {
        int code = pending_read(ward->conn, &page, rows, PAGE, &count, err);
        if (code) return code;
        for (size_t i = 0; i < count; i++) strike(ward, rows[i].id);
        if (count) page.after = rows[count - 1].id;
    }
    return QUERN_OK;
}

/* A lease that another has by now is for the heartbeat to lose. Backwards, for what is struck out closes the gap behind it. */
static int strike_others(struct ward *ward, quern_error *err)
{
    for (uint32_t i = ward->count; i-- > 0;) {
        struct pending_row row;
        struct pending_page page = {ward->key, ward->source->group, NULL, id_before(ward->held[i].entry)};
        size_t count;
        int code = pending_read(ward->conn, &page, &row, 1, &count, err);
        if (code) return code;
        if (count && entry_id_compare(row.id, ward->held[i].entry) == 0) strike(ward, row.id);
    }
    return QUERN_OK;
}

/* ── one origin ──────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Returns how many; *owed: the newest of them. Where a lease was over, another may have had the job and settled it, so that it is
 * pending for nobody as if it had vanished: whoever held it so long acts as a late owner, or is handed it again. */
static uint32_t mark_gone(const struct ward *ward, struct entry_id *owed)
{
    uint32_t marked = 0;
    int64_t now_ns = clock_now_ns();
    *owed = (struct entry_id){0, 0};
    for (uint32_t i = 0; i < ward->count; i++) {
        const struct lease *lease = &ward->held[i];
        if (lease_is_over(lease->granted_ns, now_ns, ward->needs->lease_ns)) continue;
        marked += slot_mark(slots_at(ward->needs->slots, lease->index), lease->generation, SLOT_GONE);
        if (entry_id_compare(lease->entry, *owed) > 0) *owed = lease->entry;
    }
    return marked;
}

static void tell(const struct ward *ward, char made, uint32_t marked)
{
    if (made == EXISTS && marked)
        log_event(ward->needs->log, LOG_WARNING, "pending_vanished", LOG_TEXT("stream", ward->key), LOG_INT("jobs", marked),
                  LOG_TEXT("then", "they are held here and pending for nobody: what they come to is kept from memory"));
    if (made != EXISTS)
        log_event(ward->needs->log, LOG_WARNING, "group_made_again", LOG_TEXT("stream", ward->key),
                  LOG_TEXT("group", ward->source->group), LOG_INT("held", ward->count),
                  LOG_TEXT("why", made == MADE ? "it was gone; what was not settled is delivered again"
                                               : "the stream was gone with all it held"));
}

static int heal_origin(struct ward *ward, uint32_t origin, quern_error *err)
{
    char made;
    collect(ward, origin);
    if (origin_lane(origin) == LANE_ALONE && !ward->count) return QUERN_OK; /* it is there only while something is in it */
    int code = make(ward, &made, err);
    if (!code && made == EXISTS) code = strike_ours(ward, err);
    if (!code && made == EXISTS) code = strike_others(ward, err);
    if (code) return code;
    struct high *high = ward->high;
    uint32_t marked = mark_gone(ward, &high->owed);
    high->seen = (struct entry_id){0, 0};
    if (ward->needs->is_unpended) high->owed = (struct entry_id){0, 0};
    if (made == NEW_STREAM) high->newest = high->owed = (struct entry_id){0, 0}; /* ids begin anew, and nothing comes again */
    tell(ward, made, marked);
    return QUERN_OK;
}

int heal(const struct dispatcher_needs *needs, struct high *high, struct conn *conn, const uint32_t *queues, uint32_t count,
         quern_error *err)
{
    int code = QUERN_OK;
    struct lease *held = malloc(slots_count(needs->slots) * sizeof *held);
    if (!held) return err_set(err, QUERN_E_MEMORY, "no memory to make a group again");
    atomic_store(needs->owed_until_ns, clock_now_ns() + OWED_MS * NS_PER_MS); /* before the first mark */
    for (uint32_t i = 0; i < LANES * count && !code; i++) {
        uint32_t origin = LANES * queues[i / LANES] + i % LANES;
        const char *key = origin_key(needs->sources, origin);
        struct ward ward = {
            needs, origin_source(needs->sources, origin), key, origin_is_private(origin), conn, &high[origin], held, 0};
        if ((code = heal_origin(&ward, origin, err)))
            log_event(needs->log, LOG_ERROR, "heal_failed", LOG_TEXT("stream", key), LOG_TEXT("why", err->text));
    }
    free(held);
    return code;
}
