/* SPDX-License-Identifier: MIT */

/* A worker module outside of quern's tree: counts the words of a text.
 *
 *      {"event": "text.words", "module": "words", "options": {"min_letters": 3}}
 *      data {"text": "…"}  ──▶  result {"words": 12, "longest": "grindstone"}
 *
 * Idea       options are checked once, when the module is opened: what is wrong there stops the start, not the first job. What is
 *            wrong with a job can never be right: it is dead, with a text that says why.
 * Threads    words_run() runs on several at once; what user points to is only read. */
#include <ctype.h>
#include <jansson.h>
#include <quern.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS_MAX = 64 };

struct words_user {
    size_t min_letters;
};

struct count {
    size_t words, longest_len;
    const char *longest;
};

static struct count count_words(const char *text, size_t len, size_t min_letters)
{
    struct count count = {0};
    for (size_t i = 0, from; i < len;) {
        while (i < len && isspace((unsigned char)text[i])) i++;
        for (from = i; i < len && !isspace((unsigned char)text[i]);) i++;
        if (i - from < min_letters || i == from) continue;
        count.words++;
        if (i - from <= count.longest_len) continue;
        count.longest = text + from;
        count.longest_len = i - from;
    }
    return count;
}

static quern_verdict record(quern_job *job, const struct count *count)
{
    json_t *result = json_pack("{s:I, s:s%}", "words", (json_int_t)count->words, "longest",
                               count->longest ? count->longest : "", count->longest_len);
    char *text = result ? json_dumps(result, JSON_COMPACT) : NULL;
    int code = text ? quern_job_result(job, text, strlen(text)) : QUERN_E_MEMORY;
    free(text);
    json_decref(result);
    if (code == QUERN_OK) return QUERN_DONE;
    quern_job_error(job, "its result cannot be kept: %s", quern_code_name(code));
    return code == QUERN_E_FULL ? QUERN_DEAD : QUERN_RETRY;
}

static quern_verdict words_run(quern_job *job, void *thread, void *user)
{
    const struct words_user *words = user;
    const json_t *data = quern_job_json(job), *text = json_object_get(data, "text");
    (void)thread;
    if (!data) return QUERN_DEAD; /* the job's error says where it is no JSON */
    if (!json_is_string(text)) {
        quern_job_error(job, "text: must be a text");
        return QUERN_DEAD;
    }
    struct count count = count_words(json_string_value(text), json_string_length(text), words->min_letters);
    return record(job, &count);
}

/* ── options ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int wrong(quern_error *error, const char *what, const char *key)
{
    snprintf(error->text, sizeof error->text, "options: %s%s", what, key);
    error->code = QUERN_E_CONFIG;
    return QUERN_E_CONFIG;
}

static int read_options(json_t *options, struct words_user *words, quern_error *error)
{
    const char *key;
    json_t *value;
    if (!json_is_object(options)) return wrong(error, "must be an object", "");
    json_object_foreach(options, key, value)
    {
        if (strcmp(key, "min_letters") != 0) return wrong(error, "there is no key ", key);
        if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > LETTERS_MAX)
            return wrong(error, "min_letters: must be a whole number from 1 to 64", "");
        words->min_letters = (size_t)json_integer_value(value);
    }
    return QUERN_OK;
}

static int words_open(const char *options_json, quern_handler *handler, quern_error *error)
{
    struct words_user *words = malloc(sizeof *words);
    json_t *options = json_loads(options_json, JSON_REJECT_DUPLICATES, NULL);
    if (words) words->min_letters = 1;
    int code = words ? read_options(options, words, error) : wrong(error, "no memory", "");
    json_decref(options);
    if (code) free(words);
    if (code) return code;
    handler->run = words_run;
    handler->user = words;
    return QUERN_OK;
}

static void words_close(quern_handler *handler)
{
    free(handler->user);
    handler->user = NULL;
}

QUERN_PUBLIC const quern_module quern_module_entry = {
    .abi = QUERN_MODULE_ABI, .size = sizeof(quern_module), .name = "words", .open = words_open, .close = words_close};
