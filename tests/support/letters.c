/* SPDX-License-Identifier: MIT */
#include "support/letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/wait.h"

static void keep(char *to, size_t size, const struct answer *fields, const char *name)
{
    const struct answer *value = answer_of(fields, name);
    if (!value->text) fail_msg("a dead letter without %s", name);
    assert_true(value->len < size);
    memcpy(to, value->text, value->len + 1);
}

struct dead_letter letter_at(struct redis *redis, const char *stream, size_t place)
{
    char count[24];
    struct dead_letter letter = {.text = NULL};
    snprintf(count, sizeof count, "%zu", place + 1);
    const struct answer *entries = redis_ask(redis, "XRANGE", stream, "-", "+", "COUNT", count);
    const struct answer *fields = answer_at(answer_at(entries, place), 1);
    if (fields->kind != '*') fail_msg("%s holds no dead letter %zu", stream, place);
    letter.fields = fields->count / 2;
    keep(letter.id, sizeof letter.id, fields, "id");
    keep(letter.event, sizeof letter.event, fields, "event");
    keep(letter.retries, sizeof letter.retries, fields, "retries");
    keep(letter.timestamps, sizeof letter.timestamps, fields, "timestamps");
    assert_non_null(answer_of(fields, "data")->text);
    letter.text = strdup(answer_of(fields, "data")->text);
    letter.data = json_loads(letter.text, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
    if (!json_is_object(letter.data)) fail_msg("a dead letter whose data is no object: %s", letter.text);
    return letter;
}

void letter_drop(struct dead_letter *letter)
{
    json_decref(letter->data);
    free(letter->text);
    *letter = (struct dead_letter){.text = NULL};
}

const char *letter_word(const struct dead_letter *letter, const char *name)
{
    const char *word = json_string_value(json_object_get(letter->data, name));
    if (!word) fail_msg("no text %s in %s", name, letter->text);
    return word;
}

/* By way of a real, for numbers of any size may stand beside it. */
long long letter_number(const struct dead_letter *letter, const char *name)
{
    const json_t *number = json_object_get(letter->data, name);
    if (!json_is_number(number)) fail_msg("no number %s in %s", name, letter->text);
    return (long long)json_number_value(number);
}
