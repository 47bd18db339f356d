/* SPDX-License-Identifier: MIT */
#include "config/check.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "config/queues.h"
#include "config/workers.h"

/* ── Words ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

void check_words(const struct config_row *row, const json_t *json, char text[CHECK_WORDS_SIZE])
{
    enum { SHOWN = 40 };
    if (row && row->flags & CONFIG_SECRET)
        snprintf(text, CHECK_WORDS_SIZE, "the value");
    else if (json_is_string(json))
        snprintf(text, CHECK_WORDS_SIZE, "\"%.*s\"%s", SHOWN, json_string_value(json),
                 json_string_length(json) > SHOWN ? "..." : "");
    else if (json_is_integer(json))
        snprintf(text, CHECK_WORDS_SIZE, "%lld", (long long)json_integer_value(json));
    else if (json_is_real(json))
        snprintf(text, CHECK_WORDS_SIZE, "%g", json_real_value(json));
    else if (json_is_boolean(json))
        snprintf(text, CHECK_WORDS_SIZE, json_is_true(json) ? "true" : "false");
    else
        snprintf(text, CHECK_WORDS_SIZE, json_is_null(json) ? "null" : json_is_array(json) ? "a list" : "an object");
    for (char *at = text; *at; at++) /* a terminal may show this, and a character may have been cut */
        if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f) *at = '?';
}

/* "KEY: VALUE is …; use …" */
static bool refuse(const struct config_row *row, const json_t *json, const char *key, const char *why,
                   struct problems *problems)
{
    char words[CHECK_WORDS_SIZE], right[CONFIG_RIGHT_SIZE];
    check_words(row, json, words);
    config_right(row, right);
    problems_add(problems, key, "%s %s; use %s", words, why, right);
    return false;
}

/* Shown as it is only if it looks like a key: what somebody put there by mistake may be a secret. */
static bool looks_like_a_key(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= 64 && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == len;
}

void check_unknown(const char *where, const char *name, unsigned flags, const char *const *names, struct problems *problems)
{
    char key[128];
    const char *near = config_nearest(name, flags, names, config_typos(name));
    snprintf(key, sizeof key, "%s%s", where, looks_like_a_key(name) ? name : "(a key with odd characters)");
    if (near)
        problems_add(problems, key, "there is no such key; did you mean %s?", near);
    else
        problems_add(problems, key, "there is no such key%s; remove it",
                     flags & CONFIG_PER_EVENT   ? " for one event"
                     : flags & CONFIG_PER_QUEUE ? " for one queue"
                                                : "");
}

/* ── Checks ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) return true;
    return false;
}

/* Names that would make a group's keys those of the stream's own: S:failed and the like. */
static bool is_reserved(const char *group)
{
    static const char *const reserved[] = {"failed", "scheduled", "unique", "published", "bell"};
    for (size_t i = 0; i < COUNT_OF(reserved); i++)
        if (!strcmp(group, reserved[i])) return true;
    return false;
}

static bool is_entry_id(const char *text)
{
    const char *dash = strchr(text, '-');
    uint64_t number;
    size_t head = dash ? (size_t)(dash - text) : strlen(text);
    return bytes_number((quern_bytes){text, head}, &number) && (!dash || bytes_number(bytes_of(dash + 1), &number));
}

/* Why a text is not one of its type; NULL: it is. */
static const char *wrong_with(enum config_type type, const char *text)
{
    if (has_control(text)) return "has control characters";
    if (type == CONFIG_TEXT) return NULL;
    if (type == CONFIG_START) return !strcmp(text, "$") || is_entry_id(text) ? NULL : "is no place in a stream";
    if (strchr(text, ' ')) return "has a space";
    if (type == CONFIG_GROUP && strchr(text, ':')) return "has a colon";
    if (type == CONFIG_GROUP && is_reserved(text)) return "is a name that quern uses itself";
    return NULL;
}

static bool check_text(const struct config_row *row, const json_t *json, const char *key, struct problems *problems)
{
    if (!json_is_string(json)) return refuse(row, json, key, "is not a text", problems);
    int64_t len = (int64_t)json_string_length(json);
    if (len < row->min) return refuse(row, json, key, "is too short", problems);
    if (len > row->max) return refuse(row, json, key, "is too long", problems);
    const char *why = wrong_with(row->type, json_string_value(json));
    return !why || refuse(row, json, key, why, problems);
}

static bool check_number(const struct config_row *row, const json_t *json, const char *key, struct problems *problems)
{
    if (!json_is_integer(json)) return refuse(row, json, key, "is not a whole number", problems);
    if (json_integer_value(json) < row->min || json_integer_value(json) > row->max)
        return refuse(row, json, key, "is out of range", problems);
    return true;
}

static bool check_threads(const struct config_row *row, const json_t *json, const char *key, struct problems *problems)
{
    if (json_is_string(json) && !strcmp(json_string_value(json), "auto")) return true;
    return check_number(row, json, key, problems);
}

static bool check_bool(const struct config_row *row, const json_t *json, const char *key, struct problems *problems)
{
    return json_is_boolean(json) || refuse(row, json, key, "is neither true nor false", problems);
}

static bool check_choice(const struct config_row *row, const json_t *json, const char *key, struct problems *problems)
{
    if (json_is_string(json) && config_choice(row, json_string_value(json)) >= 0) return true;
    return refuse(row, json, key, "is not among the choices", problems);
}

static bool check_groups(const struct config_row *row, const json_t *json, const char *key, struct problems *problems)
{
    const struct config_row *group = config_find("group");
    if (!json_is_array(json)) return refuse(row, json, key, "is not a list", problems);
    if ((int64_t)json_array_size(json) > row->max) return refuse(row, json, key, "is too long", problems);
    size_t before = problems->count;
    for (size_t i = 0; i < json_array_size(json); i++) {
        char element[128];
        snprintf(element, sizeof element, "%s[%zu]", key, i);
        check_text(group, json_array_get(json, i), element, problems);
    }
    return problems->count == before;
}

static bool check_workers(const struct config_row *row, const json_t *json, const char *key, struct problems *problems)
{
    size_t before = problems->count;
    if (!json_is_array(json)) return refuse(row, json, key, "is not a list", problems);
    if ((int64_t)json_array_size(json) < row->min) return refuse(row, json, key, "without workers has nothing to do", problems);
    if ((int64_t)json_array_size(json) > row->max) return refuse(row, json, key, "is too long", problems);
    workers_check(json, key, problems);
    return problems->count == before;
}

static bool check_queues(const struct config_row *row, const json_t *json, const char *key, struct problems *problems)
{
    size_t before = problems->count;
    if (!json_is_array(json)) return refuse(row, json, key, "is not a list", problems);
    if ((int64_t)json_array_size(json) < row->min) return refuse(row, json, key, "without queues has nothing to do", problems);
    if ((int64_t)json_array_size(json) > row->max) return refuse(row, json, key, "is too long", problems);
    queues_check(json, key, problems);
    return problems->count == before;
}

/* ── One line per type ───────────────────────────────────────────────────────────────────────────────────────────── */

typedef bool check_fn(const struct config_row *row, const json_t *json, const char *key, struct problems *problems);

static check_fn *const checks[CONFIG_TYPES] = {
    [CONFIG_TEXT] = check_text,       [CONFIG_NAME] = check_text,     [CONFIG_GROUP] = check_text,
    [CONFIG_START] = check_text,      [CONFIG_NUMBER] = check_number, [CONFIG_THREADS] = check_threads,
    [CONFIG_BOOL] = check_bool,       [CONFIG_CHOICE] = check_choice, [CONFIG_GROUPS] = check_groups,
    [CONFIG_WORKERS] = check_workers, [CONFIG_QUEUES] = check_queues,
};

bool check_value(const struct config_row *row, const json_t *json, const char *key, struct problems *problems)
{
    if (json_is_null(json) && !row->fallback) return true;
    return checks[row->type](row, json, key, problems);
}
