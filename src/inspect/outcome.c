/* SPDX-License-Identifier: MIT */
#include "inspect/outcome.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "inspect/show.h"
#include "job/codec.h"

/* Every object has these, in this order. */
static const char *const members[] = {"id",    "outcome",  "event",  "retries", "result", "reason",
                                      "error", "consumer", "letter", "wait_ms", "run_ms", "finished_at"};

#define YEAR_9999_MS UINT64_C(253402300799999)
#define NUMBER_MAX   1e15 /* what others write may be larger than any variable */

static json_t *blank(const char *word)
{
    json_t *object = json_object();
    bool is_whole = object != NULL;
    for (size_t i = 0; is_whole && i < COUNT_OF(members); i++) is_whole = show_null(object, members[i]);
    if (is_whole && !json_object_set_new(object, "outcome", json_string(word))) return object;
    json_decref(object);
    return NULL;
}

/* ── done ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

void outcome_read_done(struct outcome *outcome, const struct entry *entry)
{
    *outcome = (struct outcome){.entry = *entry, .id = reply_bytes(reply_field(entry->fields, "id"))};
}

/* The log's numbers may have decimals. */
static bool show_decimal(json_t *object, const char *name, quern_bytes text)
{
    char *end = NULL;
    double number = text.len ? strtod(text.at, &end) : 0;
    bool is_number = text.len && end == text.at + text.len && number >= 0 && number < NUMBER_MAX;
    return !json_object_set_new(object, name, is_number ? json_real(number) : json_null());
}

static bool show_done(json_t *object, const struct reply *fields)
{
    static const char *const texts[] = {"id", "event", "result", "consumer", "finished_at"};
    int64_t retries = reply_number(reply_field(fields, "retries"), -1);
    bool is_whole = show_number_or_null(object, "retries", retries, retries >= 0);
    for (size_t i = 0; is_whole && i < COUNT_OF(texts); i++)
        is_whole = show_bytes(object, texts[i], reply_bytes(reply_field(fields, texts[i])));
    return is_whole && show_decimal(object, "wait_ms", reply_bytes(reply_field(fields, "wait_ms"))) &&
           show_decimal(object, "run_ms", reply_bytes(reply_field(fields, "run_ms")));
}

/* ── dead ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

void outcome_read_dead(struct outcome *outcome, const struct entry *entry, const char *group)
{
    *outcome = (struct outcome){.entry = *entry, .record = codec_parse_wide(reply_bytes(reply_field(entry->fields, "data")))};
    const char *its = json_string_value(json_object_get(outcome->record, "group"));
    json_t *id = json_object_get(outcome->record, "original_id");
    if (its && strcmp(its, group) == 0 && json_is_string(id))
        outcome->id = (quern_bytes){json_string_value(id), json_string_length(id)};
}

static bool take_member(json_t *object, const char *name, const json_t *record, const char *there)
{
    json_t *value = json_object_get(record, there);
    return !value || !json_object_set(object, name, value);
}

static bool show_dead(json_t *object, const struct outcome *outcome)
{
    char died[CLOCK_ISO_SIZE];
    uint64_t ms = outcome->entry.id.ms > YEAR_9999_MS ? YEAR_9999_MS : outcome->entry.id.ms;
    json_t *retries = json_object_get(outcome->record, "retries");
    bool has_retries = json_is_number(retries) && json_number_value(retries) >= 0 && json_number_value(retries) < NUMBER_MAX;
    clock_iso((int64_t)ms * 1000, died);
    return show_bytes(object, "id", outcome->id) && take_member(object, "event", outcome->record, "original_event") &&
           show_number_or_null(object, "retries", has_retries ? (int64_t)json_number_value(retries) : 0, has_retries) &&
           take_member(object, "reason", outcome->record, "reason") && take_member(object, "error", outcome->record, "error") &&
           take_member(object, "consumer", outcome->record, "consumer") &&
           take_member(object, "run_ms", outcome->record, "duration_ms") && show_id(object, "letter", outcome->entry.id) &&
           show_bytes(object, "finished_at", bytes_of(died));
}

/* ── objects ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

void outcome_close(struct outcome *outcome)
{
    json_decref(outcome->record);
    outcome->record = NULL;
}

json_t *outcome_object(const struct outcome *outcome)
{
    json_t *object = blank(outcome->record ? "dead" : "done");
    bool is_whole = object && (outcome->record ? show_dead(object, outcome) : show_done(object, outcome->entry.fields));
    if (is_whole) return object;
    json_decref(object);
    return NULL;
}

json_t *outcome_without_record(const char *word, const char *id, const char *error)
{
    json_t *object = blank(word);
    bool is_whole = object && show_bytes(object, "id", bytes_of(id)) && show_bytes(object, "error", bytes_of(error));
    if (is_whole) return object;
    json_decref(object);
    return NULL;
}
