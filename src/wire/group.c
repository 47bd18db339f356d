/* SPDX-License-Identifier: MIT */
#include "wire/group.h"

#include "base/bytes.h"

#include "base/err.h"

int group_create(struct conn *conn, const char *stream, const char *group, const char *start, quern_error *err)
{
    const struct reply *reply;
    conn_command(conn, "XGROUP", "CREATE", stream, group, start, "MKSTREAM", NULL);
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
