/* SPDX-License-Identifier: MIT */
#include "publish/fields.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/err.h"
#include "job/codec.h"
#include "publish/check.h"

static void put(struct fields *fields, const char *name, quern_bytes value)
{
    fields->at[fields->count++] = bytes_of(name);
    fields->at[fields->count++] = value;
}

static void write_fields(struct fields *fields, const quern_message *message, const struct fields_more *more)
{
    put(fields, "id", bytes_of(more->id));
    put(fields, "event", bytes_of(message->event));
    put(fields, "data", check_data(message));
    put(fields, "retries", bytes_of("0"));
    put(fields, "timestamps", bytes_of(more->stamps));
    if (message->is_raw) put(fields, "data_type", bytes_of("bytes"));
    if (message->key) put(fields, "key", bytes_of(message->key));
    if (more->batch) put(fields, "batch", bytes_of(more->batch));
    if (message->expire_at_ms) put(fields, "expire_at", bytes_of(fields->expire_at));
}

/* The data goes in as it is: it has been checked, and is not to be spelled anew. */
static bool write_object(struct fields *fields, const quern_message *message, const struct fields_more *more)
{
    quern_bytes data = check_data(message);
    json_t *object = json_pack("{s:s, s:s, s:i, s:s*, s:s*, s:o*}", "id", more->id, "event", message->event, "retries", 0,
                               "key", message->key, "batch", more->batch, "expire_at",
                               message->expire_at_ms ? json_integer(message->expire_at_ms) : NULL);
    char *text = object ? codec_text(object, JSON_COMPACT) : NULL;
    json_decref(object);
    int n = text ? asprintf(&fields->object, "%.*s,\"timestamps\":%s,\"data\":%.*s}", (int)strlen(text) - 1, text, more->stamps,
                            (int)data.len, data.at)
                 : -1;
    free(text);
    if (n < 0)
        fields->object = NULL;
    else
        put(fields, "job", (quern_bytes){fields->object, (size_t)n});
    return n >= 0;
}

int fields_write(struct fields *fields, int shape, const quern_message *message, const struct fields_more *more,
                 quern_error *err)
{
    fields->count = 0;
    fields->object = NULL;
    snprintf(fields->expire_at, sizeof fields->expire_at, "%lld", (long long)message->expire_at_ms);
    if (shape == SHAPE_FIELDS)
        write_fields(fields, message, more);
    else if (!write_object(fields, message, more))
        return err_set(err, QUERN_E_MEMORY, "no memory for an entry");
    return QUERN_OK;
}

void fields_free(struct fields *fields)
{
    free(fields->object);
    fields->object = NULL;
}
