/* SPDX-License-Identifier: MIT */

/* publish/publisher: jobs into the stream.
 *
 *      messages ──check all──▶ batch, batch, batch ──▶ attempts ──▶ receipts
 *                              waited for ─┘  └─ on its way behind it
 *
 * Idea       one connection, opened at first use; calls take turns. A marked batch is asked for again under its number
 *            until it is answered; then either all of it is in the stream, once, or none. The next one is sent while it is waited for,
 *            and refused by Redis unless this one is there: so they keep their order, and Redis has work. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/uuid.h"
#include "config/config.h"
#include "config/queues.h"
#include "job/server.h"
#include "publish/async.h"
#include "publish/attempts.h"
#include "publish/check.h"
#include "publish/publisher.h"
#include "publish/receipts.h"
#include "publish/unique.h"

enum {
    ROOM_FIRST_MS = 20,
    ROOM_MAX_MS = 1000, /* pauses until there is room again: no connection is broken */
    BATCH_BYTES = 1024 * 1024,
    TOLD_MAX = 128,
    UNIQUE_MAX = 128, /* of jobs with a window: each costs Redis two commands */
    SPECIAL_MAX = 64  /* of the enqueue script: several */
};

static void publisher_free(quern_publisher *publisher)
{
    conn_close(publisher->conn);
    url_free(&publisher->url);
    quern_config_free(publisher->config);
    free(publisher->keys.marker);
    free(publisher->keys.scheduled);
    free(publisher->keys.scheduled_jobs);
    free(publisher->keys.dead);
    free(publisher->keys.retry);
    free(publisher->keys.batches);
    free(publisher->keys.batch_open);
    free(publisher->keys.batch_state);
    line_close(&publisher->line);
    pthread_mutex_destroy(&publisher->async_lock);
    free(publisher);
}

/* NULL: no memory. */
static char *key(const char *stream, const char *what, const char *more)
{
    char *text;
    return asprintf(&text, "%s:%s%s", stream, what, more) < 0 ? NULL : text;
}

static char *group_key(const quern_config *config, const char *what)
{
    char *text;
    return asprintf(&text, "%s:%s:%s", config->stream, config->group, what) < 0 ? NULL : text;
}

static int name_keys(struct publish_keys *keys, const quern_config *config, quern_error *err)
{
    char id[UUID_SIZE];
    uuid_text(id);
    keys->marker = key(config->stream, "published:", id);
    keys->scheduled = key(config->stream, "scheduled", "");
    keys->scheduled_jobs = key(config->stream, "scheduled", ":jobs");
    keys->dead = config->dead_letter_stream ? strdup(config->dead_letter_stream) : key(config->stream, "failed", "");
    keys->retry = group_key(config, "retry");
    keys->batches = group_key(config, "batches");
    keys->batch_open = group_key(config, "batches:open");
    keys->batch_state = group_key(config, "batches:state");
    if (keys->marker && keys->scheduled && keys->scheduled_jobs && keys->dead && keys->retry && keys->batches &&
        keys->batch_open && keys->batch_state)
        return QUERN_OK;
    return err_set(err, QUERN_E_MEMORY, "no memory for a publisher");
}

static int check_config(const quern_config *config, quern_error *err)
{
    bool drops = config->max_pending && config->on_max_pending == PENDING_DROP_OLDEST;
    if (!drops || (config->unique_by == UNIQUE_BY_KEY && !config->key_of)) return QUERN_OK;
    return err_set(
        err, QUERN_E_CONFIG,
        "on_max_pending: drop_oldest does not go with unique jobs: the one that a duplicate stands for may have been "
        "dropped; use refuse or block, or no unique keys");
}

static int publisher_fill(quern_publisher *publisher, const quern_config *config, quern_error *err)
{
    if (!config) return err_set(err, QUERN_E_ARGUMENT, "no configuration was given");
    if (!config->redis) return err_set(err, QUERN_E_CONFIG, "redis: not set; right would be redis://host:6379 or unix:///path");
    if (!(publisher->config = served_one(config, err))) return err->code;
    int code = check_config(publisher->config, err);
    if (!code) code = name_keys(&publisher->keys, publisher->config, err);
    return code ? code : server_url(&publisher->url, config, publisher->config->stream, err);
}

quern_publisher *quern_publisher_open(const quern_config *config, quern_error *err)
{
    quern_error own;
    if (!err) err = &own;
    quern_publisher *publisher = calloc(1, sizeof *publisher);
    if (!publisher) {
        err_set(err, QUERN_E_MEMORY, "no memory for a publisher");
        return NULL;
    }
    line_open(&publisher->line);
    pthread_mutex_init(&publisher->async_lock, NULL);
    if (!publisher_fill(publisher, config, err)) return publisher;
    publisher_free(publisher);
    return NULL;
}

/* Nobody asks for its last batch again: the marker goes, unless it has still to tell a late copy that it is one. Sent and not waited for;
 * one that stays expires by itself. */
static void drop_marker(quern_publisher *publisher)
{
    if (!publisher->conn || !publisher->has_marked || publisher->may_come_late) return;
    conn_command(publisher->conn, "DEL", publisher->keys.marker, NULL);
    if (conn_send(publisher->conn, clock_now_ns(), NULL)) return;
}

int quern_publisher_close(quern_publisher *publisher)
{
    if (!publisher) return QUERN_OK;
    if (atomic_load(&publisher->inside) || async_close(atomic_load(&publisher->async))) return QUERN_E_BUSY;
    drop_marker(publisher);
    publisher_free(publisher);
    return QUERN_OK;
}

/* ── no room ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* How many of an answered batch need not be sent again: from the first that found no room on, none was taken. */
static size_t count_taken(const quern_receipt *receipts, size_t count)
{
    size_t taken = 0;
    while (taken < count && receipts[taken].code == QUERN_OK) taken++;
    return taken;
}

/* Some found no room. QUERN_OK: try again now. */
static int wait_for_room(const quern_config *config, struct backoff *backoff, size_t taken, int64_t deadline_ns,
                         quern_error *err)
{
    int64_t wait_ms = backoff_next_ms(backoff), left_ms = (deadline_ns - clock_now_ns()) / NS_PER_MS - ATTEMPTS_LAST_MS;
    bool is_dropping = config->on_max_pending == PENDING_DROP_OLDEST;
    bool is_over = left_ms <= 0 || (!config->publish_ms && !(is_dropping && taken));
    if (config->on_max_pending == PENDING_REFUSE || is_over) {
        err_set(err, QUERN_E_FULL, "no room: max_pending (%lld) jobs wait for group %s%s", (long long)config->max_pending,
                config->group, config->on_max_pending == PENDING_REFUSE ? "" : ", and publish_ms is over");
        err->is_retriable = 1; /* it empties by itself */
        return QUERN_E_FULL;
    }
    if (!is_dropping || !taken) poll(NULL, 0, (int)(wait_ms < left_ms ? wait_ms : left_ms)); /* one call drops only so many */
    return QUERN_OK;
}

/* ── all of them ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static int check_all(quern_publisher *publisher, const quern_message *messages, size_t n, quern_error *err)
{
    quern_error why;
    for (size_t i = 0; i < n; i++) {
        int code = check_message(&messages[i], publisher->config, &why);
        if (!code) continue;
        return n == 1 ? err_set(err, code, "%s", why.text) : err_set(err, code, "message %zu of %zu: %s", i + 1, n, why.text);
    }
    return QUERN_OK;
}

int64_t publisher_marker_ms(const quern_config *config)
{
    return 2 * config->publish_ms > MARKER_MS ? 2 * config->publish_ms : MARKER_MS;
}

/* What one call publishes. */
struct parcel {
    const quern_message *messages;
    quern_receipt *receipts;
    char *const *windows; /* per message: the key of its dedup window, or NULL */
    size_t count;
    struct outgoing_batch *batch; /* that they are of, or NULL */
    uint64_t next_number;         /* that the next batch was given, for it was sent ahead; 0: none yet */
    char stamps[2 * CLOCK_ISO_SIZE + 40];
};

/* Does the i-th need nothing but to be written, if it is the first of its key? */
static bool is_plain(const quern_config *config, const struct parcel *parcel, size_t i)
{
    const quern_message *message = &parcel->messages[i];
    return !parcel->batch && config->publish_shape == SHAPE_FIELDS && !config->max_pending && !message->delay_ms &&
           !message->at_ms && !message->expire_at_ms && !message->key;
}

/* How many messages from there on make a batch: bounded by number and by bytes. What needs more than an XADD costs Redis more; those that
 * need no more, and no marker, are sent through a window of their own, however many there are. */
static size_t batch_length(const quern_config *config, const struct parcel *parcel, size_t from, bool *are_plain,
                           bool *are_unique)
{
    size_t count = 0, bytes = 0, size = (size_t)config->batch_size, most = config->publish_marked ? size : SIZE_MAX;
    *are_plain = !parcel->batch;
    *are_unique = false;
    for (; from + count < parcel->count && count < most; count++) {
        bool is_unique = parcel->windows[from + count] != NULL, is_special = !is_plain(config, parcel, from + count);
        bytes += parcel->messages[from + count].data.len;
        if (is_unique && most > UNIQUE_MAX) most = size < UNIQUE_MAX ? size : UNIQUE_MAX;
        if (is_special && most > SPECIAL_MAX) most = size < SPECIAL_MAX ? size : SPECIAL_MAX;
        if (count >= most || (count && bytes > BATCH_BYTES && most != SIZE_MAX)) break;
        *are_unique |= is_unique;
        *are_plain &= !is_special;
    }
    return count;
}

/* The batch that begins there, all but its number and what it is of. */
static struct outgoing batch_from(const quern_publisher *publisher, const struct parcel *parcel, size_t from)
{
    const quern_config *config = publisher->config;
    bool are_plain, are_unique;
    size_t count = batch_length(config, parcel, from, &are_plain, &are_unique);
    bool is_marked = !are_plain || are_unique || config->publish_marked; /* what goes by a script needs a marker */
    return (struct outgoing){.config = config,
                             .keys = &publisher->keys,
                             .marker = is_marked ? publisher->keys.marker : NULL,
                             .marker_ms = publisher_marker_ms(config),
                             .stamps = parcel->stamps,
                             .messages = parcel->messages + from,
                             .windows = parcel->windows + from,
                             .is_plain = are_plain,
                             .receipts = parcel->receipts + from,
                             .count = count,
                             .place = from};
}

/* The two of them go one behind the other, and keep their numbers whatever befalls their connection: under these they are asked for. */
static void number_batches(quern_publisher *publisher, struct parcel *parcel, struct outgoing *batch, struct outgoing *next)
{
    batch->number = parcel->next_number ? parcel->next_number : ++publisher->number;
    parcel->next_number = 0;
    if (!next->count || !batch->marker || !batch->is_plain || !next->marker || !next->is_plain) return;
    batch->next = next;
    next->number = parcel->next_number = ++publisher->number;
}

static int publish_some(quern_publisher *publisher, struct parcel *parcel, size_t from, size_t *count, int64_t deadline_ns,
                        quern_error *err)
{
    struct outgoing batch = batch_from(publisher, parcel, from), next = batch_from(publisher, parcel, from + batch.count);
    struct outgoing_batch of = parcel->batch ? *parcel->batch : (struct outgoing_batch){0};
    *count = batch.count;
    if (next.count) of.sealed_ms = 0;
    if (parcel->batch) batch.batch = &of;
    publisher->has_marked |= batch.marker != NULL;
    number_batches(publisher, parcel, &batch, &next);
    int code = attempts_make(publisher, &batch, deadline_ns, err);
    /* Where this one is certainly not there, neither is what was sent behind it. */
    if (code == QUERN_E_UNKNOWN && batch.next && publisher->adrift == next.number) attempts_set_codes(&next, QUERN_E_UNKNOWN);
    if (!code && parcel->batch) parcel->batch->then = NULL; /* it is made */
    return code;
}

static int too_late(quern_error *err)
{
    return err_set(err, QUERN_E_TIMEOUT,
                   "publish_ms was over before it was this message's turn: a longer one would do, or fewer messages at a time");
}

static int publish_all(quern_publisher *publisher, struct parcel *parcel, int64_t deadline_ns, quern_error *err)
{
    const quern_config *config = publisher->config;
    struct backoff backoff = {.first_ms = ROOM_FIRST_MS, .max_ms = ROOM_MAX_MS, .random = backoff_seed()};
    char now[CLOCK_ISO_SIZE];
    clock_iso(clock_unix_us(), now);
    snprintf(parcel->stamps, sizeof parcel->stamps, "{\"created_at\":\"%s\",\"updated_at\":\"%s\"}", now, now);
    for (size_t i = 0; i < parcel->count; i++) memcpy(parcel->receipts[i].created_at, now, sizeof now);
    size_t at = 0, count;
    do { /* a batch is sealed also where no message is left */
        bool may_be_there = publisher->ahead || (parcel->next_number && parcel->next_number == publisher->adrift);
        if (!may_be_there && clock_now_ns() >= deadline_ns) return too_late(err);
        int code = publish_some(publisher, parcel, at, &count, deadline_ns, err);
        size_t taken = code ? 0 : count_taken(parcel->receipts + at, count);
        if (!code && taken < count) code = wait_for_room(config, &backoff, taken, deadline_ns, err);
        if (code) return code;
        at += taken;
    } while (at < parcel->count);
    return QUERN_OK;
}

int quern_message_check(const quern_config *config, const quern_message *message, quern_error *err)
{
    if (!config || !message) return err_set(err, QUERN_E_ARGUMENT, "no configuration or no message was given");
    return check_message(message, config, err);
}

/* Receipts for the caller, or for ourselves: each with its id, and not published yet. */
static int parcel_open(struct parcel *parcel, quern_receipt *receipts, quern_error *err)
{
    parcel->receipts = receipts ? receipts : malloc((parcel->count + 1) * sizeof *parcel->receipts);
    if (!parcel->receipts) return err_set(err, QUERN_E_MEMORY, "no memory for %zu receipts", parcel->count);
    for (size_t i = 0; i < parcel->count; i++) parcel->receipts[i] = (quern_receipt){.code = QUERN_E_TIMEOUT};
    if (parcel->count) uuid_texts(parcel->receipts[0].id, sizeof *parcel->receipts, parcel->count);
    return QUERN_OK;
}

static void tell(const quern_config *config, const struct parcel *parcel, int64_t took_ns, const char *why)
{
    for (size_t i = 0; i < parcel->count; i++) {
        const quern_receipt *receipt = &parcel->receipts[i];
        quern_bytes event = bytes_of(parcel->messages[i].event);
        if (event.len > TOLD_MAX) event.len = TOLD_MAX;
        config->observer(config->observer_user, &(quern_notice){.size = sizeof(quern_notice),
                                                                .what = QUERN_NOTICE_PUBLISH,
                                                                .outcome = receipt->code,
                                                                .event = event,
                                                                .id = bytes_of(receipt->id),
                                                                .run_us = took_ns / NS_PER_US,
                                                                .text = receipt->code ? why : NULL,
                                                                .cpu_us = -1});
    }
}

static int publish_parcel(quern_publisher *publisher, struct parcel *parcel, quern_receipt *receipts, quern_error *err)
{
    const quern_config *config = publisher->config;
    int64_t from_ns = clock_now_ns(); /* the wait for those before it counts */
    int64_t deadline_ns = clock_deadline_ns(from_ns, attempts_budget_ms(config));
    int code = parcel_open(parcel, receipts, err);
    bool is_told = !code && config->observer && config->observed & QUERN_NOTICE_PUBLISH;
    if (!code && !line_enter(&publisher->line, deadline_ns)) {
        code = too_late(err);
    } else if (!code) {
        code = publish_all(publisher, parcel, deadline_ns, err);
        line_leave(&publisher->line);
    }
    if (is_told) tell(config, parcel, clock_now_ns() - from_ns, code ? err->text : NULL);
    if (!receipts) free(parcel->receipts);
    return code;
}

int publisher_publish(quern_publisher *publisher, const quern_message *messages, char *const *windows, size_t n,
                      quern_receipt *receipts, quern_error *err)
{
    struct parcel parcel = {.messages = messages, .windows = windows, .count = n};
    return publish_parcel(publisher, &parcel, receipts, err);
}

/* The windows of the messages that are to be there once. On failure some may be filled. */
static int name_windows(const quern_config *config, const quern_message *messages, char **windows, size_t n, quern_error *err)
{
    quern_error why;
    for (size_t i = 0; i < n; i++) {
        int code = unique_key(config, &messages[i], &windows[i], &why);
        if (code)
            return n == 1 ? err_set(err, code, "%s", why.text)
                          : err_set(err, code, "message %zu of %zu: %s", i + 1, n, why.text);
    }
    return QUERN_OK;
}

static int publish(quern_publisher *publisher, const quern_message *messages, size_t n, struct outgoing_batch *batch,
                   quern_receipt *receipts, quern_error *err)
{
    char **windows = calloc(n + 1, sizeof *windows);
    struct parcel parcel = {.messages = messages, .windows = windows, .count = n, .batch = batch};
    int code = windows ? name_windows(publisher->config, messages, windows, n, err)
                       : err_set(err, QUERN_E_MEMORY, "no memory for %zu messages", n);
    if (code)
        receipts_refuse(receipts, n, code);
    else
        code = publish_parcel(publisher, &parcel, receipts, err);
    for (size_t i = 0; windows && i < n; i++) free(windows[i]);
    free(windows);
    return code;
}

int publisher_take(quern_publisher *publisher, const quern_message *messages, size_t n, struct outgoing_batch *batch,
                   quern_receipt *receipts, quern_error *err)
{
    int code = check_all(publisher, messages, n, err);
    if (!code) return publish(publisher, messages, n, batch, receipts, err);
    receipts_refuse(receipts, n, code);
    return code;
}

int quern_publish(quern_publisher *publisher, const quern_message *messages, size_t n, quern_receipt *receipts,
                  quern_error *err)
{
    quern_error own;
    if (!err) err = &own;
    if (!publisher || (n && !messages)) return err_set(err, QUERN_E_ARGUMENT, "no publisher or no messages were given");
    atomic_fetch_add(&publisher->inside, 1);
    int code = n ? publisher_take(publisher, messages, n, NULL, receipts, err) : QUERN_OK;
    atomic_fetch_sub(&publisher->inside, 1);
    return code;
}
