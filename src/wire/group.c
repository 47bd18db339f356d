/* SPDX-License-Identifier: MIT */
#include "wire/group.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"

/* What XINFO STREAM tells by that name, as text; false: nothing. */
static bool stream_fact(const struct reply *reply, const char *name, char *text, size_t size)
{
    for (uint32_t i = 0; reply->type == REPLY_ARRAY && i + 1 < reply->count; i += 2) {
        const struct reply *value = reply_item(reply, i + 1);
        if (!bytes_is(reply_bytes(reply_item(reply, i)), name)) continue;
        quern_bytes bytes = reply_bytes(value);
        int n = reply_is_text(value) ? snprintf(text, size, "%.*s", (int)bytes.len, bytes.at)
                                     : snprintf(text, size, "%lld", (long long)reply_number(value, -1));
        return n > 0 && (size_t)n < size;
    }
    return false;
}

/* Behind the last entry, and how many were added before it: without that number Redis could not tell how many wait for a group that
 * begins there, until it has caught up. Both in one answer. false: there is no stream yet, or no telling. */
static bool lay_out_at_end(struct conn *conn, const char *stream, const char *group)
{
    char last[64], added[24];
    const struct reply *reply;
    conn_command(conn, "XINFO", "STREAM", stream, NULL);
    int64_t deadline_ns = conn_answer_deadline(conn);
    if (conn_send(conn, deadline_ns, NULL) || conn_reply(conn, deadline_ns, &reply, NULL)) return false;
    if (!stream_fact(reply, "last-generated-id", last, sizeof last) || !stream_fact(reply, "entries-added", added, sizeof added))
        return false;
    conn_command(conn, "XGROUP", "CREATE", stream, group, last, "MKSTREAM", "ENTRIESREAD", added, NULL);
    return true;
}

int group_create(struct conn *conn, const char *stream, const char *group, const char *start, quern_error *err)
{
    const struct reply *reply;
    bool is_at_end = strcmp(start, "$") == 0 && lay_out_at_end(conn, stream, group);
    if (!is_at_end) conn_command(conn, "XGROUP", "CREATE", stream, group, start, "MKSTREAM", NULL);
    int64_t deadline_ns = conn_answer_deadline(conn);
    int code = conn_send(conn, deadline_ns, err);
    if (!code) code = conn_reply(conn, deadline_ns, &reply, err);
    if (code || reply->type != REPLY_ERROR || reply_is_error(reply, "BUSYGROUP")) return code;
    return conn_refused(reply, "XGROUP CREATE", err);
}

int consumer_create(struct conn *conn, const char *stream, const char *group, const char *consumer, quern_error *err)
{
    const struct reply *reply;
    conn_command(conn, "XGROUP", "CREATECONSUMER", stream, group, consumer, NULL);
    return conn_ask(conn, &reply, err);
}

int key_must_be(struct conn *conn, const char *key, const char *type, quern_error *err)
{
    const struct reply *reply;
    conn_command(conn, "TYPE", key, NULL);
    int code = conn_ask(conn, &reply, err);
    if (code) return code;
    quern_bytes found = reply_bytes(reply);
    if (bytes_is(found, type) || bytes_is(found, "none")) return QUERN_OK;
    return err_set(err, QUERN_E_SERVER, "the key %s holds a %.*s, where quern needs a %s: choose another stream or group", key,
                   (int)found.len, found.at, type);
}
