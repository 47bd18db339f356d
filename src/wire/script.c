/* SPDX-License-Identifier: MIT */
#include "wire/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "wire/errors.h"

void script_begin(struct conn *conn, const struct script *script, size_t keys_count, size_t args_count)
{
    conn_begin(conn, 3 + keys_count + args_count);
    conn_arg_text(conn, "EVALSHA");
    conn_arg_text(conn, script->sha1);
    conn_arg_number(conn, (int64_t)keys_count);
}

/* The call that was sent last, once more, with the script's text in place of its name. It still lies in the buffer:
 * "*N CRLF $7 CRLF EVALSHA CRLF $40 CRLF sha CRLF", then what is the same for EVAL. */
static void say_whole(struct conn *conn, const struct script *script)
{
    enum { BY_SHA_BYTES = sizeof "$7\r\nEVALSHA\r\n$40\r\n0123456789012345678901234567890123456789\r\n" - 1, HEAD_MAX = 64 };
    struct conn_buffer *out = conn_out(conn);
    size_t first_line = (size_t)((char *)memchr(out->bytes, '\n', out->sent) + 1 - out->bytes);
    size_t old_head = first_line + BY_SHA_BYTES, tail = out->sent - old_head;
    char head[HEAD_MAX];
    size_t n = (size_t)snprintf(head, sizeof head, "%.*s$4\r\nEVAL\r\n$%zu\r\n", (int)first_line, out->bytes, script->text_len);
    size_t new_head = n + script->text_len + 2;
    if (!conn_room(out, new_head + tail)) return;
    memmove(out->bytes + new_head, out->bytes + old_head, tail);
    memcpy(out->bytes, head, n);
    memcpy(out->bytes + n, script->text, script->text_len);
    memcpy(out->bytes + n + script->text_len, "\r\n", 2);
    out->len = new_head + tail;
}

static int ask_once(struct conn *conn, int64_t deadline_ns, const struct reply **reply, quern_error *err)
{
    int code = conn_send(conn, deadline_ns, err);
    *reply = NULL; /* where there is no answer, an earlier one must not be taken for it */
    return code ? code : conn_reply(conn, deadline_ns, reply, err);
}

int script_said(const struct script *script, const struct reply *reply, struct error_meaning *meaning, quern_error *err)
{
    if (reply->type != REPLY_ERROR) return QUERN_OK;
    if (meaning) *meaning = error_meaning(reply_bytes(reply));
    return conn_refused(reply, script->name, err);
}

int script_ask(struct conn *conn, const struct script *script, int64_t deadline_ns, const struct reply **reply,
               struct error_meaning *meaning, quern_error *err)
{
    int code = ask_once(conn, deadline_ns, reply, err);
    if (!code && reply_is_error(*reply, "NOSCRIPT")) {
        say_whole(conn, script);
        code = ask_once(conn, deadline_ns, reply, err);
    }
    return code ? code : script_said(script, *reply, meaning, err);
}

/* Redis tells the line: "… script: <sha>, on @user_script:<line>." */
bool script_has_begun(const struct reply *reply)
{
    quern_bytes text = reply_bytes(reply);
    return text.len && memmem(text.at, text.len, " script: ", sizeof " script: " - 1) != NULL;
}
