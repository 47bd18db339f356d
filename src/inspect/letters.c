/* SPDX-License-Identifier: MIT */

/* inspect/letters: the dead letters of a stream.
 * Idea       quern's letters and those of streamix-queue are one schema (job/letter), and the stream is open to everybody: a letter is
 *            shown with what can be read of it, and null for the rest. Newest first, as they are asked for after something broke. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "inspect/look.h"
#include "inspect/show.h"
#include "job/codec.h"
#include "job/message.h"

/* A letter may have as many bytes as a job: few of them travel at a time. */
enum { PAGE = 32, FIELDS_MAX = 1000000 };
#define YEAR_9999_MS UINT64_C(253402300799999)
#define NUMBER_MAX   1e15 /* what others write may be larger than any variable */

/* One letter while it is looked at. */
struct sheet {
    struct entry entry;
    struct message message;
    quern_bytes data;
    json_t *record; /* the data; NULL where that is no JSON */
};

static bool sheet_open(struct sheet *sheet, const struct reply *reply)
{
    *sheet = (struct sheet){0};
    if (!entry_read(reply, &sheet->entry)) return false;
    int is_foreign = message_read(&sheet->message, &sheet->entry, false, FIELDS_MAX, NULL);
    (void)is_foreign; /* what could be read of it is there */
    sheet->data = sheet->message.data.at ? sheet->message.data : message_field(&sheet->message, "data");
    sheet->record = sheet->data.at ? codec_parse_wide(sheet->data) : NULL;
    return true;
}

static void sheet_close(struct sheet *sheet)
{
    message_free(&sheet->message);
    codec_drop(sheet->record);
}

/* ── showing ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A text of the record, and its hex where it was no UTF-8. */
static bool show_of_record(json_t *object, const char *name, const json_t *record)
{
    char other[64];
    snprintf(other, sizeof other, "%s_hex", name);
    json_t *text = json_object_get(record, name), *hex = json_object_get(record, other);
    if (json_object_set_new(object, name, json_is_string(text) ? json_incref(text) : json_null())) return false;
    return !json_is_string(hex) || !json_object_set(object, other, hex);
}

/* Where another number of the record fits no variable, this one is a real, too. */
static bool show_number_of_record(json_t *object, const char *name, const json_t *record)
{
    json_t *value = json_object_get(record, name);
    double real = json_real_value(value);
    bool is_whole = json_is_real(value) && real > -NUMBER_MAX && real < NUMBER_MAX && real == (double)(int64_t)real;
    int64_t number = is_whole ? (int64_t)real : json_integer_value(value);
    return show_number_or_null(object, name, number, is_whole || json_is_integer(value));
}

/* When Redis was given it: every letter has that, and by one clock. */
static bool show_died(json_t *object, struct entry_id id)
{
    char text[CLOCK_ISO_SIZE];
    if (id.ms > YEAR_9999_MS) return show_null(object, "died_at");
    clock_iso((int64_t)id.ms * 1000, text);
    return !json_object_set_new(object, "died_at", json_string(text));
}

static json_t *summary_of(const struct sheet *sheet)
{
    const json_t *record = sheet->record;
    json_t *object = json_object();
    bool is_whole = object && show_id(object, "entry", sheet->entry.id) && show_bytes(object, "id", sheet->message.id) &&
                    show_of_record(object, "original_id", record) && show_of_record(object, "original_event", record) &&
                    show_of_record(object, "reason", record) && show_of_record(object, "group", record) &&
                    show_number_of_record(object, "retries", record) && show_number_of_record(object, "deliveries", record) &&
                    show_of_record(object, "error", record) && show_died(object, sheet->entry.id);
    if (is_whole) return object;
    json_decref(object);
    return NULL;
}

/* Every field but skipped, as [{"name", "value"}]: there may be two of a name. */
static json_t *fields_of(const struct reply *fields, const char *skipped)
{
    json_t *list = json_array();
    for (uint32_t i = 0; list && i + 1 < fields->count; i += 2) {
        quern_bytes name = reply_bytes(&fields->items[i]), value = reply_bytes(&fields->items[i + 1]);
        if (value.at == skipped) continue;
        json_t *field = json_object();
        bool is_whole = field && show_bytes(field, "name", name) && show_bytes(field, "value", value);
        if (!json_array_append_new(list, field) && is_whole) continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

/* The whole letter: the data as the JSON it is, or null, and all other fields. */
static char *letter_text(const struct sheet *sheet, quern_error *err)
{
    quern_bytes data = sheet->record ? sheet->data : bytes_of("null");
    json_t *object = summary_of(sheet);
    json_t *fields = fields_of(sheet->entry.fields, sheet->record ? data.at : NULL);
    bool is_whole = object && !json_object_set_new(object, "fields", fields);
    char *text = is_whole ? codec_text(object, JSON_COMPACT) : NULL;
    if (!object) json_decref(fields);
    json_decref(object);
    if (text) text = show_spliced(text, "data", data);
    if (!text) err_set(err, QUERN_E_MEMORY, "no memory for a letter");
    return text;
}

/* ── walking ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The page before *before ("+": the newest), which moves on. */
static int read_page(struct look *look, char before[ENTRY_ID_SIZE + 1], size_t max, const struct reply **page, quern_error *err)
{
    struct entry entry;
    conn_begin(look->conn, 6);
    for (const char *const *word = (const char *const[]){"XREVRANGE", look->source.dead, before, "-", "COUNT", NULL}; *word;
         word++)
        conn_arg_text(look->conn, *word);
    conn_arg_number(look->conn, (int64_t)max);
    int code = look_ask(look, page, err);
    if (code || (*page)->type != REPLY_ARRAY || !(*page)->count) return code;
    if (!entry_read(reply_item(*page, (*page)->count - 1), &entry))
        return err_set(err, QUERN_E_SERVER, "XREVRANGE answered something that is no entry");
    before[0] = '(';
    entry_id_text(entry.id, before + 1);
    return QUERN_OK;
}

/* Calls each with one letter after the other, newest first, until it has enough. QUERN_E_MEMORY where each says so. */
enum step { STEP_ON, STEP_ENOUGH, STEP_NO_MEMORY };
typedef enum step letter_step(void *user, const struct sheet *sheet);

static int walk(struct look *look, size_t max, letter_step *each, void *user, quern_error *err)
{
    char before[ENTRY_ID_SIZE + 1] = "+";
    const struct reply *page;
    struct sheet sheet;
    size_t want;
    for (; (want = max < PAGE ? max : PAGE); max -= want) {
        int code = read_page(look, before, want, &page, err);
        if (code) return code;
        uint32_t count = page->type == REPLY_ARRAY ? page->count : 0;
        for (uint32_t i = 0; i < count; i++) {
            enum step step = sheet_open(&sheet, &page->items[i]) ? each(user, &sheet) : STEP_ON;
            sheet_close(&sheet);
            if (step == STEP_ENOUGH) return QUERN_OK;
            if (step == STEP_NO_MEMORY) return err_set(err, QUERN_E_MEMORY, "no memory for letters");
        }
        if (count < want) return QUERN_OK;
    }
    return QUERN_OK;
}

static enum step list_letter(void *user, const struct sheet *sheet)
{
    return json_array_append_new(user, summary_of(sheet)) ? STEP_NO_MEMORY : STEP_ON;
}

char *quern_queue_dead(const quern_config *config, size_t max, quern_error *err)
{
    struct look look;
    quern_error own;
    if (!err) err = &own;
    if (look_open(&look, config, err)) return NULL;
    json_t *list = json_array();
    int code = list ? look_for_stream(&look, look.source.dead, err) : err_set(err, QUERN_E_MEMORY, "no memory for letters");
    if (!code) code = walk(&look, max, list_letter, list, err);
    char *text = code ? NULL : show_text(json_incref(list), err);
    json_decref(list);
    look_close(&look);
    return text;
}

/* ── one letter ──────────────────────────────────────────────────────────────────────────────────────────────────── */

struct search {
    quern_bytes id;
    char *hex; /* how an id that is no UTF-8 lies in the record */
    char *text;
    quern_error *err;
};

static bool is_text(const json_t *value, quern_bytes text)
{
    return json_is_string(value) && bytes_equal((quern_bytes){json_string_value(value), json_string_length(value)}, text);
}

static enum step match_letter(void *user, const struct sheet *sheet)
{
    struct search *search = user;
    bool is_it = bytes_equal(sheet->message.id, search->id) ||
                 is_text(json_object_get(sheet->record, "original_id"), search->id) ||
                 is_text(json_object_get(sheet->record, "original_id_hex"), bytes_of(search->hex));
    if (!is_it) return STEP_ON;
    search->text = letter_text(sheet, search->err);
    return search->text ? STEP_ENOUGH : STEP_NO_MEMORY;
}

/* By its place in the stream: no need to look through them all. */
static int find_entry(struct look *look, struct search *search, quern_error *err)
{
    struct entry_id id;
    struct sheet sheet;
    const struct reply *reply;
    if (!entry_id_read(search->id, &id)) return QUERN_OK;
    conn_command(look->conn, "XRANGE", look->source.dead, search->id.at, search->id.at, NULL);
    int code = look_ask(look, &reply, err);
    if (code || !sheet_open(&sheet, reply_item(reply, 0))) return code;
    search->text = letter_text(&sheet, err);
    sheet_close(&sheet);
    return search->text ? QUERN_OK : QUERN_E_MEMORY;
}

static int find(struct look *look, struct search *search, quern_error *err)
{
    int code = look_for_stream(look, look->source.dead, err);
    if (!code) code = find_entry(look, search, err);
    if (!code && !search->text) code = walk(look, SIZE_MAX, match_letter, search, err);
    if (code || search->text) return code;
    return err_set(err, QUERN_E_GONE, "no letter in %s has the id %.200s, or is of a job that has it", look->source.dead,
                   search->id.at);
}

char *quern_queue_letter(const quern_config *config, const char *id, quern_error *err)
{
    struct look look;
    quern_error own;
    if (!err) err = &own;
    struct search search = {.id = bytes_of(id), .hex = bytes_hex(bytes_of(id)), .err = err};
    if (!search.id.len)
        err_set(err, QUERN_E_ARGUMENT, "no id was given");
    else if (!search.hex)
        err_set(err, QUERN_E_MEMORY, "no memory for an id");
    else if (!look_open(&look, config, err)) {
        if (find(&look, &search, err)) search.text = NULL;
        look_close(&look);
    }
    free(search.hex);
    return search.text;
}
