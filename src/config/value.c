/* SPDX-License-Identifier: MIT */
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "config/check.h"
#include "config/config.h"
#include "config/queues.h"
#include "config/workers.h"

/* ── Members ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void clear_text(void *member)
{
    char **text = member;
    free(*text);
    *text = NULL;
}

static bool store_text(const struct config_row *row, const json_t *json, void *member)
{
    (void)row;
    char *copy = json_is_null(json) ? NULL : bytes_copy(bytes_of(json_string_value(json)));
    if (!copy && !json_is_null(json)) return false;
    clear_text(member);
    *(char **)member = copy;
    return true;
}

static json_t *show_text(const struct config_row *row, const void *member)
{
    (void)row;
    const char *text = *(char *const *)member;
    return text ? json_string(text) : json_null();
}

static bool store_number(const struct config_row *row, const json_t *json, void *member)
{
    (void)row;
    *(int64_t *)member = json_integer_value(json); /* of null: 0 */
    return true;
}

static json_t *show_number(const struct config_row *row, const void *member)
{
    int64_t number = *(const int64_t *)member;
    return number == 0 && !row->fallback ? json_null() : json_integer(number);
}

static bool store_threads(const struct config_row *row, const json_t *json, void *member)
{
    (void)row;
    *(unsigned *)member = (unsigned)json_integer_value(json); /* of "auto": 0 */
    return true;
}

static json_t *show_threads(const struct config_row *row, const void *member)
{
    (void)row;
    unsigned threads = *(const unsigned *)member;
    return threads ? json_integer(threads) : json_string("auto");
}

static bool store_bool(const struct config_row *row, const json_t *json, void *member)
{
    (void)row;
    *(bool *)member = json_is_true(json);
    return true;
}

static json_t *show_bool(const struct config_row *row, const void *member)
{
    (void)row;
    return json_boolean(*(const bool *)member);
}

static bool store_choice(const struct config_row *row, const json_t *json, void *member)
{
    *(int *)member = config_choice(row, json_string_value(json));
    return true;
}

static json_t *show_choice(const struct config_row *row, const void *member)
{
    const char *at = row->choices;
    for (int place = *(const int *)member; place > 0; place--) at += strcspn(at, "|") + 1;
    return json_stringn(at, strcspn(at, "|"));
}

static void clear_groups(void *member)
{
    struct config_list *list = member;
    for (size_t i = 0; i < list->count; i++) free(list->texts[i]);
    free(list->texts);
    *list = (struct config_list){0};
}

static bool store_groups(const struct config_row *row, const json_t *json, void *member)
{
    (void)row;
    size_t count = json_array_size(json);
    struct config_list list = {.texts = calloc(count + 1, sizeof(char *))};
    if (!list.texts) return false;
    for (; list.count < count; list.count++) {
        list.texts[list.count] = bytes_copy(bytes_of(json_string_value(json_array_get(json, list.count))));
        if (!list.texts[list.count]) {
            clear_groups(&list);
            return false;
        }
    }
    clear_groups(member);
    *(struct config_list *)member = list;
    return true;
}

static json_t *show_groups(const struct config_row *row, const void *member)
{
    (void)row;
    const struct config_list *list = member;
    json_t *json = json_array();
    for (size_t i = 0; json && i < list->count; i++) {
        if (json_array_append_new(json, json_string(list->texts[i])) == 0) continue;
        json_decref(json);
        return NULL;
    }
    return json;
}

static void clear_workers(void *member)
{
    workers_clear(member);
}

static bool store_workers(const struct config_row *row, const json_t *json, void *member)
{
    (void)row;
    struct config_workers workers = {0};
    if (!json_is_null(json) && !workers_read(json, &workers)) return false;
    workers_clear(member);
    *(struct config_workers *)member = workers;
    return true;
}

static json_t *show_workers(const struct config_row *row, const void *member)
{
    (void)row;
    const struct config_workers *workers = member;
    return workers->count ? workers_show(workers) : json_null();
}

static bool store_queues(const struct config_row *row, const json_t *json, void *member)
{
    (void)row;
    struct config_list queues = {0};
    if (!json_is_null(json) && !queues_read(json, &queues)) return false;
    clear_groups(member);
    *(struct config_list *)member = queues;
    return true;
}

static json_t *show_queues(const struct config_row *row, const void *member)
{
    (void)row;
    const struct config_list *queues = member;
    return queues->count ? queues_show(queues) : json_null();
}

/* ── One line per type ───────────────────────────────────────────────────────────────────────────────────────────── */

static const struct {
    bool (*store)(const struct config_row *row, const json_t *json, void *member);
    json_t *(*show)(const struct config_row *row, const void *member);
    void (*clear)(void *member); /* NULL: the member owns nothing */
    bool is_text;                /* its JSON is a string; else its text is JSON itself */
} kinds[CONFIG_TYPES] = {
    [CONFIG_TEXT] = {store_text, show_text, clear_text, true},
    [CONFIG_NAME] = {store_text, show_text, clear_text, true},
    [CONFIG_GROUP] = {store_text, show_text, clear_text, true},
    [CONFIG_START] = {store_text, show_text, clear_text, true},
    [CONFIG_NUMBER] = {store_number, show_number, NULL, false},
    [CONFIG_THREADS] = {store_threads, show_threads, NULL, false},
    [CONFIG_BOOL] = {store_bool, show_bool, NULL, false},
    [CONFIG_CHOICE] = {store_choice, show_choice, NULL, true},
    [CONFIG_GROUPS] = {store_groups, show_groups, clear_groups, false},
    [CONFIG_WORKERS] = {store_workers, show_workers, clear_workers, false},
    [CONFIG_QUEUES] = {store_queues, show_queues, clear_groups, false},
};

bool value_is_starved(const json_error_t *error)
{
    return !error->text[0] || json_error_code(error) == json_error_out_of_memory;
}

/* Text to JSON, checked by nobody yet: what cannot be read as the type's JSON stays a text, which the check will refuse.
 * Gives; NULL: no memory. */
static json_t *parse(const struct config_row *row, const char *text)
{
    json_error_t error;
    if (!*text && !row->fallback) return json_null();
    if (kinds[row->type].is_text) return json_string(text);
    json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (json_is_string(json)) { /* its quotes are no part of a number or a list */
        json_decref(json);
        json = NULL;
    } else if (!json && value_is_starved(&error)) {
        return NULL;
    }
    return json ? json : json_string(text);
}

bool value_store(const struct config_row *row, const json_t *json, void *member)
{
    return kinds[row->type].store(row, json, member);
}

json_t *value_show(const struct config_row *row, const void *member)
{
    return kinds[row->type].show(row, member);
}

char *value_text(const json_t *json)
{
    if (json_is_null(json)) return NULL;
    if (json_is_string(json)) return bytes_copy(bytes_of(json_string_value(json)));
    return json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
}

void value_set(const struct config_row *row, const char *text, const char *key, void *member, struct problems *problems)
{
    char right[CONFIG_RIGHT_SIZE];
    config_right(row, right);
    if (!bytes_is_utf8(bytes_of(text))) {
        problems_add(problems, key, "the value is not UTF-8; use %s", right);
        return;
    }
    json_t *json = parse(row, text);
    if (!json)
        problems->is_out_of_memory = true;
    else if (check_value(row, json, key, problems) && !value_store(row, json, member))
        problems->is_out_of_memory = true;
    json_decref(json);
}

bool value_copy(const struct config_row *row, const void *from, void *to)
{
    json_t *json = value_show(row, from);
    bool is_copied = json && value_store(row, json, to);
    json_decref(json);
    return is_copied;
}

void value_clear(const struct config_row *row, void *member)
{
    if (kinds[row->type].clear) kinds[row->type].clear(member);
}
