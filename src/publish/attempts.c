/* SPDX-License-Identifier: MIT */
#include "publish/attempts.h"

#include <poll.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/err.h"
#include "publish/publisher.h"
#include "wire/cluster.h"
#include "wire/group.h"

enum { ONE_ATTEMPT_MS = 5000, TRIES = 3, LEAST_TRY_MS = 1000 };

int64_t attempts_budget_ms(const quern_config *config)
{
    return config->publish_ms ? config->publish_ms : ONE_ATTEMPT_MS;
}

/* The connection, and the group where one was asked for. */
static int publisher_connect(quern_publisher *publisher, int64_t deadline_ns, quern_error *err)
{
    const quern_config *config = publisher->config;
    if (publisher->ahead) return QUERN_OK;
    if (!publisher->conn) {
        struct conn_options options = {
            .url = &publisher->url, .name = "quern:publisher", .answer_ms = attempts_budget_ms(config)};
        if (!(publisher->conn = conn_open(&options, deadline_ns, err))) return err->code;
    }
    int code = cluster_check(publisher->conn, config->stream, config->dead_letter_stream, err);
    if (code || publisher->has_group || (!config->group_is_given && !config->max_pending)) return code;
    code = group_create(publisher->conn, config->stream, config->group, config->start, deadline_ns, err);
    publisher->has_group = !code;
    return code;
}

/* What was sent behind what was asked for last may be read from it as late as that is there, by a later try. */
static void publisher_disconnect(quern_publisher *publisher)
{
    if (publisher->ahead) publisher->adrift = publisher->ahead;
    publisher->ahead = 0;
    conn_close(publisher->conn);
    publisher->conn = NULL;
}

/* May the same be tried again? A lost answer only where a marker tells what it was. */
static bool may_retry(const struct outgoing *batch, int code, int sent, enum error_class class)
{
    /* What has failed half-way would do so again; what was overtaken would come behind what has overtaken it. */
    if (sent != SENT_NOTHING) return batch->marker && sent == SENT_UNANSWERED;
    return code == QUERN_E_CONNECT || code == QUERN_E_TIMEOUT || class == ERROR_TRANSIENT;
}

void attempts_set_codes(const struct outgoing *batch, int code)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->receipts[i].code != QUERN_OK) batch->receipts[i].code = code;
}

/* Ends a batch that could not be confirmed. */
static int give_up(const struct outgoing *batch, int code, bool may_be_there, quern_error *err)
{
    if (may_be_there) {
        if (batch->marker) attempts_set_codes(batch, QUERN_E_UNKNOWN);
        quern_error why = *err;
        return err_set(err, QUERN_E_UNKNOWN, "it may have been published, or not (%s)", why.text);
    }
    for (size_t i = 0; i < batch->count; i++)
        if (batch->receipts[i].code == QUERN_E_UNKNOWN || batch->receipts[i].code == QUERN_E_TIMEOUT)
            batch->receipts[i].code = code;
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

int attempts_make(quern_publisher *publisher, const struct outgoing *batch, int64_t deadline_ns, quern_error *err)
{
    const quern_config *config = publisher->config;
    struct backoff backoff = {.first_ms = config->backoff_ms, .max_ms = config->backoff_max_ms, .random = backoff_seed()};
    struct outgoing alone = *batch;
    bool may_be_there = publisher->adrift == batch->number;
    alone.next = NULL;
    if (batch->marker) attempts_set_codes(batch, QUERN_E_UNKNOWN);
    for (const struct outgoing *attempt = batch;; attempt = &alone) { /* a slow connection has enough with one */
        struct error_meaning meaning = {ERROR_UNKNOWN, QUERN_E_SERVER};
        int64_t try_ns = try_deadline_ns(config, batch, deadline_ns);
        int sent = 0, code = publisher_connect(publisher, try_ns, err);
        if (code == QUERN_E_SERVER && err->is_retriable) meaning.class = ERROR_TRANSIENT; /* no group, for the time being */
        if (!code && !(code = send_batch(publisher->conn, attempt, &publisher->ahead, try_ns, &sent, &meaning, err)))
            return QUERN_OK;
        may_be_there |= sent == SENT_UNANSWERED || sent == SENT_HALF;
        publisher->may_come_late |= sent == SENT_UNANSWERED;
        publisher_disconnect(publisher);
        if (code == QUERN_E_GONE) may_be_there = false; /* had an earlier try done it, the marker would have told */
        bool is_group_gone = meaning.class == ERROR_HEAL && publisher->has_group;
        if (is_group_gone) publisher->has_group = false; /* somebody has removed it: it is made again */
        int64_t wait_ms = backoff_next_ms(&backoff), left_ms = (deadline_ns - clock_now_ns()) / NS_PER_MS - ATTEMPTS_LAST_MS;
        bool again = config->publish_ms && (is_group_gone || may_retry(batch, code, sent, meaning.class)) && left_ms > 0;
        if (!again) return give_up(batch, code, may_be_there, err);
        poll(NULL, 0, (int)(wait_ms < left_ms ? wait_ms : left_ms)); /* the last try is short of the end, not a whole pause */
    }
}
