/* SPDX-License-Identifier: MIT */
#include "intake/tap.h"

#include "base/bytes.h"
#include "base/clock.h"

enum { EMPTY_BLOCK_MS = 50 };

static uint32_t queue_count(const struct read *read)
{
    return (uint32_t)__builtin_popcount(read->queues);
}

static uint32_t stream_count(const struct read *read)
{
    return (read->is_of_retries ? 1 : STREAMS) * queue_count(read);
}

uint32_t read_slots(const struct read *read)
{
    return read->count * stream_count(read);
}

bool tap_is_blocked(const struct tap *tap)
{
    return tap->read_count && tap->reads[0].is_blocking;
}

static void put_streams(struct conn *conn, const struct dispatcher_needs *needs, const struct read *read)
{
    conn_arg_text(conn, "STREAMS");
    for (uint32_t queue = 0; queue < needs->source_count; queue++) {
        if (!read_is_of(read, queue)) continue;
        conn_arg_text(conn, needs->sources[queue].retry);
        if (!read->is_of_retries) conn_arg_text(conn, needs->sources[queue].stream);
    }
    for (uint32_t i = 0; i < stream_count(read); i++) conn_arg_text(conn, ">");
}

static void put_read(const struct tap *tap, const struct dispatcher_needs *needs, const struct read *read)
{
    struct conn *conn = tap->link.conn;
    conn_begin(conn, 7u + 2u * read->is_blocking + needs->is_unpended + 2 * stream_count(read));
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
    put_streams(conn, needs, read);
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

uint32_t read_origin(const struct read *read, const struct dispatcher_needs *needs, quern_bytes key)
{
    uint32_t queue = 0;
    while (queue + 1 < needs->source_count && !(read_is_of(read, queue) && (bytes_is(key, needs->sources[queue].retry) ||
                                                                            bytes_is(key, needs->sources[queue].stream))))
        queue++;
    return LANES * queue + (bytes_is(key, needs->sources[queue].retry) ? LANE_RETRY : LANE_STREAM);
}

void tap_lose(struct tap *tap, const struct dispatcher_needs *needs, const quern_error *why)
{
    link_fail(&tap->link, why);
    tap->adopted_on = NULL;
    tap->read_count = 0;
    atomic_store(&needs->blocked_ids[tap->number], 0);
}
