/* SPDX-License-Identifier: MIT */
#include "support/lot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/mill.h"

struct lot_book lot_book;

quern_verdict lot_close(quern_job *job, void *thread, void *user)
{
    (void)thread, (void)user;
    quern_bytes data = quern_job_data(job), id = quern_job_id(job);
    pthread_mutex_lock(&lot_book.lock);
    if (lot_book.count < LOT_CLOSINGS) {
        snprintf(lot_book.data[lot_book.count], LOT_DATA_BYTES, "%.*s", (int)data.len, data.at);
        snprintf(lot_book.ids[lot_book.count], 40, "%.*s", (int)id.len, id.at);
    }
    lot_book.count++;
    pthread_mutex_unlock(&lot_book.lock);
    return QUERN_DONE;
}

int lot_closings(void)
{
    pthread_mutex_lock(&lot_book.lock);
    int count = lot_book.count;
    pthread_mutex_unlock(&lot_book.lock);
    return count;
}

quern_verdict lot_work(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    int kind = atoi(quern_job_data(job).at);
    (void)thread;
    atomic_fetch_add(&lot_book.ran, 1);
    if (kind == 4) return mill_grind(job, thread, mill);
    return kind == 1 ? QUERN_DEAD : kind == 3 || (kind == 2 && quern_job_retries(job) == 0) ? QUERN_RETRY : QUERN_DONE;
}

struct mill *lot_working(struct mill *mill)
{
    mill_set(mill, "retry_base_ms", "0");
    mill_set(mill, "retry_limit", "2");
    mill_on(mill, &(quern_handler){.event = "closed", .run = lot_close});
    mill_on(mill, &(quern_handler){.event = "*", .run = lot_work});
    mill_start(mill);
    return mill;
}

int lot_scene(void **state)
{
    lot_book = (struct lot_book){.lock = PTHREAD_MUTEX_INITIALIZER};
    return scene_open(state);
}

/* ── publishing ──────────────────────────────────────────────────────────────────────────────────────────────────── */

const quern_message lot_closing = {.size = sizeof(quern_message), .event = "closed"};
quern_message lot_messages[LOT_MOST];
quern_receipt lot_receipts[LOT_MOST];

const quern_message *lot_members(const char *kinds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        lot_messages[i] = (quern_message){.size = sizeof *lot_messages, .event = "job", .data = {kinds + i % strlen(kinds), 1}};
    return lot_messages;
}

quern_publisher *lot_publisher(struct desk *desk)
{
    if (!desk->publisher) desk->publisher = quern_publisher_open(desk->config, &desk->error);
    if (!desk->publisher) fail_msg("%s", desk->error.text);
    return desk->publisher;
}

void lot_publish(struct desk *desk, const char *kinds, size_t n, char id[40])
{
    int code = quern_publish_batch(lot_publisher(desk), lot_members(kinds, n), n, &lot_closing, lot_receipts, id, &desk->error);
    if (code) fail_msg("%s", desk->error.text);
}

int lot_try(struct desk *desk, size_t n, const quern_message *then, char id[40])
{
    return quern_publish_batch(lot_publisher(desk), lot_members("0", n), n, then, lot_receipts, id, &desk->error);
}

quern_batch *lot_open(struct desk *desk, char id[40])
{
    quern_batch *batch = quern_batch_open(lot_publisher(desk), &lot_closing, id, &desk->error);
    if (!batch) fail_msg("%s", desk->error.text);
    return batch;
}

void lot_add(struct desk *desk, quern_batch *batch, const char *kinds, size_t n)
{
    if (quern_batch_add(batch, lot_members(kinds, n), n, lot_receipts, &desk->error)) fail_msg("%s", desk->error.text);
}

void lot_seal(struct desk *desk, quern_batch *batch)
{
    if (quern_batch_seal(batch, &desk->error)) fail_msg("%s", desk->error.text);
    quern_batch_free(batch);
}

/* ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────── */

void lot_is_told(const char *id, int published, int done, int dead, int open)
{
    char said[LOT_DATA_BYTES];
    int found = 0;
    snprintf(said, sizeof said,
             "{\"batch\":{\"id\":\"%s\",\"published\":%d,\"done\":%d,\"dead\":%d,\"open\":%d,\"complete\":%s}}", id, published,
             done, dead, open, open ? "false" : "true");
    for (int i = 0; i < lot_closings() && i < LOT_CLOSINGS; i++) {
        if (strcmp(lot_book.ids[i], id) != 0) continue;
        assert_string_equal(lot_book.data[i], said);
        found++;
    }
    assert_int_equal(found, 1);
}

bool lot_is_gone(struct redis *redis)
{
    return redis_number(redis, "EXISTS", "jobs:g:batches", "jobs:g:batches:open", "jobs:g:batches:state") == 0;
}

long long lot_count(struct redis *redis, const char *id, const char *what)
{
    char field[80];
    snprintf(field, sizeof field, "%s:%s", id, what);
    const struct answer *answer = redis_ask(redis, "HGET", "jobs:g:batches:state", field);
    return answer->kind == '$' ? atoll(answer->text) : -1;
}

void lot_time_passes(struct redis *redis, const char *id)
{
    assert_int_equal(redis_number(redis, "ZADD", "jobs:g:batches", "XX", "CH", "1", id), 1);
}
