/* SPDX-License-Identifier: MIT */
#include "job/consumers.h"

#include "wire/script.h"

static int ask(struct conn *conn, const struct source *source, const char *consumer, bool leaves, int64_t silence_ms,
               int64_t *swept, quern_error *err)
{
    const struct reply *reply;
    script_begin(conn, &script_sweep, 5, 4);
    conn_arg_text(conn, source->stream);
    conn_arg_text(conn, source->retry);
    conn_arg_text(conn, source->settles);
    conn_arg_text(conn, source->reaper);
    conn_arg_text(conn, source->alone);
    conn_arg_text(conn, source->group);
    conn_arg_text(conn, consumer);
    conn_arg_number(conn, leaves);
    conn_arg_number(conn, silence_ms);
    int code = script_ask(conn, &script_sweep, conn_answer_deadline(conn), &reply, NULL, err);
    if (!code) *swept = reply_number(reply, 0);
    return code;
}

int consumers_sweep(struct conn *conn, const struct source *source, const char *consumer, int64_t silence_ms, int64_t *swept,
                    quern_error *err)
{
    return ask(conn, source, consumer, false, silence_ms, swept, err);
}

int consumers_leave(struct conn *conn, const struct source *source, const char *consumer, quern_error *err)
{
    int64_t swept;
    return ask(conn, source, consumer, true, 0, &swept, err);
}
