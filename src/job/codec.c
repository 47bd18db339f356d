/* SPDX-License-Identifier: MIT */
#include "job/codec.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "job/member.h"
#include "job/message.h"

struct json_t *codec_parse(quern_bytes text, quern_error *err)
{
    json_error_t where;
    if (text.len && memchr(text.at, 0, text.len)) { /* jansson passes over one behind a number */
        err_set(err, QUERN_E_ARGUMENT, "not JSON: there is a NUL in it");
        return NULL;
    }
    json_t *value = json_loadb(text.at ? text.at : "", text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &where);
    if (value) return value;
    char *quote = strstr(where.text, " near "); /* what follows is the payload's: it would end in logs */
    if (quote) *quote = 0;
    if (where.line <= 1) /* as data mostly are, perhaps themselves on a line of a file */
        err_set(err, QUERN_E_ARGUMENT, "not JSON: %s (column %d)", where.text, where.column);
    else
        err_set(err, QUERN_E_ARGUMENT, "not JSON: %s (line %d, column %d)", where.text, where.line, where.column);
    return NULL;
}

static json_t *parse_reals(quern_bytes text)
{
    if (text.len && memchr(text.at, 0, text.len)) return NULL;
    return json_loadb(text.at ? text.at : "", text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
}

struct json_t *codec_parse_wide(quern_bytes text)
{
    json_t *value = codec_parse(text, NULL);
    return value ? value : parse_reals(text);
}

void codec_drop(struct json_t *value)
{
    json_decref(value);
}

size_t codec_depth(quern_bytes text)
{
    size_t depth = 0, deepest = 0;
    bool is_in_text = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '"')
            is_in_text = !is_in_text;
        else if (is_in_text)
            i += c == '\\'; /* what is escaped ends no text */
        else if ((c == '[' || c == '{') && ++depth > deepest)
            deepest = depth;
        else if ((c == ']' || c == '}') && depth)
            depth--;
    }
    return deepest;
}

int codec_check_depth(quern_bytes text, int64_t depth_max, quern_error *err)
{
    if (text.len <= (size_t)depth_max) return QUERN_OK; /* each level takes a byte, at least */
    size_t depth = depth_max ? codec_depth(text) : 0;
    if (depth <= (size_t)depth_max) return QUERN_OK;
    return err_set(err, QUERN_E_ARGUMENT, "nested %zu deep; json_depth_max is %lld", depth, (long long)depth_max);
}

int codec_check_json(quern_bytes text, quern_error *err)
{
    json_t *value = codec_parse(text, err);
    if (!value) return QUERN_E_ARGUMENT;
    json_decref(value);
    return QUERN_OK;
}

bool codec_is_json(quern_bytes text)
{
    json_t *value = parse_reals(text);
    json_decref(value);
    return value != NULL;
}

static int stamps_of(const json_t *object, int64_t *created_ms)
{
    const json_t *created = json_object_get(object, "created_at"), *updated = json_object_get(object, "updated_at");
    int64_t updated_ms;
    if (!created || clock_parse_iso(json_string_value(created), json_string_length(created), created_ms)) return -1;
    if (updated && clock_parse_iso(json_string_value(updated), json_string_length(updated), &updated_ms)) return -1;
    return 0;
}

int codec_read_stamps(quern_bytes text, int64_t *created_ms)
{
    json_t *object = codec_parse(text, NULL);
    int failed = object ? stamps_of(object, created_ms) : -1;
    json_decref(object);
    return failed;
}

/* The parts of the single-field shape as texts, before they are laid side by side. */
struct parts {
    const char *id, *event, *batch;
    size_t id_len, event_len, batch_len;
    quern_bytes data, timestamps;
    char *spelled[2]; /* malloc'd, or NULL: what of these is not cut out of the text */
};

/* A value as it stands in the text: written anew, numbers would look different, and it might be longer than was let pass when it was
 * published. Only where its very name is spelled with escapes it is not found so. false: no memory. */
static bool cut(quern_bytes *bytes, char **spelled, quern_bytes text, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (value) *bytes = member_bytes(text, name);
    if (!value || bytes->at) return true;
    *spelled = codec_text(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (*spelled) *bytes = bytes_of(*spelled);
    return *spelled;
}

/* A whole number from 0 to max, or a text of its digits. */
static bool read_number(const json_t *value, uint64_t max, uint64_t *number)
{
    if (json_is_string(value))
        return bytes_number((quern_bytes){json_string_value(value), json_string_length(value)}, number) && *number <= max;
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *number = (uint64_t)json_integer_value(value);
    return *number <= max;
}

static int read_numbers(struct message *message, const json_t *object, quern_error *err)
{
    enum { RETRIES_MAX = 1000000000 };
    const json_t *retries = json_object_get(object, "retries"), *expire_at = json_object_get(object, "expire_at"),
                 *key = json_object_get(object, "key");
    uint64_t number;
    if (retries && !read_number(retries, RETRIES_MAX, &number))
        return err_set(err, QUERN_E_ARGUMENT, "the key retries is not a number from 0 on");
    if (retries) message->retries = (uint32_t)number;
    if (expire_at && !read_number(expire_at, INT64_MAX, &number))
        return err_set(err, QUERN_E_ARGUMENT, "the key expire_at is not a time in Unix milliseconds");
    if (expire_at) message->expire_at_ms = (int64_t)number;
    if (json_is_string(key)) message->key = message_key((quern_bytes){json_string_value(key), json_string_length(key)});
    return QUERN_OK;
}

/* Takes id and event where they are texts. */
static int read_names(struct parts *parts, const json_t *object, quern_error *err)
{
    const json_t *id = json_object_get(object, "id"), *event = json_object_get(object, "event"),
                 *batch = json_object_get(object, "batch");
    if (event && !json_is_string(event)) return err_set(err, QUERN_E_ARGUMENT, "the key event is not a text");
    if (id && !json_is_string(id)) return err_set(err, QUERN_E_ARGUMENT, "the key id is not a text");
    parts->id = json_string_value(id);
    parts->id_len = json_string_length(id);
    parts->event = json_string_value(event);
    parts->event_len = json_string_length(event);
    parts->batch = json_string_value(batch);
    parts->batch_len = json_string_length(batch);
    return QUERN_OK;
}

static quern_bytes lay(char **at, const char *text, size_t len)
{
    if (!text) return (quern_bytes){NULL, 0};
    quern_bytes view = {*at, len};
    memcpy(*at, text, len);
    (*at)[len] = 0;
    *at += len + 1;
    return view;
}

static int lay_all(struct message *message, const struct parts *parts, quern_error *err)
{
    char *at = malloc(parts->id_len + parts->event_len + parts->batch_len + parts->data.len + parts->timestamps.len + 5);
    if (!at) return err_set(err, QUERN_E_MEMORY, "no memory for a message");
    message->decoded = at;
    message->id = lay(&at, parts->id, parts->id_len);
    message->event = lay(&at, parts->event, parts->event_len);
    message->batch = lay(&at, parts->batch, parts->batch_len);
    message->data = lay(&at, parts->data.at, parts->data.len);
    message->timestamps = lay(&at, parts->timestamps.at, parts->timestamps.len);
    return QUERN_OK;
}

int codec_read_object(struct message *message, quern_bytes text, quern_error *err)
{
    json_t *object = codec_parse(text, err);
    if (!object) return QUERN_E_ARGUMENT;
    struct parts parts = {0};
    int code = read_names(&parts, object, err);
    if (!code) code = read_numbers(message, object, err);
    if (!code && (!cut(&parts.data, &parts.spelled[0], text, object, "data") ||
                  !cut(&parts.timestamps, &parts.spelled[1], text, object, "timestamps")))
        code = err_set(err, QUERN_E_MEMORY, "no memory for a message");
    if (!code) code = lay_all(message, &parts, err);
    free(parts.spelled[0]);
    free(parts.spelled[1]);
    json_decref(object);
    return code;
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct sink {
    char *bytes;
    size_t len, room;
    bool has_failed;
};

static int put(const char *bytes, size_t len, void *given)
{
    enum { FIRST_ROOM = 256 };
    struct sink *sink = given;
    size_t room = sink->room ? sink->room : FIRST_ROOM;
    if (sink->has_failed) return -1;
    while (room - sink->len <= len) room *= 2; /* and a NUL */
    char *at = room > sink->room ? realloc(sink->bytes, room) : sink->bytes;
    if (!at) return sink->has_failed = true, -1;
    sink->bytes = at;
    sink->room = room;
    memcpy(at + sink->len, bytes, len);
    at[sink->len += len] = 0;
    return 0;
}

char *codec_text(const json_t *value, size_t flags)
{
    struct sink sink = {0};
    if (json_dump_callback(value, put, &sink, flags) || sink.has_failed) {
        free(sink.bytes);
        return NULL;
    }
    return sink.bytes;
}
