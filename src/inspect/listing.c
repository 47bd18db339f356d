/* SPDX-License-Identifier: MIT */
#include "inspect/listing.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/err.h"
#include "inspect/show.h"
#include "job/codec.h"
#include "job/message.h"

enum { FIELDS_MAX = 1000000 };

int listing_no_memory(quern_error *err)
{
    return err_set(err, QUERN_E_MEMORY, "no memory for a list of jobs");
}

int listing_open(struct listing *listing, size_t max, quern_error *err)
{
    *listing = (struct listing){.max = max};
    listing->to = open_memstream(&listing->text, &listing->bytes);
    return listing->to && fputc('[', listing->to) != EOF ? QUERN_OK : listing_no_memory(err);
}

char *listing_close(struct listing *listing, int code, quern_error *err)
{
    char *text = NULL;
    bool is_whole = listing->to && fputc(']', listing->to) != EOF && !ferror(listing->to);
    if (listing->to && (fclose(listing->to) || !is_whole)) is_whole = false;
    if (is_whole && !code) text = listing->text;
    if (!text) free(listing->text);
    if (!text && !code) listing_no_memory(err);
    *listing = (struct listing){0};
    return text;
}

static bool put_text(struct listing *listing, char *text)
{
    bool is_put = text && (!listing->count || fputc(',', listing->to) != EOF) && fputs(text, listing->to) != EOF;
    listing->count += is_put;
    free(text);
    return is_put;
}

bool listing_add(struct listing *listing, json_t *row)
{
    char *text = row ? codec_text(row, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(row);
    return put_text(listing, text);
}

static bool is_json(const struct message *message)
{
    return message->data.at && !bytes_is(message_field(message, "data_type"), "bytes") && codec_is_json(message->data);
}

/* null, and the bytes in hex. */
static bool show_hex(json_t *row, quern_bytes data)
{
    char *hex = data.at ? bytes_hex(data) : NULL;
    bool is_shown = show_null(row, "data") && (!hex || !json_object_set_new(row, "data_hex", json_string(hex)));
    is_shown = is_shown && (hex || !data.at);
    free(hex);
    return is_shown;
}

/* When it was published is known by its timestamps, or by its first entry. */
static bool show_message(json_t *row, const struct message *message, bool is_job, int64_t now_ms)
{
    bool is_dated = is_job && (message->timestamps.at || message->first_entry.at || message->entry.ms);
    int64_t since_ms = is_dated ? message_created_ms(message) : now_ms;
    return show_bytes(row, "id", message->id) && show_bytes(row, "event", message->event) &&
           show_number_or_null(row, "retries", message->retries, is_job) &&
           show_number_or_null(row, "age_ms", since_ms < now_ms ? now_ms - since_ms : 0, is_dated);
}

static bool add_message(struct listing *listing, json_t *row, const struct message *message, bool is_job, int64_t now_ms)
{
    if (!show_message(row, message, is_job, now_ms)) return false;
    if (!is_json(message)) return show_hex(row, message->data) && listing_add(listing, json_incref(row));
    char *text = codec_text(row, JSON_COMPACT);
    return put_text(listing, text ? show_spliced(text, "data", message->data) : NULL);
}

bool listing_add_job(struct listing *listing, json_t *row, const struct entry *entry, bool is_private, int64_t now_ms)
{
    struct message message = {0};
    if (!row) return false;
    bool is_job = entry->fields->type == REPLY_ARRAY && !message_read(&message, entry, is_private, FIELDS_MAX, NULL);
    bool is_added = add_message(listing, row, &message, is_job, now_ms);
    message_free(&message);
    json_decref(row);
    return is_added;
}
