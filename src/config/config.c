/* SPDX-License-Identifier: MIT */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "config/check.h"
#include "config/handlers.h"
#include "config/queues.h"
#include "config/table.h"
#include "config/value.h"

static void *member_of(const quern_config *config, const struct config_row *row)
{
    return (char *)config + row->at;
}

quern_config *quern_config_new(void)
{
    struct problems problems = {0};
    size_t count;
    const struct config_row *rows = config_rows(&count);
    quern_config *config = calloc(1, sizeof *config);
    for (size_t i = 0; config && i < count; i++)
        if (rows[i].fallback) value_set(&rows[i], rows[i].fallback, rows[i].name, member_of(config, &rows[i]), &problems);
    if (problems_verdict(&problems, NULL)) {
        quern_config_free(config);
        config = NULL;
    }
    problems_clear(&problems);
    return config;
}

static void problems_forget(quern_config *config)
{
    problems_clear(&(struct problems){.lines = config->problems, .count = config->problem_count});
    config->problems = NULL;
    config->problem_count = 0;
}

void quern_config_free(quern_config *config)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    if (!config) return;
    for (size_t i = 0; i < count; i++) value_clear(&rows[i], member_of(config, &rows[i]));
    handlers_clear(&config->handlers);
    free(config->journal_path);
    problems_forget(config);
    free(config);
}

quern_config *config_copy(const quern_config *config)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    quern_config *copy = calloc(1, sizeof *copy);
    bool is_whole = copy && handlers_copy(&config->handlers, &copy->handlers);
    for (size_t i = 0; is_whole && i < count; i++)
        is_whole = value_copy(&rows[i], member_of(config, &rows[i]), member_of(copy, &rows[i]));
    if (!is_whole) {
        quern_config_free(copy);
        return NULL;
    }
    if (config->journal_path && !(copy->journal_path = strdup(config->journal_path))) {
        quern_config_free(copy);
        return NULL;
    }
    copy->group_is_given = config->group_is_given;
    copy->stream_is_given = config->stream_is_given;
    copy->weight = config->weight;
    copy->lanes = config->lanes;
    copy->alone_waits = config->alone_waits;
    copy->alone_user = config->alone_user;
    copy->observed = config->observed;
    copy->observer = config->observer;
    copy->observer_user = config->observer_user;
    copy->key_of = config->key_of;
    copy->key_user = config->key_user;
    copy->logger = config->logger;
    copy->logger_user = config->logger_user;
    return copy;
}

void config_note_given(quern_config *config, const struct config_row *row)
{
    if (row->type == CONFIG_GROUP) config->group_is_given = true;
    if (row->at == offsetof(struct quern_config, stream)) config->stream_is_given = true;
}

void config_replace(quern_config *config, quern_config *next)
{
    quern_config old = *config;
    *config = *next;
    config->problems = old.problems;
    config->problem_count = old.problem_count;
    old.problems = NULL;
    old.problem_count = 0;
    *next = old;
    quern_config_free(next);
}

int quern_config_set(quern_config *config, const char *key, const char *value, quern_error *error)
{
    struct problems problems = {0};
    if (!config || !key || !value) return err_set(error, QUERN_E_ARGUMENT, "quern_config_set: an argument is NULL");
    const struct config_row *row = config_find(key);
    if (row)
        value_set(row, value, key, member_of(config, row), &problems);
    else
        check_unknown("", key, 0, NULL, &problems);
    int code = problems_verdict(&problems, error);
    if (!code) config_note_given(config, row);
    problems_clear(&problems);
    return code;
}

char *quern_config_get(const quern_config *config, const char *key)
{
    const struct config_row *row = config && key ? config_find(key) : NULL;
    json_t *json = row ? value_show(row, member_of(config, row)) : NULL;
    char *text = json ? value_text(json) : NULL;
    json_decref(json);
    return text;
}

size_t quern_config_problems(const quern_config *config, void (*each)(void *user, const char *line), void *user)
{
    if (!config) return 0;
    for (size_t i = 0; each && i < config->problem_count; i++) each(user, config->problems[i]);
    return config->problem_count;
}

void quern_config_observe(quern_config *config, unsigned kinds, void (*observer)(void *user, const quern_notice *notice),
                          void *user)
{
    if (!config) return;
    config->observed = observer ? kinds : 0;
    config->observer = observer;
    config->observer_user = user;
}

void quern_config_unique(quern_config *config, char *(*key_of)(void *user, const quern_message *message), void *user)
{
    if (!config) return;
    config->key_of = key_of;
    config->key_user = user;
}

void quern_config_log(quern_config *config, void (*logger)(void *user, int level, const char *line), void *user)
{
    if (!config) return;
    config->logger = logger;
    config->logger_user = user;
}

int64_t config_heartbeat_ms(const quern_config *config)
{
    return config->heartbeat_ms ? config->heartbeat_ms : config->lease_ms / 6;
}

int64_t config_block_ms(const quern_config *config)
{
    int64_t quarter_ms = config->lease_ms / 4;
    return config->block_ms < quarter_ms ? config->block_ms : quarter_ms;
}

static bool list_has(const struct config_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->texts[i], text)) return true;
    return false;
}

static int check_one(const quern_config *config, quern_error *err)
{
    if (config_heartbeat_ms(config) * 2 >= config->lease_ms)
        return err_set(err, QUERN_E_CONFIG,
                       "heartbeat_ms: %lld is half of lease_ms (%lld) or more: one late renewal would lose jobs; use less than "
                       "%lld, or null for a sixth",
                       (long long)config->heartbeat_ms, (long long)config->lease_ms, (long long)(config->lease_ms + 1) / 2);
    if (config->backoff_ms > config->backoff_max_ms)
        return err_set(err, QUERN_E_CONFIG,
                       "backoff_ms: %lld is more than backoff_max_ms (%lld), the longest pause; use at most that",
                       (long long)config->backoff_ms, (long long)config->backoff_max_ms);
    if (config->dead_letter_stream && !strcmp(config->dead_letter_stream, config->stream))
        return err_set(
            err, QUERN_E_CONFIG,
            "dead_letter_stream: \"%s\" is the stream itself, so that dead jobs would run again; use another, or null",
            config->stream);
    if (list_has(&config->ignored_groups, config->group))
        return err_set(err, QUERN_E_CONFIG,
                       "ignored_groups: \"%s\" is the group of this pool, whose own jobs would be trimmed; remove it there",
                       config->group);
    for (size_t i = 0; i < config->required_groups.count; i++)
        if (list_has(&config->ignored_groups, config->required_groups.texts[i]))
            return err_set(err, QUERN_E_CONFIG, "ignored_groups: \"%s\" is in required_groups too; remove it in one of them",
                           config->required_groups.texts[i]);
    return QUERN_OK;
}

int config_check(const quern_config *config, quern_error *err)
{
    struct served served;
    int code = served_open(config, &served, err);
    if (code) return code;
    for (size_t i = 0; i < served.count && !code; i++) code = check_one(served.at[i], err);
    served_close(&served);
    return code;
}
