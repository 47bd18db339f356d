/* SPDX-License-Identifier: MIT */
#include "inspect/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "job/codec.h"

bool show_null(json_t *object, const char *name)
{
    return !json_object_set_new(object, name, json_null());
}

bool show_bytes(json_t *object, const char *name, quern_bytes bytes)
{
    char other[64];
    if (!bytes.at) return show_null(object, name);
    if (bytes_is_utf8(bytes)) return !json_object_set_new(object, name, json_stringn(bytes.at, bytes.len));
    char *hex = bytes_hex(bytes);
    snprintf(other, sizeof other, "%s_hex", name);
    bool is_shown = hex && show_null(object, name) && !json_object_set_new(object, other, json_string(hex));
    free(hex);
    return is_shown;
}

bool show_number(json_t *object, const char *name, int64_t number)
{
    return !json_object_set_new(object, name, json_integer(number));
}

bool show_number_or_null(json_t *object, const char *name, int64_t number, bool is_known)
{
    return is_known ? show_number(object, name, number) : show_null(object, name);
}

bool show_id(json_t *object, const char *name, struct entry_id id)
{
    char text[ENTRY_ID_SIZE];
    entry_id_text(id, text);
    return !json_object_set_new(object, name, json_string(text));
}

int64_t show_age_ms(int64_t now_ms, struct entry_id id)
{
    return id.ms < (uint64_t)now_ms ? now_ms - (int64_t)id.ms : 0;
}

char *show_text(json_t *value, quern_error *err)
{
    char *text = value ? codec_text(value, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(value);
    if (!text) err_set(err, QUERN_E_MEMORY, "no memory for what was seen");
    return text;
}

char *show_spliced(char *object, const char *name, quern_bytes json)
{
    size_t len = strlen(object) - 1; /* without the brace */
    char *text = malloc(len + strlen(name) + json.len + 8);
    if (text) {
        size_t head = (size_t)sprintf(text, "%.*s,\"%s\":", (int)len, object, name);
        memcpy(text + head, json.at, json.len);
        memcpy(text + head + json.len, "}", 2);
    }
    free(object);
    return text;
}
