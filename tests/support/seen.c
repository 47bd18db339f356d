/* SPDX-License-Identifier: MIT */
#include "support/seen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int seen_open(void **state)
{
    return seen_open_with(state, NULL);
}

int seen_open_with(void **state, const struct redis_options *options)
{
    struct seen *seen = calloc(1, sizeof *seen);
    void *scene = NULL;
    if (!seen || scene_open_with(&scene, options)) return -1;
    seen->scene = scene;
    seen->config = quern_config_new();
    *state = seen;
    return quern_config_set(seen->config, "redis", seen->scene->redis.url, NULL) ||
           quern_config_set(seen->config, "stream", "jobs", NULL) || quern_config_set(seen->config, "group", "g", NULL);
}

int seen_close(void **state)
{
    struct seen *seen = *state;
    void *scene = seen->scene;
    json_decref(seen->answer);
    quern_config_free(seen->config);
    free(seen);
    return scene_close(&scene);
}

void seen_set(struct seen *seen, const char *key, const char *value)
{
    if (quern_config_set(seen->config, key, value, &seen->error)) fail_msg("%s", seen->error.text);
}

/* Takes what a look gave. */
json_t *seen_take(struct seen *seen, char *text)
{
    if (!text) fail_msg("%s", seen->error.text);
    json_decref(seen->answer);
    seen->answer = json_loads(text, JSON_ALLOW_NUL, NULL);
    if (!seen->answer) fail_msg("no JSON: %s", text);
    quern_free(text);
    return seen->answer;
}

json_t *seen_stats(struct seen *seen)
{
    return seen_take(seen, quern_queue_stats(seen->config, 0, &seen->error));
}

json_t *seen_pending(struct seen *seen, size_t max)
{
    return seen_take(seen, quern_queue_pending(seen->config, max, &seen->error));
}

json_t *seen_dead(struct seen *seen, size_t max)
{
    return seen_take(seen, quern_queue_dead(seen->config, max, &seen->error));
}

json_t *seen_letter(struct seen *seen, const char *id)
{
    return seen_take(seen, quern_queue_letter(seen->config, id, &seen->error));
}

json_t *seen_peek(struct seen *seen, const char *what, size_t max)
{
    return seen_take(seen, quern_queue_peek(seen->config, what, max, &seen->error));
}

void seen_refused(struct seen *seen, char *text, int code, const char *words)
{
    assert_null(text);
    if (seen->error.code != code || !strstr(seen->error.text, words))
        fail_msg("%s: %s", quern_code_name(seen->error.code), seen->error.text);
}

long long seen_number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value)) fail_msg("%s is no number", name);
    return json_integer_value(value);
}

const char *seen_text(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value)) fail_msg("%s is no text", name);
    return json_string_value(value);
}

bool seen_null(const json_t *object, const char *name)
{
    return json_is_null(json_object_get(object, name));
}

json_t *seen_row(const json_t *list, size_t i)
{
    json_t *found = json_array_get(list, i);
    if (!found) fail_msg("there is no row %zu", i);
    return found;
}

void seen_group(struct redis *redis)
{
    redis_ask(redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    redis_ask(redis, "XGROUP", "CREATE", "jobs:g:retry", "g", "0", "MKSTREAM");
}

void seen_add(struct redis *redis, const char *stream, const char *entry)
{
    const struct answer *answer =
        redis_ask(redis, "XADD", stream, entry, "id", "one", "event", "e", "data", "{}", "retries", "2");
    if (answer->kind != '$') fail_msg("XADD: %s", answer->text);
}

void seen_shelve(struct redis *redis, const char *times, const char *member, const char *due_ms, ...)
{
    static const char script[] = "redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1]) "
                                 "redis.call('HSET', KEYS[1] .. ':jobs', ARGV[1], cmsgpack.pack({unpack(ARGV, 3)})) return 1";
    const char *words[32] = {"EVAL", script, "1", times, member, due_ms};
    size_t lens[32], count = 6;
    va_list args;
    va_start(args, due_ms);
    while (count < 32 && (words[count] = va_arg(args, const char *))) count++;
    va_end(args);
    for (size_t i = 0; i < count; i++) lens[i] = strlen(words[i]);
    const struct answer *answer = resp_ask_words(redis->client, count, words, lens);
    if (answer->kind != ':') fail_msg("shelving: %s", answer->text);
}

long long seen_changes(struct redis *redis)
{
    return redis_info(redis, "persistence", "rdb_changes_since_last_save");
}
