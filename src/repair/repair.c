/* SPDX-License-Identifier: MIT */
#include "repair/repair.h"

#include "base/err.h"
#include "inspect/show.h"
#include "wire/errors.h"

int repair_open(struct look *look, const quern_config *config, unsigned flags, unsigned may, quern_error *err)
{
    if (flags & ~may)
        return err_set(err, QUERN_E_ARGUMENT, "flags: %#x has bits that mean nothing here; right would be %s", flags,
                       may & QUERN_FORCE ? "QUERN_DRY_RUN and QUERN_FORCE" : "QUERN_DRY_RUN");
    return look_open_as(look, config, "quern:repair", err);
}

/* An error that the server says is an answer: it has a meaning. */
int repair_ask(struct look *look, const struct script *script, unsigned flags, const struct reply **reply, quern_error *err)
{
    struct error_meaning meaning = {.code = QUERN_OK};
    int code = script_ask(look->conn, script, conn_answer_deadline(look->conn), reply, &meaning, err);
    if (!code || meaning.code || (flags & QUERN_DRY_RUN)) return code;
    quern_error why = *err;
    return err_set(err, QUERN_E_UNKNOWN, "%s; the last step may have been done: asking again does nothing twice", why.text);
}

void repair_put_batch_keys(const struct look *look)
{
    conn_arg_text(look->conn, look->source.batches);
    conn_arg_text(look->conn, look->source.batch_open);
    conn_arg_text(look->conn, look->source.batch_state);
    conn_arg_text(look->conn, look->source.retry);
}

json_t *repair_report(const struct look *look, unsigned flags)
{
    return json_pack("{s:s, s:s, s:b}", "stream", look->source.stream, "group", look->source.group, "dry_run",
                     (flags & QUERN_DRY_RUN) != 0);
}
