/* SPDX-License-Identifier: MIT */
#include "intake/tap.h"

#include "base/bytes.h"
#include "base/clock.h"

enum { EMPTY_BLOCK_MS = 50 };

uint32_t tap_slots(const struct tap *tap, const struct read *read)
{
    return STREAMS * read->count * (read->is_of_all ? tap->queue_count : 1);
}

bool tap_is_blocked(const struct tap *tap)
{
    return tap->read_count && tap->reads[0].is_blocking;
}

static void put_streams(const struct tap *tap, const struct dispatcher_needs *needs, const struct read *read)
{
    struct conn *conn = tap->link.conn;
    uint32_t count = read->is_of_all ? tap->queue_count : 1;
    const uint32_t *queues = read->is_of_all ? tap->queues : &read->queue;
    conn_arg_text(conn, "STREAMS");
    for (uint32_t i = 0; i < count; i++) {
        conn_arg_text(conn, needs->sources[queues[i]].retry);
        conn_arg_text(conn, needs->sources[queues[i]].stream);
    }
    for (uint32_t i = 0; i < STREAMS * count; i++) conn_arg_text(conn, ">");
}

static void put_read(const struct tap *tap, const struct dispatcher_needs *needs, const struct read *read)
{
    struct conn *conn = tap->link.conn;
    uint32_t queues = read->is_of_all ? tap->queue_count : 1;
    conn_begin(conn, 7u + 2u * read->is_blocking + needs->is_unpended + 2 * STREAMS * queues);
    conn_arg_text(conn, "XREADGROUP");
    conn_arg_text(conn, "GROUP");
    conn_arg_text(conn, needs->sources[tap->queues[0]].group);
    conn_arg_text(conn, needs->consumer);
    conn_arg_text(conn, "COUNT");
    conn_arg_number(conn, read->count);
    if (read->is_blocking) {
        conn_arg_text(conn, "BLOCK");
        conn_arg_number(conn, needs->until_empty ? EMPTY_BLOCK_MS : needs->block_ms);
    }
    if (needs->is_unpended) conn_arg_text(conn, "NOACK");
    put_streams(tap, needs, read);
}

struct read tap_answered(struct tap *tap, const struct dispatcher_needs *needs)
{
    struct read read = tap->reads[0];
    tap->reads[0] = tap->reads[1];
    tap->read_count--;
    if (read.is_blocking) atomic_store(&needs->blocked_ids[tap->number], 0);
    return read;
}

void tap_send(struct tap *tap, const struct dispatcher_needs *needs, const struct read *read)
{
    struct conn *conn = tap->link.conn;
    /* Said first, then looked whether to stop: so either the reaper sees that it has to unblock us, or we see the stop. */
    if (read->is_blocking) atomic_store(&needs->blocked_ids[tap->number], conn_client_id(conn));
    if (read->is_blocking && atomic_load(needs->is_stopping)) {
        atomic_store(&needs->blocked_ids[tap->number], 0);
        return;
    }
    tap->reads[tap->read_count++] = *read;
    put_read(tap, needs, read);
    counter_add(&needs->counters->reads, 1);
    tap->trouble.code = conn_send(conn, conn_answer_deadline(conn), &tap->trouble);
}

uint32_t tap_origin(const struct tap *tap, const struct dispatcher_needs *needs, const struct read *read, quern_bytes key)
{
    uint32_t queue = read->is_of_all ? tap->queues[0] : read->queue;
    for (uint32_t i = 0; read->is_of_all && i < tap->queue_count; i++) {
        const struct source *source = &needs->sources[tap->queues[i]];
        if (bytes_is(key, source->retry) || bytes_is(key, source->stream)) queue = tap->queues[i];
    }
    return LANES * queue + (bytes_is(key, needs->sources[queue].retry) ? LANE_RETRY : LANE_STREAM);
}

void tap_lose(struct tap *tap, const struct dispatcher_needs *needs, const quern_error *why)
{
    link_fail(&tap->link, why);
    tap->adopted_on = NULL;
    tap->read_count = 0;
    atomic_store(&needs->blocked_ids[tap->number], 0);
}
