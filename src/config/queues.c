/* SPDX-License-Identifier: MIT */
#include "config/queues.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "config/check.h"
#include "config/table.h"
#include "config/value.h"

enum { WEIGHT_MAX = 1000 };
static const char *const own_keys[] = {"stream", "weight", NULL};

/* ── is it right? ────────────────────────────────────────────────────────────────────────────────────────────────── */

static void check_weight(const json_t *json, const char *key, struct problems *problems)
{
    char words[CHECK_WORDS_SIZE];
    if (json_is_integer(json) && json_integer_value(json) >= 1 && json_integer_value(json) <= WEIGHT_MAX) return;
    check_words(NULL, json, words);
    problems_add(problems, key, "%s is no weight; use a whole number, 1 to %d", words, WEIGHT_MAX);
}

static void check_key(const char *where, const char *name, const json_t *json, struct problems *problems)
{
    char path[128], key[256];
    snprintf(path, sizeof path, "%s.", where);
    snprintf(key, sizeof key, "%s%s", path, name);
    const struct config_row *row = config_find(name);
    if (!strcmp(name, "weight"))
        check_weight(json, key, problems);
    else if (row && row->flags & CONFIG_PER_QUEUE)
        check_value(row, json, key, problems);
    else if (row)
        problems_add(problems, key, "holds for all queues and cannot be set for one; set it outside the list");
    else
        check_unknown(path, name, CONFIG_PER_QUEUE, own_keys, problems);
}

static void check_queue(const json_t *queue, const char *where, struct problems *problems)
{
    char key[128], words[CHECK_WORDS_SIZE];
    const char *name;
    json_t *value;
    snprintf(key, sizeof key, "%s.stream", where);
    check_words(NULL, queue, words);
    if (json_is_string(queue))
        check_value(config_find("stream"), queue, where, problems);
    else if (!json_is_object(queue))
        problems_add(problems, where,
                     "%s is no queue; use a stream's name, or {\"stream\": \"app.urgent\", \"retry_limit\": 9}", words);
    else if (!json_object_get(queue, "stream"))
        problems_add(problems, key, "is missing; use a name such as \"app.urgent\"");
    if (json_is_object(queue)) json_object_foreach((json_t *)queue, name, value) check_key(where, name, value, problems);
}

void queues_check(const json_t *json, const char *key, struct problems *problems)
{
    char where[96];
    size_t weighted = 0, count = json_array_size(json), without = count;
    for (size_t i = 0; i < count; i++) {
        const json_t *queue = json_array_get(json, i);
        snprintf(where, sizeof where, "%s[%zu]", key, i);
        check_queue(queue, where, problems);
        if (json_object_get(queue, "weight"))
            weighted++;
        else if (without == count)
            without = i;
    }
    if (!weighted || weighted == count) return;
    snprintf(where, sizeof where, "%s[%zu].weight", key, without);
    problems_add(problems, where,
                 "is missing; give every queue a weight (then they share the threads), or none (then a queue is "
                 "served while those before it are empty)");
}

/* ── to the member and back ──────────────────────────────────────────────────────────────────────────────────────── */

/* An element's text, an object whatever it was; gives. */
static char *text_of(const json_t *queue)
{
    json_t *object = json_is_string(queue) ? json_pack("{s:O}", "stream", queue) : NULL;
    const json_t *shown = json_is_string(queue) ? object : queue;
    char *text = shown ? json_dumps(shown, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}

bool queues_read(const json_t *json, struct config_list *queues)
{
    size_t count = json_array_size(json);
    struct config_list read = {.texts = calloc(count + 1, sizeof(char *))};
    if (!read.texts) return false;
    for (; read.count < count && (read.texts[read.count] = text_of(json_array_get(json, read.count))); read.count++) continue;
    bool is_whole = read.count == count;
    for (size_t i = 0; !is_whole && i < read.count; i++) free(read.texts[i]);
    if (is_whole)
        *queues = read;
    else
        free(read.texts);
    return is_whole;
}

json_t *queues_show(const struct config_list *queues)
{
    json_t *json = json_array();
    for (size_t i = 0; json && i < queues->count; i++) {
        if (json_array_append_new(json, json_loads(queues->texts[i], 0, NULL)) == 0) continue;
        json_decref(json);
        return NULL;
    }
    return json;
}

/* ── a configuration for each ────────────────────────────────────────────────────────────────────────────────────── */

static bool overlay(quern_config *config, const json_t *queue)
{
    const char *name;
    json_t *value;
    bool is_laid = true;
    json_object_foreach((json_t *)queue, name, value)
    {
        const struct config_row *row = config_find(name);
        if (!strcmp(name, "weight"))
            config->weight = (uint32_t)json_integer_value(value);
        else
            is_laid = is_laid && value_store(row, value, (char *)config + row->at);
        if (row) config_note_given(config, row);
    }
    return is_laid;
}

/* Gives; NULL: no memory. */
static quern_config *derive(const quern_config *config, const char *text)
{
    quern_config *own = config_copy(config);
    json_t *queue = json_loads(text, 0, NULL);
    bool is_derived = own && queue && overlay(own, queue);
    json_decref(queue);
    if (is_derived) {
        value_clear(config_find("queues"), &own->queues);
        return own;
    }
    quern_config_free(own);
    return NULL;
}

/* Their streams, as they stand in a text. */
static void list_streams(const struct served *served, char *text, size_t size)
{
    size_t len = 0;
    text[0] = 0;
    for (size_t i = 0; i < served->count && len < size; i++)
        len += (size_t)snprintf(text + len, size - len, "%s%s", i ? ", " : "", served->at[i]->stream);
}

enum { STREAMS_SHOWN = 256 };

/* Keeps those of the stream that was given. */
static int narrow(const quern_config *config, struct served *served, quern_error *err)
{
    char streams[STREAMS_SHOWN];
    size_t kept = 0, count = served->count;
    list_streams(served, streams, sizeof streams);
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(served->at[i]->stream, config->stream))
            served->at[kept++] = served->at[i];
        else
            quern_config_free(served->at[i]);
    }
    served->count = kept;
    if (kept) return QUERN_OK;
    return err_set(err, QUERN_E_CONFIG, "stream: \"%s\" is none of queues (%s); name one of them", config->stream, streams);
}

/* Is it where the dead jobs of this queue go if it says nothing? */
static bool is_default_of(const quern_config *queue, const char *stream)
{
    size_t len = strlen(queue->stream);
    return !strncmp(queue->stream, stream, len) && !strcmp(stream + len, ":failed");
}

/* Are the dead jobs of the one the other one's jobs? */
static bool is_buried_in(const quern_config *dead, const quern_config *other)
{
    return dead->dead_letter_stream ? !strcmp(dead->dead_letter_stream, other->stream) : is_default_of(dead, other->stream);
}

/* No two are the same, and none is where another's dead jobs go. */
static int check_pairs(const struct served *served, quern_error *err)
{
    for (size_t i = 0; i < served->count; i++)
        for (size_t j = 0; j < served->count; j++) {
            const quern_config *a = served->at[i], *b = served->at[j];
            if (j < i && !strcmp(a->stream, b->stream) && !strcmp(a->group, b->group))
                return err_set(err, QUERN_E_CONFIG,
                               "queues[%zu]: the stream %s and the group %s of queues[%zu] again; name each once", i, a->stream,
                               a->group, j);
            if (i != j && is_buried_in(a, b))
                return err_set(err, QUERN_E_CONFIG,
                               "queues[%zu].dead_letter_stream: \"%s\" is the stream of queues[%zu], where dead jobs would run "
                               "again; use another%s",
                               i, b->stream, j, is_default_of(a, b->stream) ? "" : ", or null");
        }
    return QUERN_OK;
}

static int derive_all(const quern_config *config, struct served *served, quern_error *err)
{
    size_t count = config->queues.count ? config->queues.count : 1;
    *served = (struct served){.at = calloc(count, sizeof(quern_config *))};
    for (; served->at && served->count < count; served->count++) {
        const char *text = config->queues.count ? config->queues.texts[served->count] : "{}";
        if (!(served->at[served->count] = derive(config, text))) break;
    }
    return served->at && served->count == count ? QUERN_OK : err_set(err, QUERN_E_MEMORY, "no memory for the queues");
}

int served_open(const quern_config *config, struct served *served, quern_error *err)
{
    int code = derive_all(config, served, err);
    if (!code) code = check_pairs(served, err);
    if (!code && config->queues.count && config->stream_is_given) code = narrow(config, served, err);
    if (code) served_close(served);
    return code;
}

void served_close(struct served *served)
{
    for (size_t i = 0; i < served->count; i++) quern_config_free(served->at[i]);
    free(served->at);
    *served = (struct served){0};
}

quern_config *served_one(const quern_config *config, quern_error *err)
{
    struct served served;
    char streams[STREAMS_SHOWN];
    quern_config *one = NULL;
    if (served_open(config, &served, err)) return NULL;
    list_streams(&served, streams, sizeof streams);
    if (served.count == 1) {
        one = served.at[0];
        served.count = 0;
    } else if (config->stream_is_given) {
        err_set(err, QUERN_E_CONFIG,
                "stream: several of queues have \"%s\"; set queues to null, and stream and group to those of one",
                config->stream);
    } else {
        err_set(err, QUERN_E_CONFIG, "stream: which of queues is meant? set it (--stream) to one of them: %s", streams);
    }
    served_close(&served);
    return one;
}
