/* SPDX-License-Identifier: MIT */
#include "config/workers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "config/check.h"
#include "config/table.h"

static const char *const own_keys[] = {"event", "module", "options", NULL};

static bool is_own(const char *key)
{
    for (const char *const *own = own_keys; *own; own++)
        if (!strcmp(*own, key)) return true;
    return false;
}

bool workers_is_event(const char *event)
{
    size_t len = strlen(event);
    if (len < 1 || len > 256 || !bytes_is_utf8(bytes_of(event))) return false;
    for (; *event; event++)
        if ((unsigned char)*event < 0x20 || *event == 0x7f) return false;
    return true;
}

/* A member that must be a text like an event's name. */
static void check_name(const json_t *worker, const char *where, const char *name, const char *example,
                       struct problems *problems)
{
    char key[128], words[CHECK_WORDS_SIZE];
    const json_t *json = json_object_get(worker, name);
    snprintf(key, sizeof key, "%s.%s", where, name);
    if (!json) {
        problems_add(problems, key, "is missing; use a name such as \"%s\"", example);
        return;
    }
    if (json_is_string(json) && workers_is_event(json_string_value(json))) return;
    check_words(NULL, json, words);
    problems_add(problems, key, "%s is not a name; use 1 to 256 bytes of UTF-8 without control characters, such as \"%s\"",
                 words, example);
}

/* One key of an object that may have per-event keys. */
static void check_override(const char *where, const char *name, const json_t *json, const char *const *others,
                           struct problems *problems)
{
    char path[128], key[256];
    snprintf(path, sizeof path, *where ? "%s." : "%s", where);
    snprintf(key, sizeof key, "%s%s", path, name);
    const struct config_row *row = config_find(name);
    if (row && row->flags & CONFIG_PER_EVENT)
        check_value(row, json, key, problems);
    else if (row)
        problems_add(problems, key, "holds for all events and cannot be set for one; set it outside the worker or handler");
    else
        check_unknown(path, name, CONFIG_PER_EVENT, others, problems);
}

void workers_check_policy(const json_t *json, const char *where, struct problems *problems)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)json, name, value) check_override(where, name, value, NULL, problems);
}

static void check_worker(const json_t *worker, const char *where, struct problems *problems)
{
    char key[128], words[CHECK_WORDS_SIZE];
    const char *name;
    json_t *value;
    check_words(NULL, worker, words);
    if (!json_is_object(worker)) {
        problems_add(problems, where, "%s is not a worker; use {\"event\": \"file.deflate\", \"module\": \"deflate\"}", words);
        return;
    }
    check_name(worker, where, "event", "file.deflate", problems);
    check_name(worker, where, "module", "deflate", problems);
    const json_t *options = json_object_get(worker, "options");
    check_words(NULL, options, words);
    snprintf(key, sizeof key, "%s.options", where);
    if (options && !json_is_object(options))
        problems_add(problems, key, "%s is not an object; use {\"option\": value}, or leave it out", words);
    json_object_foreach((json_t *)worker, name, value) if (!is_own(name))
        check_override(where, name, value, own_keys, problems);
}

/* Is the event of element i that of an earlier one? */
static void check_twin(const json_t *json, size_t i, const char *where, struct problems *problems)
{
    const json_t *event = json_object_get(json_array_get(json, i), "event");
    if (!json_is_string(event)) return;
    for (size_t j = 0; j < i; j++) {
        if (!json_equal(json_object_get(json_array_get(json, j), "event"), event)) continue;
        problems_add(problems, where, "the event of workers[%zu] again; name each event once", j);
        return;
    }
}

void workers_check(const json_t *json, const char *key, struct problems *problems)
{
    for (size_t i = 0; i < json_array_size(json); i++) {
        char where[96];
        snprintf(where, sizeof where, "%s[%zu]", key, i);
        check_worker(json_array_get(json, i), where, problems);
        strcat(where, ".event");
        check_twin(json, i, where, problems);
    }
}

/* ── To the member and back ──────────────────────────────────────────────────────────────────────────────────────── */

/* The per-event keys of a worker as an object's text; gives. */
static char *policy_text(const json_t *worker)
{
    const char *name;
    json_t *value, *policy = json_object();
    bool is_whole = policy != NULL;
    json_object_foreach((json_t *)worker, name, value) if (is_whole && !is_own(name)) is_whole =
        json_object_set(policy, name, value) == 0;
    char *text = is_whole ? json_dumps(policy, JSON_COMPACT) : NULL;
    json_decref(policy);
    return text;
}

static bool worker_read(const json_t *json, struct config_worker *worker)
{
    const json_t *options = json_object_get(json, "options");
    worker->event = bytes_copy(bytes_of(json_string_value(json_object_get(json, "event"))));
    worker->module = bytes_copy(bytes_of(json_string_value(json_object_get(json, "module"))));
    worker->options = options ? json_dumps(options, JSON_COMPACT) : bytes_copy(bytes_of("{}"));
    worker->policy = policy_text(json);
    return worker->event && worker->module && worker->options && worker->policy;
}

bool workers_read(const json_t *json, struct config_workers *workers)
{
    struct config_workers read = {.at = calloc(json_array_size(json), sizeof *read.at)};
    bool is_whole = read.at != NULL;
    for (size_t i = 0; is_whole && i < json_array_size(json); i++) {
        read.count++;
        is_whole = worker_read(json_array_get(json, i), &read.at[i]);
    }
    if (is_whole)
        *workers = read;
    else
        workers_clear(&read);
    return is_whole;
}

/* The same element that worker_read() read; gives. */
static json_t *worker_show(const struct config_worker *worker)
{
    json_t *json = json_object(), *policy = json_loads(worker->policy, 0, NULL);
    bool is_whole = json && policy && !json_object_set_new(json, "event", json_string(worker->event)) &&
                    !json_object_set_new(json, "module", json_string(worker->module)) &&
                    !json_object_set_new(json, "options", json_loads(worker->options, 0, NULL)) &&
                    !json_object_update(json, policy);
    json_decref(policy);
    if (is_whole) return json;
    json_decref(json);
    return NULL;
}

json_t *workers_show(const struct config_workers *workers)
{
    json_t *json = json_array();
    for (size_t i = 0; json && i < workers->count; i++) {
        if (json_array_append_new(json, worker_show(&workers->at[i])) == 0) continue;
        json_decref(json);
        return NULL;
    }
    return json;
}

void workers_clear(struct config_workers *workers)
{
    for (size_t i = 0; i < workers->count; i++) {
        free(workers->at[i].event);
        free(workers->at[i].module);
        free(workers->at[i].options);
        free(workers->at[i].policy);
    }
    free(workers->at);
    *workers = (struct config_workers){0};
}
