/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TIME_SIZE = 40 };

static char *hex_of(quern_bytes bytes)
{
    char *text = malloc(2 * bytes.len + 1);
    for (size_t i = 0; text && i < bytes.len; i++) sprintf(text + 2 * i, "%02x", (unsigned char)bytes.at[i]);
    if (text) text[2 * bytes.len] = 0;
    return text;
}

/* name: null, and the bytes under name_hex. */
static bool put_hex(json_t *message, const char *name, quern_bytes bytes)
{
    char key[32], *text = hex_of(bytes);
    snprintf(key, sizeof key, "%s_hex", name);
    bool is_put =
        text && !json_object_set_new(message, name, json_null()) && !json_object_set_new(message, key, json_string(text));
    free(text);
    return is_put;
}

static bool put_name(json_t *message, const char *name, quern_bytes bytes)
{
    json_t *text = json_stringn(bytes.at ? bytes.at : "", bytes.len); /* NULL: no UTF-8 */
    return text ? !json_object_set_new(message, name, text) : put_hex(message, name, bytes);
}

/* When the job's first entry was written: its id begins with that. */
static void first_time(const quern_job *job, char text[TIME_SIZE])
{
    quern_bytes first = quern_job_field(job, "quern_entry"), entry = quern_job_entry(job);
    long long ms = atoll(first.at ? first.at : entry.at);
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    size_t len = gmtime_r(&seconds, &utc) ? strftime(text, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &utc) : 0;
    snprintf(text + len, TIME_SIZE - len, ".%03lld000+00:00", ms % 1000);
}

/* As published, where they were; a job that was tried before has been updated by that. */
static bool put_stamps(json_t *message, const quern_job *job)
{
    char first[TIME_SIZE];
    quern_bytes field = quern_job_field(job, "timestamps"), updated = quern_job_field(job, "quern_updated_at");
    json_t *stamps = field.at ? json_loadb(field.at, field.len, 0, NULL) : NULL;
    first_time(job, first);
    if (!stamps) stamps = json_pack("{s:s, s:s}", "created_at", first, "updated_at", first);
    bool is_whole =
        stamps && (!updated.at || !json_object_set_new(stamps, "updated_at", json_stringn(updated.at, updated.len)));
    return !json_object_set_new(message, "timestamps", stamps) && is_whole;
}

static bool put_all(json_t *message, const quern_job *job)
{
    return message && put_name(message, "id", quern_job_id(job)) && put_name(message, "event", quern_job_event(job)) &&
           !json_object_set_new(message, "retries", json_integer(quern_job_retries(job))) && put_stamps(message, job) &&
           put_name(message, "entry", quern_job_entry(job)) &&
           !json_object_set_new(message, "deliveries", json_integer(quern_job_deliveries(job)));
}

/* The object's text with one more member behind the others: JSON that is not touched. */
static char *spliced(const char *object, quern_bytes data, size_t *len)
{
    static const char member[] = ",\"data\":";
    size_t head = strlen(object) - 1; /* without the brace */
    char *text = malloc(head + sizeof member + data.len + 1);
    if (!text) return NULL;
    memcpy(text, object, head);
    memcpy(text + head, member, sizeof member - 1);
    memcpy(text + head + sizeof member - 1, data.at, data.len);
    *len = head + sizeof member + data.len;
    memcpy(text + *len - 1, "}", 2);
    return text;
}

static char *text_of(quern_job *job, bool is_raw, size_t *len)
{
    json_t *message = json_object();
    bool is_whole = put_all(message, job) && (!is_raw || put_hex(message, "data", quern_job_data(job)));
    char *object = is_whole ? json_dumps(message, JSON_COMPACT) : NULL, *text = object;
    if (object && is_raw) *len = strlen(object);
    if (object && !is_raw) {
        text = spliced(object, quern_job_data(job), len);
        free(object);
    }
    json_decref(message);
    return text;
}

quern_verdict message_make(quern_job *job, char **text, size_t *len)
{
    quern_bytes type = quern_job_field(job, "data_type");
    bool is_raw = type.len == 5 && !memcmp(type.at, "bytes", 5);
    if (!is_raw && !quern_job_json(job)) return QUERN_DEAD; /* the job's error says where it is wrong */
    if ((*text = text_of(job, is_raw, len))) return 0;
    quern_job_error(job, "no memory for the message");
    return QUERN_RETRY;
}
