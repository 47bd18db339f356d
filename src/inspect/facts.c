/* SPDX-License-Identifier: MIT */
#include "inspect/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/queues.h"
#include "inspect/info.h"
#include "inspect/show.h"
#include "wire/errors.h"

enum { PROBES = 200, PROBES_MS = 500 };

const char *facts_product(const struct facts *facts)
{
    return facts->product == PRODUCT_VALKEY ? "Valkey" : "Redis";
}

void facts_take_info(struct facts *facts)
{
    quern_bytes valkey = info_field(facts->info, "valkey_version"), redis = info_field(facts->info, "redis_version");
    facts->product = valkey.at ? PRODUCT_VALKEY : PRODUCT_REDIS;
    quern_bytes text = valkey.at ? valkey : redis;
    facts->has_version = version_read(text, &facts->version);
    snprintf(facts->version_text, sizeof facts->version_text, "%.*s", (int)text.len, text.at ? text.at : "");
}

/* Sends what was laid out; an error of the server is an answer, too, but for one that passes. */
static int ask(struct look *look, const struct reply **reply, quern_error *err)
{
    int64_t deadline_ns = conn_answer_deadline(look->conn);
    int code = conn_send(look->conn, deadline_ns, err);
    if (!code) code = conn_reply(look->conn, deadline_ns, reply, err);
    bool passes = !code && (*reply)->type == REPLY_ERROR && error_meaning(reply_bytes(*reply)).class == ERROR_TRANSIENT;
    return passes ? conn_refused(*reply, look->url.shown, err) : code;
}

static int read_info(struct look *look, struct facts *facts, quern_error *err)
{
    const struct reply *reply;
    conn_command(look->conn, "INFO", NULL);
    int code = ask(look, &reply, err);
    if (code || reply->type != REPLY_TEXT) return code;
    facts->info = bytes_copy(reply_bytes(reply));
    if (!facts->info) return err_set(err, QUERN_E_MEMORY, "no memory for what the server says of itself");
    facts_take_info(facts);
    return QUERN_OK;
}

static void copy(char *text, size_t size, quern_bytes bytes)
{
    snprintf(text, size, "%.*s", (int)bytes.len, bytes.at ? bytes.at : "");
}

static int read_config(struct look *look, struct facts *facts, quern_error *err)
{
    const struct reply *reply;
    conn_command(look->conn, "CONFIG", "GET", "appendfsync", "save", "timeout", "min-replicas-to-write", NULL);
    int code = ask(look, &reply, err);
    if (code) return code;
    facts->has_config = reply->type == REPLY_ARRAY && reply->count;
    if (reply->type == REPLY_ERROR) copy(facts->why_not, sizeof facts->why_not, reply_bytes(reply));
    facts->has_snapshots = reply_bytes(reply_field(reply, "save")).len > 0;
    copy(facts->appendfsync, sizeof facts->appendfsync, reply_bytes(reply_field(reply, "appendfsync")));
    facts->timeout_s = reply_number(reply_field(reply, "timeout"), 0);
    facts->min_replicas = reply_number(reply_field(reply, "min-replicas-to-write"), 0);
    return QUERN_OK;
}

static int compare(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

/* The clock is told by the quickest answer, the round trip is that in the middle. By TIME: as short a question as PING, which a
 * server that cannot write to its disk refuses, and who may look may ask it. */
static int probe(struct look *look, struct facts *facts, quern_error *err)
{
    int64_t took_ns[PROBES], began_ns = clock_now_ns(), quickest_ns = INT64_MAX, probes = 0;
    while (probes < PROBES && (probes == 0 || clock_now_ns() - began_ns < PROBES_MS * NS_PER_MS)) {
        int64_t sent_ns = clock_now_ns(), sent_ms = clock_unix_ms();
        int code = look_at_clock(look, err);
        if (code) return code;
        took_ns[probes] = clock_now_ns() - sent_ns;
        if (took_ns[probes] < quickest_ns) {
            quickest_ns = took_ns[probes];
            facts->ahead_ms = look->now_ms - (sent_ms + quickest_ns / NS_PER_MS / 2);
            facts->unsure_ms = quickest_ns / NS_PER_MS / 2 + 1;
        }
        probes++;
    }
    qsort(took_ns, (size_t)probes, sizeof *took_ns, compare);
    facts->round_trip_us = took_ns[probes / 2] / NS_PER_US;
    facts->probes = probes;
    return QUERN_OK;
}

int facts_ask(struct look *look, struct facts *facts, quern_error *err)
{
    *facts = (struct facts){0};
    int code = read_info(look, facts, err);
    if (!code) code = read_config(look, facts, err);
    if (code) facts_close(facts);
    return code;
}

int facts_read(struct look *look, struct facts *facts, quern_error *err)
{
    int code = facts_ask(look, facts, err);
    if (code) return code;
    code = probe(look, facts, err);
    if (code) facts_close(facts);
    return code;
}

void facts_close(struct facts *facts)
{
    free(facts->info);
    facts->info = NULL;
}

/* ── for everybody ───────────────────────────────────────────────────────────────────────────────────────────────── */

/* User and system together; -1: one is not told. */
static int64_t sum_us(const char *info, const char *user, const char *system)
{
    int64_t user_us = info_us(info, user), system_us = info_us(info, system);
    return user_us < 0 || system_us < 0 ? -1 : user_us + system_us;
}

static bool show_if_told(json_t *object, const char *name, int64_t number)
{
    return show_number_or_null(object, name, number, number >= 0);
}

static json_t *object_of(const struct look *look, const struct facts *facts)
{
    const char *info = facts->info;
    json_t *object = json_pack("{s:s, s:b}", "product", facts_product(facts), "cluster", conn_is_cluster(look->conn));
    bool is_whole =
        object && show_bytes(object, "redis", bytes_of(look->url.shown)) &&
        (facts->has_version ? show_bytes(object, "version", bytes_of(facts->version_text)) : show_null(object, "version")) &&
        show_bytes(object, "role", info_field(info, "role")) &&
        show_if_told(object, "uptime_s", info_number(info, "uptime_in_seconds", -1)) &&
        show_if_told(object, "used_cpu_us", sum_us(info, "used_cpu_user", "used_cpu_sys")) &&
        show_if_told(object, "main_thread_cpu_us", sum_us(info, "used_cpu_user_main_thread", "used_cpu_sys_main_thread")) &&
        show_if_told(object, "used_memory_bytes", info_number(info, "used_memory", -1)) &&
        show_if_told(object, "maxmemory_bytes", info_number(info, "maxmemory", -1)) &&
        show_number(object, "clock_ahead_ms", facts->ahead_ms) && show_number(object, "round_trip_us", facts->round_trip_us);
    if (is_whole) return object;
    json_decref(object);
    return NULL;
}

char *quern_server_facts(const quern_config *config, quern_error *err)
{
    struct look look;
    struct served served;
    struct facts facts;
    quern_error own;
    if (!err) err = &own;
    int code = config ? served_open(config, &served, err) : err_set(err, QUERN_E_ARGUMENT, "no configuration was given");
    if (code) return NULL;
    code = look_open_unjudged(&look, served.at[0], "quern:look", err); /* all queues are on one server */
    served_close(&served);
    if (code) return NULL;
    code = facts_read(&look, &facts, err);
    char *text = code ? NULL : show_text(object_of(&look, &facts), err);
    if (!code) facts_close(&facts);
    look_close(&look);
    return text;
}
