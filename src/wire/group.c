/* SPDX-License-Identifier: MIT */
#include "wire/group.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"

/* Behind the last entry, and how many were added before it: without that number Redis could not tell how many wait for a group that
 * begins there, until it has caught up. Both in one answer. *is_laid_out false: there is no stream yet, or no telling. */
static int lay_out_at_end(struct conn *conn, const char *stream, const char *group, int64_t deadline_ns, bool *is_laid_out,
                          quern_error *err)
{
    char last[64], added[24];
    const struct reply *reply;
    *is_laid_out = false;
    conn_command(conn, "XINFO", "STREAM", stream, NULL);
    int code = conn_send(conn, deadline_ns, err);
    if (!code) code = conn_reply(conn, deadline_ns, &reply, err);
    if (code || reply->type != REPLY_ARRAY) return code;
    quern_bytes id = reply_bytes(reply_field(reply, "last-generated-id"));
    int64_t count = reply_number(reply_field(reply, "entries-added"), -1);
    if (!id.len || id.len >= sizeof last || count < 0) return QUERN_OK;
    snprintf(last, sizeof last, "%.*s", (int)id.len, id.at);
    snprintf(added, sizeof added, "%lld", (long long)count);
    conn_command(conn, "XGROUP", "CREATE", stream, group, last, "MKSTREAM", "ENTRIESREAD", added, NULL);
    *is_laid_out = true;
    return QUERN_OK;
}

int group_create(struct conn *conn, const char *stream, const char *group, const char *start, int64_t deadline_ns,
                 quern_error *err)
{
    const struct reply *reply;
    bool is_laid_out = false;
    int code = strcmp(start, "$") == 0 ? lay_out_at_end(conn, stream, group, deadline_ns, &is_laid_out, err) : QUERN_OK;
    if (code) return code;
    if (!is_laid_out) conn_command(conn, "XGROUP", "CREATE", stream, group, start, "MKSTREAM", NULL);
    code = conn_send(conn, deadline_ns, err);
    if (!code) code = conn_reply(conn, deadline_ns, &reply, err);
    if (code || reply->type != REPLY_ERROR || reply_is_error(reply, "BUSYGROUP")) return code;
    return conn_refused(reply, "XGROUP CREATE", err);
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
