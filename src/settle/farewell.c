/* SPDX-License-Identifier: MIT */
#include "settle/farewell.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "job/consumers.h"
#include "settle/batch.h"
#include "wire/pending.h"
#include "wire/script.h"

enum { PAGE = SCRIPT_MOVES_MAX };

/* Released by the batch as any other job is; only the lease's name matters, for the script reads the entry itself. */
static int release_page(const struct settler_needs *needs, struct conn *conn, struct batch *batch, uint32_t origin,
                        const struct pending_row *rows, size_t count, quern_error *err)
{
    struct quern_job *jobs = slots_loose(count);
    if (!jobs) return QUERN_E_MEMORY;
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
        if (code == QUERN_E_GONE && origin_lane(origin) == LANE_ALONE)
            return QUERN_OK; /* it is there only while it holds something */
        if (code) return code;
        if (!count) break;
        page.after = rows[count - 1].id;
        if ((code = release_page(needs, conn, batch, origin, rows, count, err))) return code;
    }
    return QUERN_OK;
}

static int take_leave(const struct settler_needs *needs, struct conn *conn, struct batch *batch, quern_error *err)
{
    int code = QUERN_OK;
    for (uint32_t origin = 0; origin < LANES * needs->source_count && !code; origin++)
        code = release_all(needs, conn, batch, origin, err);
    for (uint32_t i = 0; i < needs->source_count && !code; i++)
        code = consumers_leave(conn, &needs->sources[i], needs->consumer, err);
    return code;
}

void farewell(const struct settler_needs *needs, struct link *link, struct batch *batch)
{
    quern_error why;
    struct conn *conn = link_use(link, clock_now_ns());
    int code = conn ? take_leave(needs, conn, batch, &why) : QUERN_OK;
    if (code) {
        /* It may have broken while it was idle: once more, on a new one, which there is no time to wait for. */
        link_fail(link, &why);
        if ((conn = link_use(link, link->next_try_ns))) code = take_leave(needs, conn, batch, &why);
    }
    if (code)
        log_event(needs->log, LOG_WARNING, "farewell_failed", LOG_TEXT("why", why.text),
                  LOG_TEXT("then", "what is still ours comes back when its lease is over"));
}
