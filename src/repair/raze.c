/* SPDX-License-Identifier: MIT */

/* repair/raze: a stream is removed, with what its groups share.
 * Threads    the caller's. */
#include "base/bytes.h"
#include "base/err.h"
#include "config/config.h"
#include "inspect/show.h"
#include "repair/repair.h"

/* Dead letters under a name that was chosen may be those of other streams, too. */
static int ask(struct look *look, bool has_own_letters, unsigned flags, const struct reply **reply, quern_error *err)
{
    const struct source *source = &look->source;
    script_begin(look->conn, &script_raze, has_own_letters ? 4 : 3, 2);
    conn_arg_text(look->conn, source->stream);
    conn_arg_text(look->conn, source->scheduled);
    conn_arg_text(look->conn, source->scheduled_jobs);
    if (has_own_letters) conn_arg_text(look->conn, source->dead);
    conn_arg_number(look->conn, (flags & QUERN_DRY_RUN) != 0);
    conn_arg_number(look->conn, (flags & QUERN_FORCE) != 0);
    return repair_ask(look, &script_raze, flags, reply, err);
}

static long long number(const struct reply *reply, uint32_t i)
{
    return (long long)reply_number(reply_item(reply, i), 0);
}

/* Says why it was not removed. */
static int judge(const struct look *look, const struct reply *reply, quern_error *err)
{
    quern_bytes what = reply_bytes(reply_item(reply, 0));
    const char *stream = look->source.stream;
    if (bytes_is(what, "n")) return err_set(err, QUERN_E_GONE, "there is no stream %s at %s", stream, look->url.shown);
    if (bytes_is(what, "g"))
        return err_set(err, QUERN_E_BUSY, "the stream %s has %lld groups: remove them first", stream, number(reply, 1));
    if (bytes_is(what, "h"))
        return err_set(err, QUERN_E_BUSY,
                       "the stream %s holds %lld entries, %lld dead letters and %lld scheduled jobs; purge them, or force it",
                       stream, number(reply, 2), number(reply, 3), number(reply, 4));
    return QUERN_OK;
}

static char *report(const struct look *look, unsigned flags, const struct reply *reply, quern_error *err)
{
    json_t *object = repair_report(look, flags);
    bool is_whole = object && !json_object_set_new(object, "removed", json_true()) &&
                    show_number(object, "length", number(reply, 2)) && show_number(object, "dead", number(reply, 3)) &&
                    show_number(object, "scheduled", number(reply, 4));
    if (is_whole) return show_text(object, err);
    json_decref(object);
    return show_text(NULL, err);
}

char *quern_queue_remove_stream(const quern_config *config, unsigned flags, quern_error *err)
{
    const struct reply *reply;
    struct look look;
    quern_error own;
    if (!err) err = &own;
    if (repair_open(&look, config, flags, QUERN_DRY_RUN | QUERN_FORCE, err)) return NULL;
    int code = ask(&look, !look.config->dead_letter_stream, flags, &reply, err);
    if (!code) code = judge(&look, reply, err);
    char *text = code ? NULL : report(&look, flags, reply, err);
    look_close(&look);
    return text;
}
