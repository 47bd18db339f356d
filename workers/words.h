/* SPDX-License-Identifier: MIT */

/* workers/words: what a command is told of its job.
 * Idea       {id}, {event} and {retries} inside words are replaced; QUERN_ID, QUERN_EVENT, QUERN_RETRIES, QUERN_ENTRY,
 *            QUERN_DELIVERIES and QUERN_HOLDER stand before the variables of this process.
 * Invariant  publishers choose ids and events: one that begins with '-' never becomes the beginning of a word, where it would
 *            be taken for an option; one with a zero byte, which no command could be given whole, is refused.
 * Threads    any. */
#ifndef QUERN_WORKERS_WORDS_H
#define QUERN_WORKERS_WORDS_H

#include <quern.h>
#include <stdbool.h>

/* Both NULL-terminated. */
struct words {
    char **argv, **environment;
};

/* Is there one in text? */
bool words_have_placeholder(const char *text);

/* For one job, from a command's words and this process's variables, which are lent. 0: made. Else the verdict to return, its
 * reason is the job's error. */
quern_verdict words_make(struct words *words, quern_job *job, char *const *command, char *const *variables);

/* Half-made ones too. */
void words_free(struct words *words);

/* Frees a NULL-terminated list and its texts; NULL is allowed. */
void words_list_free(char **list);

#endif
