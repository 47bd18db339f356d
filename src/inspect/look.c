/* SPDX-License-Identifier: MIT */
#include "inspect/look.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "config/queues.h"
#include "job/server.h"
#include "wire/cluster.h"
#include "wire/group.h"

enum { ONE_ATTEMPT_MS = 5000, ANSWER_MS = 10000 };

static int connect_to(struct look *look, const quern_config *config, const char *name, bool is_judged, quern_error *err)
{
    if (!config->redis) return err_set(err, QUERN_E_CONFIG, "redis: not set; right would be redis://host:6379 or unix:///path");
    int64_t ms = config->connect_ms ? config->connect_ms : ONE_ATTEMPT_MS;
    struct conn_options options = {.url = &look->url, .name = name, .answer_ms = ANSWER_MS, .takes_any_version = !is_judged};
    int code = server_url(&look->url, config, config->stream, err);
    if (code) return code;
    look->conn = conn_open(&options, clock_deadline_ns(clock_now_ns(), ms), err);
    return look->conn ? QUERN_OK : err->code;
}

static int check_keys(struct look *look, quern_error *err)
{
    const struct source *source = &look->source;
    int code = cluster_check(look->conn, source->stream, source->dead, err);
    if (!code) code = key_must_be(look->conn, source->stream, "stream", err);
    if (!code) code = key_must_be(look->conn, source->retry, "stream", err);
    if (!code) code = key_must_be(look->conn, source->completed, "stream", err);
    if (!code) code = key_must_be(look->conn, source->dead, "stream", err);
    if (!code) code = key_must_be(look->conn, source->alone, "stream", err);
    if (!code) code = key_must_be(look->conn, source->delayed, "zset", err);
    if (!code) code = key_must_be(look->conn, source->batches, "zset", err);
    return code;
}

int look_open(struct look *look, const quern_config *config, quern_error *err)
{
    return look_open_as(look, config, "quern:look", err);
}

static int open_look(struct look *look, const quern_config *config, const char *name, bool is_judged, quern_error *err)
{
    quern_error own;
    *look = (struct look){0};
    if (!err) err = &own;
    if (!config) return err_set(err, QUERN_E_ARGUMENT, "no configuration was given");
    if (!(look->config = served_one(config, err))) return err->code;
    config = look->config;
    int code = source_open(&look->source, config->stream, config->group, config->dead_letter_stream, err);
    if (!code) code = connect_to(look, config, name, is_judged, err);
    if (!code && is_judged) code = check_keys(look, err);
    if (!code) code = look_at_clock(look, err);
    if (code) look_close(look);
    return code;
}

int look_open_as(struct look *look, const quern_config *config, const char *name, quern_error *err)
{
    return open_look(look, config, name, true, err);
}

int look_open_unjudged(struct look *look, const quern_config *config, const char *name, quern_error *err)
{
    return open_look(look, config, name, false, err);
}

void look_close(struct look *look)
{
    conn_close(look->conn);
    url_free(&look->url);
    source_close(&look->source);
    quern_config_free(look->config);
    *look = (struct look){0};
}

static bool is_missing(const struct reply *reply)
{
    static const char no_key[] = "ERR no such key";
    quern_bytes text = reply_bytes(reply);
    return reply_is_error(reply, "NOGROUP") ||
           (reply->type == REPLY_ERROR && text.len >= sizeof no_key - 1 && memcmp(text.at, no_key, sizeof no_key - 1) == 0);
}

int look_ask(struct look *look, const struct reply **reply, quern_error *err)
{
    static const struct reply nothing = {.type = REPLY_NIL};
    int64_t deadline_ns = conn_answer_deadline(look->conn);
    int code = conn_send(look->conn, deadline_ns, err);
    if (!code) code = conn_reply(look->conn, deadline_ns, reply, err);
    if (code || (*reply)->type != REPLY_ERROR) return code;
    if (!is_missing(*reply)) return conn_refused(*reply, look->url.shown, err);
    *reply = &nothing;
    return QUERN_OK;
}

int look_ask_number(struct look *look, int64_t *number, quern_error *err)
{
    const struct reply *reply;
    int code = look_ask(look, &reply, err);
    if (!code) *number = reply_number(reply, 0);
    return code;
}

int look_for_stream(struct look *look, const char *other, quern_error *err)
{
    int64_t found;
    conn_command(look->conn, "EXISTS", look->source.stream, other, NULL);
    int code = look_ask_number(look, &found, err);
    if (code || found) return code;
    return err_set(err, QUERN_E_GONE, "there is no stream %s at %s", look->source.stream, look->url.shown);
}

int look_for_group(struct look *look, quern_error *err)
{
    const struct reply *groups;
    conn_command(look->conn, "XINFO", "GROUPS", look->source.stream, NULL);
    int code = look_ask(look, &groups, err);
    if (code) return code;
    for (uint32_t i = 0; groups->type == REPLY_ARRAY && i < groups->count; i++)
        if (bytes_is(reply_bytes(reply_field(&groups->items[i], "name")), look->source.group)) return QUERN_OK;
    return look_no_group(look, err);
}

int look_no_group(struct look *look, quern_error *err)
{
    return err_set(err, QUERN_E_GONE, "the stream %s at %s has no group %s", look->source.stream, look->url.shown,
                   look->source.group);
}

int look_at_clock(struct look *look, quern_error *err)
{
    const struct reply *reply;
    conn_command(look->conn, "TIME", NULL);
    int code = look_ask(look, &reply, err);
    if (code) return code;
    look->now_ms = reply_number(reply_item(reply, 0), 0) * 1000 + reply_number(reply_item(reply, 1), 0) / 1000;
    return QUERN_OK;
}
