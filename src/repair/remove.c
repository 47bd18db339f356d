/* SPDX-License-Identifier: MIT */

/* repair/remove: a group is removed, with all that is only its own.
 * Threads    the caller's. */
#include "base/bytes.h"
#include "base/err.h"
#include "config/config.h"
#include "inspect/show.h"
#include "repair/repair.h"

/* Who was silent for longer is swept by the pools, too. */
enum { LIVE_LEASES = 10 };

static int ask(struct look *look, unsigned flags, int64_t live_ms, const struct reply **reply, quern_error *err)
{
    const struct source *source = &look->source;
    const char *const keys[] = {source->stream,      source->retry,   source->alone,   source->delayed,   source->batches,
                                source->waiting,     source->crashes, source->settles, source->completed, source->batch_open,
                                source->batch_state, source->reaper,  source->paused,  source->cancelled};
    script_begin(look->conn, &script_remove, COUNT_OF(keys), 4);
    for (size_t i = 0; i < COUNT_OF(keys); i++) conn_arg_text(look->conn, keys[i]);
    conn_arg_text(look->conn, source->group);
    conn_arg_number(look->conn, (flags & QUERN_DRY_RUN) != 0);
    conn_arg_number(look->conn, (flags & QUERN_FORCE) != 0);
    conn_arg_number(look->conn, live_ms);
    return repair_ask(look, &script_remove, flags, reply, err);
}

/* Says why it was not removed. */
static int judge(struct look *look, const struct reply *reply, quern_error *err)
{
    quern_bytes what = reply_bytes(reply_item(reply, 0)), name = reply_bytes(reply_item(reply, 7));
    const char *group = look->source.group, *stream = look->source.stream;
    if (bytes_is(what, "n")) {
        int code = look_for_stream(look, look->source.retry, err);
        return code ? code : look_no_group(look, err);
    }
    if (bytes_is(what, "p"))
        return err_set(err, QUERN_E_BUSY, "the group %s of %s holds %lld jobs that are not settled; let them end, or force it",
                       group, stream, (long long)reply_number(reply_item(reply, 1), 0));
    if (bytes_is(what, "w") && reply_number(reply_item(reply, 6), 0) > 0)
        return err_set(err, QUERN_E_BUSY,
                       "%lld batches of the group %s of %s are open: their closing jobs would go with it; let them end, or "
                       "force it",
                       (long long)reply_number(reply_item(reply, 6), 0), group, stream);
    if (bytes_is(what, "w"))
        return err_set(
            err, QUERN_E_BUSY,
            "%lld jobs wait that only the group %s of %s has (retry %lld, alone %lld, delayed %lld); let them run, or force it",
            (long long)(reply_number(reply_item(reply, 3), 0) + reply_number(reply_item(reply, 4), 0) +
                        reply_number(reply_item(reply, 5), 0)),
            group, stream, (long long)reply_number(reply_item(reply, 3), 0), (long long)reply_number(reply_item(reply, 4), 0),
            (long long)reply_number(reply_item(reply, 5), 0));
    if (bytes_is(what, "c"))
        return err_set(err, QUERN_E_BUSY,
                       "somebody works for the group %s of %s: %.*s was seen %lld ms ago; stop it first, or force it", group,
                       stream, (int)name.len, name.at, (long long)reply_number(reply_item(reply, 8), 0));
    return QUERN_OK;
}

static char *report(const struct look *look, unsigned flags, const struct reply *reply, quern_error *err)
{
    static const char *const names[] = {"pending", "processes", "retry", "alone", "delayed", "batches"};
    json_t *object = repair_report(look, flags);
    bool is_whole = object && !json_object_set_new(object, "removed", json_true());
    for (uint32_t i = 0; is_whole && i < COUNT_OF(names); i++)
        is_whole = show_number(object, names[i], reply_number(reply_item(reply, i + 1), 0));
    if (is_whole) return show_text(object, err);
    json_decref(object);
    return show_text(NULL, err);
}

char *quern_queue_remove_group(const quern_config *config, unsigned flags, quern_error *err)
{
    const struct reply *reply;
    struct look look;
    quern_error own;
    if (!err) err = &own;
    if (repair_open(&look, config, flags, QUERN_DRY_RUN | QUERN_FORCE, err)) return NULL;
    int code = ask(&look, flags, LIVE_LEASES * config->lease_ms, &reply, err);
    if (!code) code = judge(&look, reply, err);
    char *text = code ? NULL : report(&look, flags, reply, err);
    look_close(&look);
    return text;
}
