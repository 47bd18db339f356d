/* SPDX-License-Identifier: MIT */
#include "job/letter.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "job/codec.h"

static const char unreadable[] = "quern.unreadable"; /* the event of a letter whose job has none that can be shown */

/* ── texts ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static json_t *hex_of(quern_bytes bytes)
{
    char *text = bytes_hex(bytes);
    json_t *hex = text ? json_string(text) : NULL;
    free(text);
    return hex;
}

/* object.name = text, or object.name_hex where it is no UTF-8; null where there is nothing. false: no memory. */
static bool put_bytes(json_t *object, const char *name, quern_bytes bytes)
{
    char other[64];
    if (!bytes.at) return !json_object_set_new(object, name, json_null());
    if (bytes_is_utf8(bytes)) return !json_object_set_new(object, name, json_stringn(bytes.at, bytes.len));
    snprintf(other, sizeof other, "%s_hex", name);
    return !json_object_set_new(object, other, hex_of(bytes));
}

/* A handler's words are cut at a number of bytes, and may be anything: what is no UTF-8 becomes '?'. */
static bool put_words(json_t *object, const char *name, const char *words)
{
    char *text = strdup(words);
    uint32_t character;
    if (!text) return false;
    for (char *at = text; *at;) {
        size_t len = bytes_character(bytes_of(at), &character);
        if (!len) *at = '?';
        at += len ? len : 1;
    }
    bool is_put = !json_object_set_new(object, name, json_string(text));
    free(text);
    return is_put;
}

/* ── the record ──────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Those that the record gives by names of its own. */
static bool is_schema(quern_bytes name)
{
    static const char *const names[] = {"id", "event", "data", "retries", "timestamps"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (bytes_is(name, names[i])) return true;
    return false;
}

/* [{"name": …, "value": …}, …]: all of the job's own, or only what is more than the schema. */
static json_t *fields_of(const struct message *message, bool is_more)
{
    json_t *list = json_array();
    for (uint32_t i = 0; list && i + 1 < message->fields_count; i += 2) {
        if (message_is_note(message, i) || (is_more && is_schema(reply_bytes(&message->fields[i])))) continue;
        json_t *field = json_object();
        bool is_whole = field && put_bytes(field, "name", reply_bytes(&message->fields[i])) &&
                        put_bytes(field, "value", reply_bytes(&message->fields[i + 1]));
        if (json_array_append_new(list, field) || !is_whole) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static bool put_origin(json_t *record, const struct quern_job *job)
{
    const struct message *message = &job->message;
    quern_bytes source = message->first_entry.at ? message->first_entry : bytes_of(message->entry_text);
    return put_bytes(record, "original_id", message->id) && put_bytes(record, "original_event", message->event) &&
           put_bytes(record, "source_stream_id", source) &&
           !json_object_set_new(record, "retries", json_integer(message->retries));
}

/* How it ended a process: the signal's name, and where that came, a line per frame. */
static bool put_how(json_t *record, const char *how)
{
    char signal[64];
    size_t len = how ? strcspn(how, "\n") : 0;
    if (!len)
        return !json_object_set_new(record, "signal", json_null()) && !json_object_set_new(record, "backtrace", json_null());
    snprintf(signal, sizeof signal, "%.*s", (int)len, how);
    return put_words(record, "signal", signal) &&
           (how[len] ? put_words(record, "backtrace", how + len + 1) : !json_object_set_new(record, "backtrace", json_null()));
}

static bool put_facts(json_t *record, const struct quern_job *job, const struct letter_facts *facts)
{
    char seen[CLOCK_ISO_SIZE];
    int64_t held_us = (clock_now_ns() - job->admitted_ns) / NS_PER_US;
    clock_iso(job->message.first_seen_ms ? job->message.first_seen_ms * 1000 : facts->unix_us - held_us, seen);
    json_t *more = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:f}", "reason", facts->reason, "stream", facts->stream, "group",
                             facts->group, "consumer", facts->consumer, "deliveries", (int)job_deliveries(job), "first_seen",
                             seen, "duration_ms", (double)((job->ended_ns - job->started_ns) / NS_PER_US) / 1000);
    bool is_put = more && !json_object_update(record, more) && put_how(record, job->how);
    json_decref(more);
    return is_put && put_words(record, "error", job->error ? job->error : facts->error);
}

/* A member of an object as such a field: what is no text is written as JSON. */
static json_t *member_of(const char *name, json_t *value)
{
    if (json_is_string(value)) return json_pack("{s:s, s:O}", "name", name, "value", value);
    char *text = codec_text(value, JSON_COMPACT | JSON_ENCODE_ANY);
    json_t *member = text ? json_pack("{s:s, s:s}", "name", name, "value", text) : NULL;
    free(text);
    return member;
}

/* The same of an entry whose one field is a JSON object; our notes stand behind it. */
static json_t *members_of(const struct message *message)
{
    json_t *object = codec_parse(reply_bytes(&message->fields[1]), NULL), *list = json_array(), *value;
    const char *name;
    json_object_foreach(object, name, value)
    {
        if (!list || is_schema(bytes_of(name)) || !json_array_append_new(list, member_of(name, value))) continue;
        json_decref(list);
        list = NULL;
    }
    json_decref(object);
    return list;
}

/* A publisher's other fields: a replay gives them back. */
static bool put_more(json_t *record, const struct message *message)
{
    json_t *more = message->decoded ? members_of(message) : fields_of(message, true);
    bool is_put = more && (!json_array_size(more) || !json_object_set(record, "original_more", more));
    json_decref(more);
    return is_put;
}

/* Is the data to be shown as the JSON it is? */
static bool is_json(const struct message *message)
{
    return !bytes_is(message_field(message, "data_type"), "bytes") && codec_is_json(message->data);
}

/* The record's text with one more member behind the others: JSON that is not touched. */
static char *spliced(const char *record, const char *name, quern_bytes json)
{
    size_t len = strlen(record) - 1; /* without the brace */
    char *text = malloc(len + strlen(name) + json.len + 6), *at = text;
    if (!text) return NULL;
    memcpy(at, record, len);
    at += len;
    at += sprintf(at, ",\"%s\":", name);
    memcpy(at, json.at, json.len);
    memcpy(at + json.len, "}", 2);
    return text;
}

static char *record_text(const struct quern_job *job, const struct letter_facts *facts, bool shows_data)
{
    const struct message *message = &job->message;
    bool has_data = shows_data && !job->is_unreadable, splices = has_data && is_json(message);
    json_t *record = json_object();
    bool is_whole = record && put_origin(record, job) && put_facts(record, job, facts);
    if (is_whole && has_data) is_whole = put_more(record, message);
    if (is_whole && has_data && !splices) is_whole = !json_object_set_new(record, "original_data_is_json", json_false());
    if (is_whole && shows_data && job->is_unreadable)
        is_whole = !json_object_set_new(record, "original_fields", fields_of(message, false));
    if (is_whole && !splices) is_whole = put_bytes(record, "original_data", has_data ? message->data : (quern_bytes){0});
    char *text = is_whole ? codec_text(record, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(record);
    if (!text || !splices) return text;
    char *whole = spliced(text, "original_data", message->data);
    free(text);
    return whole;
}

/* created_at stays the job's. */
static void write_stamps(const struct quern_job *job, int64_t unix_us, struct letter *letter)
{
    char created[CLOCK_ISO_SIZE], updated[CLOCK_ISO_SIZE];
    clock_iso(message_created_ms(&job->message) * 1000, created);
    clock_iso(unix_us, updated);
    snprintf(letter->timestamps, sizeof letter->timestamps, "{\"created_at\":\"%s\",\"updated_at\":\"%s\"}", created, updated);
}

int letter_write(const struct quern_job *job, const struct letter_facts *facts, struct letter *letter, quern_error *err)
{
    quern_bytes event = job->message.event;
    *letter = (struct letter){.event = event.len && bytes_is_utf8(event) ? event : bytes_of(unreadable),
                              .has_fields = job->message.bytes > LETTER_JSON_MAX};
    uuid_text(letter->id);
    snprintf(letter->retries, sizeof letter->retries, "%u", job->message.retries);
    write_stamps(job, facts->unix_us, letter);
    letter->data = record_text(job, facts, !letter->has_fields);
    return letter->data ? QUERN_OK : err_set(err, QUERN_E_MEMORY, "no memory for a dead letter");
}

void letter_free(struct letter *letter)
{
    free(letter->data);
    letter->data = NULL;
}
