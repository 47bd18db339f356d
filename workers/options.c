/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int options_wrong(quern_error *error, const char *format, ...)
{
    if (!error) return QUERN_E_CONFIG;
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    error->code = QUERN_E_CONFIG;
    error->is_retriable = 0;
    return QUERN_E_CONFIG;
}

int options_no_memory(quern_error *error)
{
    options_wrong(error, "no memory");
    if (error) error->code = QUERN_E_MEMORY, error->is_retriable = 1;
    return QUERN_E_MEMORY;
}

static bool is_known(const char *key, const char *const *known)
{
    while (*known && strcmp(*known, key) != 0) known++;
    return *known;
}

static int check_keys(json_t *options, const char *const *known, quern_error *error)
{
    const char *key;
    json_t *value;
    json_object_foreach(options, key,
                        value) if (!is_known(key, known)) return options_wrong(error, "options: there is no key \"%s\"", key);
    return QUERN_OK;
}

json_t *options_read(const char *text, const char *const *known, quern_error *error)
{
    json_error_t where;
    json_t *options = json_loads(text ? text : "{}", JSON_REJECT_DUPLICATES, &where);
    if (!options) {
        options_wrong(error, "options: %s (line %d)", where.text, where.line);
        return NULL;
    }
    if (!json_is_object(options)) {
        options_wrong(error, "options: must be an object");
    } else if (check_keys(options, known, error) == QUERN_OK) {
        return options;
    }
    json_decref(options);
    return NULL;
}

int options_integer(const json_t *options, const char *key, int64_t min, int64_t max, int64_t *value, quern_error *error)
{
    const json_t *found = json_object_get(options, key);
    if (!found) return QUERN_OK;
    int64_t number = json_integer_value(found);
    if (!json_is_integer(found) || number < min || number > max)
        return options_wrong(error, "%s: must be a whole number from %" PRId64 " to %" PRId64, key, min, max);
    *value = number;
    return QUERN_OK;
}

int options_flag(const json_t *options, const char *key, bool *value, quern_error *error)
{
    const json_t *found = json_object_get(options, key);
    if (!found) return QUERN_OK;
    if (!json_is_boolean(found)) return options_wrong(error, "%s: must be true or false", key);
    *value = json_is_true(found);
    return QUERN_OK;
}

int options_text(const json_t *options, const char *key, const char **value, quern_error *error)
{
    const json_t *found = json_object_get(options, key);
    if (!found) return QUERN_OK;
    if (!json_is_string(found)) return options_wrong(error, "%s: must be a text", key);
    *value = json_string_value(found);
    return QUERN_OK;
}
