/* SPDX-License-Identifier: MIT */
#include "settle/farewell.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "job/consumers.h"
#include "settle/batch.h"
#include "wire/errors.h"
#include "wire/pending.h"
#include "wire/script.h"

enum { PAGE = SCRIPT_MOVES_MAX };

/* Released by the batch as any other job is; only the lease's name matters, for the script reads the entry itself. */
static int release_page(const struct settler_needs *needs, struct conn *conn, struct batch *batch, uint32_t origin,
                        const struct pending_row *rows, size_t count, quern_error *err)
{
    struct quern_job *jobs = slots_loose(count);
    if (!jobs) return err_set(err, QUERN_E_MEMORY, "no memory for %zu jobs", count);
    batch_begin(batch, ACTION_RELEASE);
    for (size_t i = 0; i < count; i++) {
        jobs[i].message.entry = rows[i].id;
        jobs[i].admitted_ns = clock_now_ns();
        entry_id_text(rows[i].id, jobs[i].message.entry_text);
        atomic_init(&jobs[i].origin, origin);
        atomic_init(&jobs[i].deliveries, rows[i].deliveries);
        batch_add(batch, &jobs[i]);
    }
    int code = batch_ask(batch, needs, conn, err);
    for (uint32_t i = 0; !code && i < batch->count; i++)
        if (batch->answers[i] == ANSWER_MOVED) counter_add(&needs->counters->released, 1);
    batch->count = 0;
    free(jobs);
    return code;
}

static int release_all(const struct settler_needs *needs, struct conn *conn, struct batch *batch, uint32_t origin,
                       quern_error *err)
{
    const struct source *source = origin_source(needs->sources, origin);
    struct pending_page page = {source_key(source, origin_lane(origin)), source->group, needs->consumer, {0, 0}};
    struct pending_row rows[PAGE];
    size_t most = batch->max < PAGE ? batch->max : PAGE; /* nothing is known of their sizes: a few at a time */
    for (size_t count = most; count == most;) {
        int code = pending_read(conn, &page, rows, most, &count, err);
        if (code == QUERN_E_GONE) return QUERN_OK; /* somebody has removed it, and what was pending there is nobody's */
        if (code) return code;
        if (!count) break;
        page.after = rows[count - 1].id;
        if ((code = release_page(needs, conn, batch, origin, rows, count, err))) return code;
    }
    return QUERN_OK;
}

static int leave_queue(const struct settler_needs *needs, struct conn *conn, struct batch *batch, uint32_t queue,
                       quern_error *err)
{
    int code = QUERN_OK;
    for (uint32_t lane = 0; lane < LANES && !code; lane++) code = release_all(needs, conn, batch, LANES * queue + lane, err);
    return code ? code : consumers_leave(conn, &needs->sources[queue], needs->consumer, err);
}

/* The next one from *queue on, which then names the one that was not left. */
static int take_leave(const struct settler_needs *needs, struct conn *conn, struct batch *batches, uint32_t *queue,
                      quern_error *err)
{
    int code = QUERN_OK;
    for (; *queue < needs->source_count; ++*queue)
        if ((code = leave_queue(needs, conn, &batches[*queue], *queue, err))) break;
    return code;
}

static void say_failed(const struct settler_needs *needs, uint32_t queue, const quern_error *why)
{
    log_event(needs->log, LOG_WARNING, "farewell_failed", LOG_TEXT("stream", needs->sources[queue].stream),
              LOG_TEXT("why", why->text), LOG_TEXT("then", "what is still ours comes back when its lease is over"));
}

/* A connection may have broken while it was idle: each queue has a second try, on a new one, which there is no time to wait for. One that
 * is refused then is passed over. */
void farewell(const struct settler_needs *needs, struct link *link, struct batch *batches)
{
    quern_error why;
    uint32_t queue = 0, tried = needs->source_count; /* tried: the one that has failed once */
    struct conn *conn = link_use(link, clock_now_ns());
    while (conn && take_leave(needs, conn, batches, &queue, &why)) {
        link_fail(link, &why);
        if (queue == tried) say_failed(needs, queue, &why);
        if (queue == tried && !error_is_refusal(why.code)) return; /* the server is away */
        if (queue == tried)
            queue++;
        else
            tried = queue;
        conn = link_use(link, link->next_try_ns);
    }
    if (!conn && queue == tried) say_failed(needs, queue, &why);
}
