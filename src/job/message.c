/* SPDX-License-Identifier: MIT */
#include "job/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/uuid.h"
#include "job/codec.h"

#define YEAR_9999_MS UINT64_C(253402300799999) /* what comes later cannot be written as a date */
enum { RETRIES_MAX = 1000000000, NOTES = 7 /* that the scripts may add to a job's own fields */ };

static quern_bytes text_at(const struct message *message, uint32_t i)
{
    return reply_bytes(&message->fields[i]);
}

quern_bytes message_entry(const struct message *message)
{
    return (quern_bytes){message->entry_text, message->entry_len};
}

quern_bytes message_field(const struct message *message, const char *name)
{
    for (uint32_t i = 0; i + 1 < message->fields_count; i += 2)
        if (bytes_is(text_at(message, i), name)) return text_at(message, i + 1);
    return (quern_bytes){NULL, 0};
}

static const char created[] = "{\"created_at\":\"", updated[] = "\",\"updated_at\":\"", closing[] = "\"}";
enum { CREATED_AT = sizeof created - 1, UPDATED_AT = CREATED_AT + CLOCK_PLAIN_LEN + sizeof updated - 1 };

/* Exactly the form that quern itself writes, which need not be parsed as JSON:
 * {"created_at":"2026-01-01T00:00:00.000000+00:00","updated_at":"2026-01-01T00:00:00.000000+00:00"} */
static bool is_plain_stamps(quern_bytes text)
{
    enum { TIME = CLOCK_PLAIN_LEN, END = UPDATED_AT + TIME };
    return text.len == END + sizeof closing - 1 && memcmp(text.at, created, sizeof created - 1) == 0 &&
           memcmp(text.at + CREATED_AT + TIME, updated, sizeof updated - 1) == 0 &&
           memcmp(text.at + END, closing, sizeof closing - 1) == 0 && clock_is_plain_iso(text.at + CREATED_AT) &&
           (memcmp(text.at + CREATED_AT, text.at + UPDATED_AT, TIME) == 0 || /* as each job is published */
            clock_is_plain_iso(text.at + UPDATED_AT));
}

static bool read_stamps(quern_bytes text, int64_t *created_ms)
{
    if (!is_plain_stamps(text)) return codec_read_stamps(text, created_ms) == 0;
    return clock_parse_iso(text.at + CREATED_AT, CLOCK_PLAIN_LEN, created_ms) == 0;
}

static bool number_field(quern_bytes text, uint64_t max, uint64_t *value)
{
    return bytes_number(text, value) && *value <= max;
}

uint64_t message_key(quern_bytes key)
{
    uint64_t hash = bytes_hash(key);
    return hash ? hash : 1;
}

static int take_retries(struct message *message, quern_bytes value, quern_error *err)
{
    uint64_t number;
    if (!number_field(value, RETRIES_MAX, &number))
        return err_set(err, QUERN_E_ARGUMENT, "the field retries is not a number from 0 on");
    message->retries = (uint32_t)number;
    return QUERN_OK;
}

static int take_expiry(struct message *message, quern_bytes value, quern_error *err)
{
    uint64_t number;
    if (!number_field(value, INT64_MAX, &number))
        return err_set(err, QUERN_E_ARGUMENT, "the field expire_at is not a time in Unix milliseconds");
    message->expire_at_ms = (int64_t)number;
    return QUERN_OK;
}

/* Is name, of len bytes by now, that word? Its length is known when this is compiled, and so is how to compare it. */
#define IS(name, word) (memcmp((name).at, word, sizeof word - 1) == 0)

/* One named field of the flat shape into its place. Unknown ones stay in fields. */
static int take_field(struct message *message, quern_bytes name, quern_bytes value, quern_error *err)
{
    switch (name.len) {
    case sizeof "id" - 1:
        if (IS(name, "id")) message->id = value;
        break;
    case sizeof "key" - 1:
        if (IS(name, "key")) message->key = message_key(value);
        break;
    case sizeof "data" - 1:
        if (IS(name, "data")) message->data = value;
        break;
    case sizeof "event" - 1:
        if (IS(name, "event"))
            message->event = value;
        else if (IS(name, "batch"))
            message->batch = value;
        break;
    case sizeof "retries" - 1:
        if (IS(name, "retries")) return take_retries(message, value, err);
        break;
    case sizeof "expire_at" - 1:
        if (IS(name, "expire_at")) return take_expiry(message, value, err);
        break;
    case sizeof "timestamps" - 1:
        if (IS(name, "timestamps")) message->timestamps = value;
        break;
    }
    return QUERN_OK;
}

bool message_is_note(const struct message *message, uint32_t i)
{
    static const char *const notes[NOTES] = {"quern_entry",      "quern_first_seen", "quern_deliveries", "quern_retries",
                                             "quern_updated_at", "quern_unended",    "quern_born"};
    quern_bytes name = text_at(message, i);
    if (!message->is_private || name.len < 6 || memcmp(name.at, "quern_", 6) != 0) return false;
    for (size_t n = 0; n < NOTES; n++)
        if (bytes_is(name, notes[n])) return true;
    return false; /* a publisher's own */
}

/* What the scripts wrote beside the job's own fields. They are ours, so a wrong one is merely not believed. */
static void take_ours(struct message *message, quern_bytes name, quern_bytes value)
{
    uint64_t number;
    if (bytes_is(name, "quern_entry"))
        message->first_entry = value;
    else if (bytes_is(name, "quern_first_seen") && number_field(value, YEAR_9999_MS, &number))
        message->first_seen_ms = (int64_t)number;
    else if (bytes_is(name, "quern_born") && number_field(value, YEAR_9999_MS, &number))
        message->born_ms = (int64_t)number;
    else if (bytes_is(name, "quern_deliveries") && number_field(value, RETRIES_MAX, &number))
        message->deliveries_before = (uint32_t)number;
    else if (bytes_is(name, "quern_unended") && number_field(value, RETRIES_MAX, &number))
        message->unended = (uint32_t)number;
    else if (bytes_is(name, "quern_retries") && number_field(value, RETRIES_MAX, &number)) {
        message->retries_noted = (uint32_t)number;
        message->has_retries = true;
    }
}

/* The scripts' word for more fields than can be moved: then it stands for all of the job's own. Beside others it is a publisher's. */
static bool is_packed(const struct message *message, uint32_t own)
{
    return message->is_private && own == 1 && message_field(message, "quern_packed").at;
}

/* All notes are taken, also those behind a field that is wrong: a dead letter says where the job came from. */
static int take_fields(struct message *message, quern_error *err)
{
    uint32_t own = 0;
    int code = QUERN_OK;
    quern_bytes last = {NULL, 0};
    for (uint32_t i = 0; i + 1 < message->fields_count; i += 2) {
        quern_bytes name = text_at(message, i), value = text_at(message, i + 1);
        message->bytes += name.len + value.len;
        if (message->is_private && message_is_note(message, i)) {
            take_ours(message, name, value);
            continue;
        }
        int wrong = take_field(message, name, value, code ? NULL : err);
        if (!code) code = wrong;
        last = value;
        own++;
    }
    if (code) return code;
    if (is_packed(message, own))
        return err_set(err, QUERN_E_ARGUMENT,
                       "the entry has more fields than can be moved; they are kept as one, in MessagePack");
    bool is_single = own == 1 && !message->event.at && last.len;
    return is_single && last.at[strspn(last.at, " \t\r\n")] == '{' ? codec_read_object(message, last, err) : QUERN_OK;
}

/* Presence and bounds of what was found. */
static int check(struct message *message, uint32_t fields_max, quern_error *err)
{
    uint32_t fields = message->fields_count / 2, most = fields_max + (message->is_private ? NOTES : 0);
    if (fields > most) return err_set(err, QUERN_E_ARGUMENT, "the entry has %u fields; %u is the most", fields, most);
    if (!message->event.at) return err_set(err, QUERN_E_ARGUMENT, "the field event is missing");
    if (!message->data.at) return err_set(err, QUERN_E_ARGUMENT, "the field data is missing");
    if (message->event.len == 0) return err_set(err, QUERN_E_ARGUMENT, "the field event is empty");
    if (message->id.at && message->id.len == 0) return err_set(err, QUERN_E_ARGUMENT, "the field id is empty");
    /* Of the entry it came in first: a retry is the same job. */
    if (!message->id.at) message->id = message->first_entry.len ? message->first_entry : message_entry(message);
    int64_t created_ms;
    if (message->timestamps.at && !is_plain_stamps(message->timestamps) && codec_read_stamps(message->timestamps, &created_ms))
        return err_set(err, QUERN_E_ARGUMENT,
                       "the field timestamps is not {\"created_at\": ISO-8601, \"updated_at\": ISO-8601}");
    return QUERN_OK;
}

/* As Redis has written it, where it has. */
static void write_entry(struct message *message, const struct entry *entry)
{
    bool has_text = entry->id_text.len && entry->id_text.len < sizeof message->entry_text;
    if (has_text) memcpy(message->entry_text, entry->id_text.at, entry->id_text.len + 1);
    message->entry_len = (uint8_t)(has_text ? entry->id_text.len : entry_id_text(entry->id, message->entry_text));
}

int message_read(struct message *message, const struct entry *entry, bool is_private, uint32_t fields_max, quern_error *err)
{
    *message = (struct message){
        .entry = entry->id, .fields = entry->fields->items, .fields_count = entry->fields->count, .is_private = is_private};
    write_entry(message, entry);
    if (entry->fields->type != REPLY_ARRAY) {
        message->fields_count = 0;
        return err_set(err, QUERN_E_ARGUMENT, "the entry is gone from its stream");
    }
    int code = take_fields(message, err);
    if (message->has_retries) message->retries = message->retries_noted;
    if (!code) code = check(message, fields_max, err);
    return code;
}

static bool is_within(const char *at, quern_bytes text)
{
    return text.at && at >= text.at && at <= text.at + text.len;
}

/* Moves a view from one copy of a text to another. */
static void move_view(quern_bytes *view, quern_bytes from, const char *to)
{
    if (view->at && is_within(view->at, from)) view->at = to + (view->at - from.at);
}

static size_t detached_size(const struct message *message)
{
    size_t size = message->fields_count * sizeof *message->fields;
    for (uint32_t i = 0; i < message->fields_count; i++) size += text_at(message, i).len + 1;
    return size;
}

bool message_detach(struct message *message)
{
    if (message->copied) return true;
    char *block = malloc(detached_size(message) + 1);
    if (!block) return false;
    struct reply *fields = (struct reply *)(void *)block;
    char *at = block + message->fields_count * sizeof *fields;
    quern_bytes *views[] = {&message->id,         &message->event,       &message->data,
                            &message->timestamps, &message->first_entry, &message->batch};
    bool moved[COUNT_OF(views)] = {false};
    for (uint32_t i = 0; i < message->fields_count; i++) {
        quern_bytes text = text_at(message, i);
        fields[i] = message->fields[i];
        if (!text.at) continue;
        memcpy(at, text.at, text.len + 1);
        for (size_t v = 0; v < COUNT_OF(views); v++) {
            if (moved[v] || views[v]->at != text.at) continue;
            move_view(views[v], text, at);
            moved[v] = true;
        }
        fields[i].text = at;
        at += text.len + 1;
    }
    message->fields = fields;
    message->copied = block;
    return true;
}

void message_free(struct message *message)
{
    if (message->decoded) free(message->decoded), message->decoded = NULL;
    if (message->copied) free(message->copied), message->copied = NULL;
}

/* Other software may have a field of that name: what is not ours is none. */
quern_bytes message_batch(const struct message *message, const char *group)
{
    size_t len = strlen(group);
    quern_bytes batch = message->batch;
    bool is_ours =
        batch.at && batch.len == len + 1 + UUID_SIZE - 1 && memcmp(batch.at, group, len) == 0 && batch.at[len] == ':';
    return is_ours ? (quern_bytes){batch.at + len + 1, UUID_SIZE - 1} : (quern_bytes){NULL, 0};
}

int64_t message_first_ms(const struct message *message)
{
    if (message->born_ms) return message->born_ms;
    quern_bytes first = message->first_entry;
    const char *dash = first.len ? memchr(first.at, '-', first.len) : NULL;
    uint64_t ms;
    if (dash && bytes_number((quern_bytes){first.at, (size_t)(dash - first.at)}, &ms) && ms < YEAR_9999_MS) return (int64_t)ms;
    return message->entry.ms < YEAR_9999_MS ? (int64_t)message->entry.ms : (int64_t)YEAR_9999_MS;
}

int64_t message_created_ms(const struct message *message)
{
    int64_t created_ms;
    if (message->timestamps.at && read_stamps(message->timestamps, &created_ms)) return created_ms;
    return message_first_ms(message);
}
