/* SPDX-License-Identifier: MIT */

/* publish/publisher: jobs into the stream.
 *
 *      messages ──check all──▶ batches ──▶ send ──answered──▶ receipts
 *                                 ▲          │ lost, refused for now
 *                                 └─backoff──┘ until publish_ms is over
 *
 * Idea       one connection, opened at first use; calls take turns on a lock. A marked batch is asked for again under its number
 *            until it is answered; then either all of it is in the stream, once, or none. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/uuid.h"
#include "config/config.h"
#include "publish/check.h"
#include "publish/send.h"
#include "wire/cluster.h"
#include "wire/group.h"

enum { ONE_ATTEMPT_MS = 5000, LAST_TRY_MS = 100, TRIES = 3, LEAST_TRY_MS = 1000, BATCH_BYTES = 1024 * 1024 };

struct quern_publisher {
    quern_config *config;
    struct url url;
    pthread_mutex_t lock; /* guards the rest */
    struct conn *conn;
    char *marker;
    uint64_t number; /* of the last batch */
    bool has_group;
    _Atomic int inside; /* calls that have begun and not returned */
};

static void publisher_free(quern_publisher *publisher)
{
    conn_close(publisher->conn);
    url_free(&publisher->url);
    quern_config_free(publisher->config);
    free(publisher->marker);
    pthread_mutex_destroy(&publisher->lock);
    free(publisher);
}

static int publisher_fill(quern_publisher *publisher, const quern_config *config, quern_error *err)
{
    char id[UUID_SIZE];
    if (!config) return err_set(err, QUERN_E_ARGUMENT, "no configuration was given");
    if (!config->redis) return err_set(err, QUERN_E_CONFIG, "redis: not set; right would be redis://host:6379 or unix:///path");
    if (!(publisher->config = config_copy(config))) return err_set(err, QUERN_E_MEMORY, "no memory for a publisher");
    uuid_text(id);
    if (asprintf(&publisher->marker, "%s:published:%s", config->stream, id) < 0) {
        publisher->marker = NULL;
        return err_set(err, QUERN_E_MEMORY, "no memory for a publisher");
    }
    return url_read(&publisher->url, config->redis, err);
}

quern_publisher *quern_publisher_open(const quern_config *config, quern_error *err)
{
    quern_publisher *publisher = calloc(1, sizeof *publisher);
    if (!publisher) {
        err_set(err, QUERN_E_MEMORY, "no memory for a publisher");
        return NULL;
    }
    pthread_mutex_init(&publisher->lock, NULL);
    if (!publisher_fill(publisher, config, err)) return publisher;
    publisher_free(publisher);
    return NULL;
}

/* Nobody asks for its last batch again: the marker goes. Sent and not waited for; one that stays expires by itself. */
static void drop_marker(quern_publisher *publisher)
{
    if (!publisher->conn || !publisher->number || !publisher->config->publish_marked) return;
    conn_command(publisher->conn, "DEL", publisher->marker, NULL);
    if (conn_send(publisher->conn, clock_now_ns(), NULL)) return;
}

int quern_publisher_close(quern_publisher *publisher)
{
    if (!publisher) return QUERN_OK;
    if (atomic_load(&publisher->inside)) return QUERN_E_BUSY;
    drop_marker(publisher);
    publisher_free(publisher);
    return QUERN_OK;
}

/* How long a call may take. publish_ms 0 means one attempt, not an impatient one. */
static int64_t budget_ms(const quern_config *config)
{
    return config->publish_ms ? config->publish_ms : ONE_ATTEMPT_MS;
}

/* ── one batch ───────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The connection, and the group where one was asked for. */
static int publisher_connect(quern_publisher *publisher, int64_t deadline_ns, quern_error *err)
{
    const quern_config *config = publisher->config;
    if (!publisher->conn) {
        struct conn_options options = {.url = &publisher->url, .name = "quern:publisher", .answer_ms = budget_ms(config)};
        if (!(publisher->conn = conn_open(&options, deadline_ns, err))) return err->code;
    }
    int code = cluster_check(publisher->conn, config->stream, NULL, err);
    if (code || publisher->has_group || !config->group_is_given) return code;
    code = group_create(publisher->conn, config->stream, config->group, config->start, err);
    publisher->has_group = !code;
    return code;
}

static void publisher_disconnect(quern_publisher *publisher)
{
    conn_close(publisher->conn);
    publisher->conn = NULL;
}

/* May the same be tried again? A lost answer only where a marker tells what it was. */
static bool may_retry(const struct outgoing *batch, int code, int was_sent, enum error_class class)
{
    if (was_sent) return batch->marker != NULL;
    return code == QUERN_E_CONNECT || code == QUERN_E_TIMEOUT || class == ERROR_TRANSIENT;
}

static void set_codes(const struct outgoing *batch, int code)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->receipts[i].code != QUERN_OK) batch->receipts[i].code = code;
}

/* Ends a batch that could not be confirmed. */
static int give_up(const struct outgoing *batch, int code, int may_be_there, quern_error *err)
{
    if (may_be_there) {
        set_codes(batch, QUERN_E_UNKNOWN);
        quern_error why = *err;
        return err_set(err, QUERN_E_UNKNOWN, "it may have been published, or not: the answer was lost (%s)", why.text);
    }
    for (size_t i = 0; i < batch->count; i++)
        if (batch->receipts[i].code == QUERN_E_UNKNOWN) batch->receipts[i].code = code;
    return code;
}

/* How long one try may take: a marked one is asked for again, so a connection that says nothing must not use up the whole budget. */
static int64_t try_deadline_ns(const quern_config *config, const struct outgoing *batch, int64_t deadline_ns)
{
    if (!config->publish_ms) return deadline_ns;
    int64_t ms = config->publish_ms / TRIES > LEAST_TRY_MS ? config->publish_ms / TRIES : LEAST_TRY_MS;
    int64_t try_ns = clock_deadline_ns(clock_now_ns(), ms);
    return batch->marker && try_ns < deadline_ns ? try_ns : deadline_ns;
}

static int publish_batch(quern_publisher *publisher, const struct outgoing *batch, int64_t deadline_ns, quern_error *err)
{
    const quern_config *config = publisher->config;
    struct backoff backoff = {.first_ms = config->backoff_ms, .max_ms = config->backoff_max_ms, .random = backoff_seed()};
    int may_be_there = 0;
    set_codes(batch, QUERN_E_UNKNOWN);
    for (;;) {
        struct error_meaning meaning = {ERROR_UNKNOWN, QUERN_E_SERVER};
        int64_t try_ns = try_deadline_ns(config, batch, deadline_ns);
        int was_sent = 0, code = publisher_connect(publisher, try_ns, err);
        if (!code && !(code = send_batch(publisher->conn, batch, try_ns, &was_sent, &meaning, err))) return QUERN_OK;
        publisher_disconnect(publisher);
        may_be_there |= was_sent;
        int64_t wait_ms = backoff_next_ms(&backoff), left_ms = (deadline_ns - clock_now_ns()) / NS_PER_MS - LAST_TRY_MS;
        bool again = config->publish_ms && may_retry(batch, code, was_sent, meaning.class) && left_ms > 0;
        if (!again) return give_up(batch, code, may_be_there, err);
        poll(NULL, 0, (int)(wait_ms < left_ms ? wait_ms : left_ms)); /* the last try is short of the end, not a whole pause */
    }
}

/* ── all of them ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static int check_all(quern_publisher *publisher, const quern_message *messages, size_t n, quern_error *err)
{
    quern_error why;
    for (size_t i = 0; i < n; i++) {
        int code = check_message(&messages[i], publisher->config->payload_max_bytes, publisher->config->depth_max, &why);
        if (!code) continue;
        return n == 1 ? err_set(err, code, "%s", why.text) : err_set(err, code, "message %zu of %zu: %s", i + 1, n, why.text);
    }
    return QUERN_OK;
}

/* How many messages from the first on make a batch: bounded by number and by bytes. */
static size_t batch_length(const quern_publisher *publisher, const quern_message *messages, size_t n)
{
    size_t count = 0, bytes = 0;
    while (count < n && (int64_t)count < publisher->config->batch_size) {
        bytes += messages[count].data.len;
        if (count && bytes > BATCH_BYTES) break;
        count++;
    }
    return count;
}

static int64_t marker_ms(const quern_config *config)
{
    return 2 * config->publish_ms > MARKER_MS ? 2 * config->publish_ms : MARKER_MS;
}

static int publish_all(quern_publisher *publisher, const quern_message *messages, size_t n, quern_receipt *receipts,
                       quern_error *err)
{
    char now[CLOCK_ISO_SIZE], stamps[2 * CLOCK_ISO_SIZE + 40];
    int64_t deadline_ns = clock_deadline_ns(clock_now_ns(), budget_ms(publisher->config));
    clock_iso(clock_unix_us(), now);
    snprintf(stamps, sizeof stamps, "{\"created_at\":\"%s\",\"updated_at\":\"%s\"}", now, now);
    for (size_t at = 0, count; at < n; at += count) {
        count = batch_length(publisher, messages + at, n - at);
        int code = publish_batch(publisher,
                                 &(struct outgoing){.stream = publisher->config->stream,
                                                    .marker = publisher->config->publish_marked ? publisher->marker : NULL,
                                                    .marker_ms = marker_ms(publisher->config),
                                                    .number = ++publisher->number,
                                                    .stamps = stamps,
                                                    .messages = messages + at,
                                                    .receipts = receipts + at,
                                                    .count = count},
                                 deadline_ns, err);
        if (code) return code;
    }
    return QUERN_OK;
}

int quern_message_check(const quern_config *config, const quern_message *message, quern_error *err)
{
    if (!config || !message) return err_set(err, QUERN_E_ARGUMENT, "no configuration or no message was given");
    return check_message(message, config->payload_max_bytes, config->depth_max, err);
}

/* Receipts for the caller, or for ourselves: each with its id, and not published yet. */
static quern_receipt *prepare(quern_receipt *receipts, size_t n)
{
    quern_receipt *all = receipts ? receipts : malloc(n * sizeof *all);
    for (size_t i = 0; all && i < n; i++) all[i] = (quern_receipt){.code = QUERN_E_TIMEOUT};
    if (all) uuid_texts(all[0].id, sizeof *all, n);
    return all;
}

int quern_publish(quern_publisher *publisher, const quern_message *messages, size_t n, quern_receipt *receipts,
                  quern_error *err)
{
    quern_error own;
    if (!err) err = &own;
    if (!publisher || (n && !messages)) return err_set(err, QUERN_E_ARGUMENT, "no publisher or no messages were given");
    atomic_fetch_add(&publisher->inside, 1);
    int code = check_all(publisher, messages, n, err);
    quern_receipt *all = code || n == 0 ? NULL : prepare(receipts, n);
    if (!all && !code && n) code = err_set(err, QUERN_E_MEMORY, "no memory for %zu receipts", n);
    if (all) {
        pthread_mutex_lock(&publisher->lock);
        code = publish_all(publisher, messages, n, all, err);
        pthread_mutex_unlock(&publisher->lock);
    }
    if (!receipts) free(all);
    atomic_fetch_sub(&publisher->inside, 1);
    return code;
}
