/* SPDX-License-Identifier: MIT */

/* inspect/pending: what processes hold, job by job.
 * Idea       the pending lists of the stream and the group's own two are read first and merged by age; then each entry is read for what it says. An entry
 *            may go meanwhile, or be something else than a job: what is not known is null. */
#include "wire/pending.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "inspect/look.h"
#include "inspect/show.h"
#include "job/message.h"

enum { ROWS = 256, ENTRIES = 32, FIELDS_MAX = 1000000 };

static json_t *row_of(const struct pending_row *row, const char *stream)
{
    json_t *object = json_object();
    bool is_whole = object && show_id(object, "entry", row->id) && show_bytes(object, "stream", bytes_of(stream)) &&
                    show_bytes(object, "consumer", row->consumer) && show_number(object, "idle_ms", row->idle_ms) &&
                    show_number(object, "deliveries", row->deliveries);
    if (is_whole) return object;
    json_decref(object);
    return NULL;
}

static int no_memory(quern_error *err)
{
    return err_set(err, QUERN_E_MEMORY, "no memory for a list of jobs");
}

/* At most max rows of one stream's pending list. */
static int read_rows(struct look *look, const char *stream, size_t max, json_t *list, quern_error *err)
{
    struct pending_row rows[ROWS];
    struct pending_page page = {.stream = stream, .group = look->source.group};
    size_t want, count;
    do {
        want = max - json_array_size(list) < ROWS ? max - json_array_size(list) : ROWS;
        if (!want) return QUERN_OK;
        int code = pending_read(look->conn, &page, rows, want, &count, err);
        if (code) return code;
        for (size_t i = 0; i < count; i++)
            if (json_array_append_new(list, row_of(&rows[i], stream))) return no_memory(err);
        if (count) page.after = rows[count - 1].id;
    } while (count == want);
    return QUERN_OK;
}

static struct entry_id id_of(const json_t *row)
{
    struct entry_id id = {0};
    if (!entry_id_read(bytes_of(json_string_value(json_object_get(row, "entry"))), &id)) return id;
    return id;
}

/* Two lists as one, oldest first. */
static int merge(const json_t *ones, const json_t *others, size_t max, json_t *list, quern_error *err)
{
    size_t i = 0, j = 0;
    while (json_array_size(list) < max) {
        json_t *one = json_array_get(ones, i), *other = json_array_get(others, j);
        if (!one && !other) break;
        bool takes_one = one && (!other || entry_id_compare(id_of(one), id_of(other)) <= 0);
        if (json_array_append(list, takes_one ? one : other)) return no_memory(err);
        *(takes_one ? &i : &j) += 1;
    }
    return QUERN_OK;
}

/* What the entry itself says, into its row; reply: XRANGE's. */
static bool show_job(json_t *row, const struct reply *reply, bool is_private, int64_t now_ms)
{
    struct entry entry;
    struct message message = {0};
    bool is_there = entry_read(reply_item(reply, 0), &entry);
    bool is_job = is_there && !message_read(&message, &entry, is_private, FIELDS_MAX, NULL);
    int64_t deliveries = json_integer_value(json_object_get(row, "deliveries")) + message.deliveries_before;
    int64_t since_ms = is_job ? message_created_ms(&message) : (int64_t)id_of(row).ms;
    bool is_shown = show_number(row, "deliveries", deliveries) && show_bytes(row, "id", message.id) &&
                    show_bytes(row, "event", message.event) && show_number_or_null(row, "retries", message.retries, is_job) &&
                    show_number_or_null(row, "age_ms", since_ms < now_ms ? now_ms - since_ms : 0, is_there);
    message_free(&message);
    return is_shown;
}

/* Asks for the entries of n rows in one go, and reads the answers one by one. */
static int read_entries(struct look *look, const json_t *list, size_t from, size_t n, quern_error *err)
{
    for (size_t i = from; i < from + n; i++) {
        const json_t *row = json_array_get(list, i);
        const char *id = json_string_value(json_object_get(row, "entry"));
        conn_command(look->conn, "XRANGE", json_string_value(json_object_get(row, "stream")), id, id, NULL);
    }
    int64_t deadline_ns = conn_answer_deadline(look->conn);
    int code = conn_send(look->conn, deadline_ns, err);
    for (size_t i = from; !code && i < from + n; i++) {
        const struct reply *reply;
        json_t *row = json_array_get(list, i);
        bool is_private = !bytes_is(bytes_of(look->source.stream), json_string_value(json_object_get(row, "stream")));
        code = conn_reply(look->conn, deadline_ns, &reply, err);
        if (!code && reply->type == REPLY_ERROR) code = conn_refused(reply, look->url.shown, err);
        if (!code && !show_job(row, reply, is_private, look->now_ms)) code = no_memory(err);
    }
    return code;
}

static int read_jobs(struct look *look, const json_t *list, quern_error *err)
{
    size_t count = json_array_size(list);
    int code = QUERN_OK;
    for (size_t at = 0; !code && at < count; at += ENTRIES)
        code = read_entries(look, list, at, count - at < ENTRIES ? count - at : ENTRIES, err);
    return code;
}

/* Where there is no group, nothing is pending. */
static int read_stream(struct look *look, const char *stream, size_t max, json_t *list, quern_error *err)
{
    const struct reply *reply;
    conn_command(look->conn, "XPENDING", stream, look->source.group, NULL);
    int code = look_ask(look, &reply, err);
    bool has_some = !code && reply_number(reply_item(reply, 0), 0) > 0;
    return has_some ? read_rows(look, stream, max, list, err) : code;
}

/* What is in the list already, and what is pending in one more stream. */
static int add_stream(struct look *look, const char *stream, size_t max, json_t **list, quern_error *err)
{
    json_t *more = json_array(), *both = json_array();
    int code = more && both ? read_stream(look, stream, max, more, err) : no_memory(err);
    if (!code) code = merge(*list, more, max, both, err);
    json_decref(more);
    json_decref(*list);
    *list = both;
    return code;
}

static int read_pending(struct look *look, size_t max, json_t **list, quern_error *err)
{
    int code = *list ? look_for_stream(look, look->source.retry, err) : no_memory(err);
    if (!code) code = add_stream(look, look->source.stream, max, list, err);
    if (!code) code = add_stream(look, look->source.retry, max, list, err);
    if (!code) code = add_stream(look, look->source.alone, max, list, err);
    return code ? code : read_jobs(look, *list, err);
}

char *quern_queue_pending(const quern_config *config, size_t max, quern_error *err)
{
    struct look look;
    quern_error own;
    if (!err) err = &own;
    if (look_open(&look, config, err)) return NULL;
    json_t *list = json_array();
    int code = read_pending(&look, max, &list, err);
    char *text = code ? NULL : show_text(json_incref(list), err);
    json_decref(list);
    look_close(&look);
    return text;
}
