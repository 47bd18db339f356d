/* SPDX-License-Identifier: MIT */
#include "repair/parcel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "job/codec.h"
#include "job/member.h"

enum { FIELDS_MAX = 1000000 };
static const char large[] = "original:"; /* what was too large for a record goes along under such names */

/* ── the letter ──────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Numbers of any size are JSON: their bytes are taken from the text. */
static json_t *record_of(quern_bytes data)
{
    json_t *record = data.at ? json_loadb(data.at, data.len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL) : NULL;
    if (json_is_object(record)) return record;
    json_decref(record);
    return NULL;
}

bool sheet_open(struct sheet *sheet, const struct reply *reply)
{
    *sheet = (struct sheet){0};
    if (!entry_read(reply, &sheet->entry)) return false;
    int is_foreign = message_read(&sheet->message, &sheet->entry, false, FIELDS_MAX, NULL);
    (void)is_foreign; /* what could be read of it is there */
    sheet->data = sheet->message.data.at ? sheet->message.data : message_field(&sheet->message, "data");
    sheet->record = record_of(sheet->data);
    return true;
}

void sheet_close(struct sheet *sheet)
{
    message_free(&sheet->message);
    json_decref(sheet->record);
    sheet->record = NULL;
}

static quern_bytes text_of(const json_t *value)
{
    if (!json_is_string(value)) return (quern_bytes){NULL, 0};
    return (quern_bytes){json_string_value(value), json_string_length(value)};
}

static json_t *hex_of(const json_t *object, const char *name)
{
    char other[64];
    snprintf(other, sizeof other, "%s_hex", name);
    return json_object_get(object, other);
}

quern_bytes sheet_text(const struct sheet *sheet, const char *name)
{
    return text_of(json_object_get(sheet->record, name));
}

bool sheet_says(const struct sheet *sheet, const char *name, quern_bytes text)
{
    quern_bytes found = sheet_text(sheet, name), coded = text_of(hex_of(sheet->record, name));
    if (found.at) return bytes_equal(found, text);
    char *hex = coded.at ? bytes_hex(text) : NULL;
    bool is_it = hex && bytes_is(coded, hex);
    free(hex);
    return is_it;
}

/* ── putting ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool make_room(struct parcel *parcel, size_t len)
{
    if (parcel->count == parcel->room) {
        size_t room = 2 * parcel->room + 16;
        size_t *lens = realloc(parcel->lens, room * sizeof *lens);
        if (!lens) return false;
        parcel->lens = lens;
        parcel->room = room;
    }
    if (parcel->bytes_room - parcel->bytes_len >= len) return true;
    size_t room = 2 * parcel->bytes_room + len;
    char *bytes = realloc(parcel->bytes, room);
    if (!bytes) return false;
    parcel->bytes = bytes;
    parcel->bytes_room = room;
    return true;
}

static void put(struct parcel *parcel, quern_bytes text)
{
    if (parcel->has_failed || !make_room(parcel, text.len)) {
        parcel->has_failed = true;
        return;
    }
    if (text.len) memcpy(parcel->bytes + parcel->bytes_len, text.at, text.len);
    parcel->bytes_len += text.len;
    parcel->lens[parcel->count++] = text.len;
}

static void put_field(struct parcel *parcel, const char *name, quern_bytes value)
{
    put(parcel, bytes_of(name));
    put(parcel, value);
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The bytes that hex stands for. false: it is none. */
static bool put_hex(struct parcel *parcel, quern_bytes hex)
{
    char *bytes = malloc(hex.len / 2 + 1);
    bool is_hex = hex.len % 2 == 0;
    for (size_t i = 0; bytes && is_hex && i < hex.len; i += 2) {
        int high = digit_of(hex.at[i]), low = digit_of(hex.at[i + 1]);
        is_hex = high >= 0 && low >= 0;
        bytes[i / 2] = (char)(high * 16 + low);
    }
    if (!bytes) parcel->has_failed = true;
    if (bytes && is_hex) put(parcel, (quern_bytes){bytes, hex.len / 2});
    free(bytes);
    return is_hex;
}

/* A text of an object, or the bytes of its hex. false: it has neither. */
static bool put_of(struct parcel *parcel, const json_t *object, const char *name)
{
    quern_bytes text = text_of(json_object_get(object, name)), hex = text_of(hex_of(object, name));
    if (text.at) put(parcel, text);
    return text.at || (hex.at && put_hex(parcel, hex));
}

/* ── the job ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool is_note(quern_bytes name)
{
    static const char *const notes[] = {"quern_entry",      "quern_first_seen", "quern_deliveries", "quern_retries",
                                        "quern_updated_at", "quern_unended",    "quern_born"};
    for (size_t i = 0; i < COUNT_OF(notes); i++)
        if (bytes_is(name, notes[i])) return true;
    return false;
}

/* [{"name", "value"}], each perhaps in hex. In a private stream a note of the publisher's would be believed. */
static bool put_list(struct parcel *parcel, const json_t *list, const char *skipped, bool is_private)
{
    size_t i;
    json_t *field;
    json_array_foreach(list, i, field)
    {
        quern_bytes name = text_of(json_object_get(field, "name"));
        if ((skipped && bytes_is(name, skipped)) || (is_private && is_note(name))) continue;
        if (!put_of(parcel, field, "name") || !put_of(parcel, field, "value")) return false;
    }
    return true;
}

/* Of a job that was too large for a record: each field of its own, as it was. */
static void put_large(struct parcel *parcel, const struct sheet *sheet, bool is_private)
{
    const struct reply *fields = sheet->entry.fields;
    for (uint32_t i = 0; fields->type == REPLY_ARRAY && i + 1 < fields->count; i += 2) {
        quern_bytes name = reply_bytes(&fields->items[i]);
        if (name.len < sizeof large - 1 || memcmp(name.at, large, sizeof large - 1) != 0) continue;
        name = (quern_bytes){name.at + sizeof large - 1, name.len - (sizeof large - 1)};
        if (is_note(name) || bytes_is(name, "expire_at")) continue;
        put(parcel, name);
        put(parcel, !is_private && bytes_is(name, "retries") ? bytes_of("0") : reply_bytes(&fields->items[i + 1]));
    }
}

/* What was JSON is taken as it is written there; other data is a text or hex, and the record says so. */
static bool put_data(struct parcel *parcel, const struct sheet *sheet)
{
    bool is_text = json_is_false(json_object_get(sheet->record, "original_data_is_json"));
    quern_bytes json = member_bytes(sheet->data, "original_data");
    put(parcel, bytes_of("data"));
    if (is_text || !json.at) return put_of(parcel, sheet->record, "original_data");
    put(parcel, json);
    return true;
}

/* Only times that can be read: others would spoil a job that has none. */
static bool has_stamps(const struct sheet *sheet)
{
    int64_t created_ms;
    return sheet->message.timestamps.at && codec_read_stamps(sheet->message.timestamps, &created_ms) == 0;
}

static bool put_job(struct parcel *parcel, const struct sheet *sheet, bool is_private)
{
    const json_t *record = sheet->record;
    bool has_id = json_is_string(json_object_get(record, "original_id")) || json_is_string(hex_of(record, "original_id"));
    if (has_id) put(parcel, bytes_of("id"));
    if (has_id && !put_of(parcel, record, "original_id")) return false;
    put(parcel, bytes_of("event"));
    if (!put_of(parcel, record, "original_event") || !put_data(parcel, sheet)) return false;
    put_field(parcel, "retries", bytes_of("0"));
    if (has_stamps(sheet)) put_field(parcel, "timestamps", sheet->message.timestamps);
    return put_list(parcel, json_object_get(record, "original_more"), "expire_at", is_private);
}

/* As the scripts write them (moved.lua). */
static void put_notes(struct parcel *parcel, const struct sheet *sheet, int64_t now_ms)
{
    char now[CLOCK_ISO_SIZE], born_ms[24];
    struct entry_id id;
    quern_bytes source = sheet_text(sheet, "source_stream_id");
    clock_iso(clock_unix_us(), now);
    if (source.at && entry_id_read(source, &id)) put_field(parcel, "quern_entry", source);
    put_field(parcel, "quern_retries", bytes_of("0"));
    put_field(parcel, "quern_updated_at", bytes_of(now));
    /* Behind what was cancelled until now, and behind its letter: a cancellation is not of this life. */
    int64_t letter_ms = (int64_t)sheet->entry.id.ms;
    snprintf(born_ms, sizeof born_ms, "%lld", (long long)(now_ms > letter_ms ? now_ms : letter_ms) + 1);
    put_field(parcel, "quern_born", bytes_of(born_ms));
}

int parcel_pack(struct parcel *parcel, const struct sheet *sheet, bool is_private, int64_t now_ms)
{
    const json_t *fields = json_object_get(sheet->record, "original_fields");
    *parcel = (struct parcel){0};
    entry_id_text(sheet->entry.id, parcel->entry);
    if (!sheet->record) return QUERN_E_ARGUMENT;
    put_large(parcel, sheet, is_private);
    bool is_whole = parcel->count ||
                    (json_array_size(fields) ? put_list(parcel, fields, NULL, is_private) : put_job(parcel, sheet, is_private));
    if (is_whole && is_private) put_notes(parcel, sheet, now_ms);
    if (parcel->has_failed) return QUERN_E_MEMORY;
    return is_whole ? QUERN_OK : QUERN_E_ARGUMENT;
}

void parcel_free(struct parcel *parcel)
{
    free(parcel->bytes);
    free(parcel->lens);
    *parcel = (struct parcel){0};
}
