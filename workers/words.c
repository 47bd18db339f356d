/* SPDX-License-Identifier: MIT */
#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACEHOLDERS = 3, JOB_VARIABLES = 6 };

static const char *const placeholders[PLACEHOLDERS] = {"{id}", "{event}", "{retries}"};

/* What they stand for. */
struct values {
    char retries[16], deliveries[16];
    quern_bytes of[PLACEHOLDERS];
};

static void values_fill(struct values *values, const quern_job *job)
{
    snprintf(values->retries, sizeof values->retries, "%u", quern_job_retries(job));
    snprintf(values->deliveries, sizeof values->deliveries, "%u", quern_job_deliveries(job));
    values->of[0] = quern_job_id(job);
    values->of[1] = quern_job_event(job);
    values->of[2] = (quern_bytes){values->retries, strlen(values->retries)};
}

/* The placeholder that text begins with, or -1. */
static int placeholder_at(const char *text)
{
    for (int i = 0; *text == '{' && i < PLACEHOLDERS; i++)
        if (strncmp(text, placeholders[i], strlen(placeholders[i])) == 0) return i;
    return -1;
}

bool words_have_placeholder(const char *text)
{
    while (*text && placeholder_at(text) < 0) text++;
    return *text;
}

static void word_write(FILE *to, const char *word, const struct values *values)
{
    while (*word) {
        int i = placeholder_at(word);
        if (i < 0) {
            fputc(*word++, to);
        } else {
            fwrite(values->of[i].at, 1, values->of[i].len, to);
            word += strlen(placeholders[i]);
        }
    }
}

/* The word with its placeholders replaced. Gives; NULL: no memory. */
static char *word_fill(const char *word, const struct values *values)
{
    if (!words_have_placeholder(word)) return strdup(word);
    char *filled = NULL;
    size_t len;
    FILE *to = open_memstream(&filled, &len);
    if (!to) return NULL;
    word_write(to, word, values);
    if (fclose(to) == 0) return filled;
    free(filled);
    return NULL;
}

/* Would a value be taken for an option? */
static bool is_option(const char *word, const struct values *values)
{
    int i = placeholder_at(word);
    return i >= 0 && values->of[i].len > 0 && values->of[i].at[0] == '-';
}

static bool has_nul(quern_bytes bytes)
{
    return bytes.len > 0 && memchr(bytes.at, 0, bytes.len);
}

/* Can this job's values be given to this command? If not, the job's error says why. */
static bool is_fit(quern_job *job, char *const *command, const struct values *values)
{
    if (has_nul(values->of[0]) || has_nul(values->of[1])) {
        quern_job_error(job, "its id or event has a zero byte in it, which no command can be given");
        return false;
    }
    for (; *command; command++) {
        if (!is_option(*command, values)) continue;
        quern_job_error(job, "its %s begins with '-' and would be taken for an option in the word %s",
                        placeholder_at(*command) == 0 ? "id" : "event", *command);
        return false;
    }
    return true;
}

static size_t list_len(char *const *list)
{
    size_t len = 0;
    while (list && list[len]) len++;
    return len;
}

/* Gives; NULL: no memory. */
static char **argv_make(char *const *command, const struct values *values)
{
    size_t count = list_len(command);
    char **argv = calloc(count + 1, sizeof *argv);
    for (size_t i = 0; argv && i < count; i++) {
        argv[i] = word_fill(command[i], values);
        if (argv[i]) continue;
        words_list_free(argv);
        return NULL;
    }
    return argv;
}

static char *variable(const char *name, quern_bytes value)
{
    char *text = NULL;
    return asprintf(&text, "QUERN_%s=%.*s", name, (int)value.len, value.at ? value.at : "") < 0 ? NULL : text;
}

/* The job's variables are the first, and made; those behind them are lent. Gives; NULL, or one of the first NULL: no memory. */
static char **environment_make(const quern_job *job, char *const *variables, const struct values *values)
{
    size_t count = list_len(variables);
    char **all = calloc(JOB_VARIABLES + count + 1, sizeof *all);
    if (!all) return NULL;
    all[0] = variable("ID", values->of[0]);
    all[1] = variable("EVENT", values->of[1]);
    all[2] = variable("RETRIES", values->of[2]);
    all[3] = variable("ENTRY", quern_job_entry(job));
    all[4] = variable("DELIVERIES", (quern_bytes){values->deliveries, strlen(values->deliveries)});
    all[5] = variable("HOLDER", quern_job_consumer(job));
    memcpy(all + JOB_VARIABLES, variables, count * sizeof *all);
    return all;
}

quern_verdict words_make(struct words *words, quern_job *job, char *const *command, char *const *variables)
{
    struct values values;
    values_fill(&values, job);
    if (!is_fit(job, command, &values)) return QUERN_DEAD;
    words->argv = argv_make(command, &values);
    words->environment = environment_make(job, variables, &values);
    if (words->argv && list_len(words->environment) >= JOB_VARIABLES) return 0;
    words_free(words);
    quern_job_error(job, "no memory for the command's words");
    return QUERN_RETRY;
}

void words_free(struct words *words)
{
    words_list_free(words->argv);
    for (size_t i = 0; words->environment && i < JOB_VARIABLES; i++) free(words->environment[i]);
    free(words->environment);
    *words = (struct words){0};
}

void words_list_free(char **list)
{
    for (char **at = list; at && *at; at++) free(*at);
    free(list);
}
