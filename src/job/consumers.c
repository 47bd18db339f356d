/* SPDX-License-Identifier: MIT */
#include "job/consumers.h"

#include "wire/script.h"

int consumers_sweep(struct conn *conn, const struct source *source, int64_t silence_ms, const char *leaver, int64_t *swept,
                    quern_error *err)
{
    const struct reply *reply;
    script_begin(conn, &script_sweep, 4, 3);
    conn_arg_text(conn, source->stream);
    conn_arg_text(conn, source->retry);
    conn_arg_text(conn, source->settles);
    conn_arg_text(conn, source->reaper);
    conn_arg_text(conn, source->group);
    conn_arg_number(conn, silence_ms);
    conn_arg_text(conn, leaver ? leaver : "");
    int code = script_ask(conn, &script_sweep, conn_answer_deadline(conn), &reply, NULL, err);
    if (!code) *swept = reply_number(reply, 0);
    return code;
}
