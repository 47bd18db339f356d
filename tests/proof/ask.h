/* SPDX-License-Identifier: MIT */

/* proof/ask: questions to a server that may be killed in the middle of any of them.
 * Idea       a blocking client of a page. What goes wrong with a connection ends it, and the answer is NULL; the next question
 *            tries a new one.
 * Threads    one at a time.
 * Never      shares anything with the runtime, which is what is judged by these answers. */
#ifndef QUERN_TESTS_PROOF_ASK_H
#define QUERN_TESTS_PROOF_ASK_H

#include <stdbool.h>
#include <stddef.h>

struct said {
    char kind; /* + status, - error, : number, $ bytes, * list, _ nil */
    long long number;
    char *text; /* with a NUL behind it */
    size_t len, count;
    struct said *items;
};

struct asker {
    char path[104];
    int fd, patience_s;
    char *in; /* what was read and not taken yet */
    size_t in_len, in_at, in_size;
    struct said last;
};

void asker_open(struct asker *asker, const char *socket_path, int patience_s);
void asker_close(struct asker *asker);

/* Words up to NULL. Lends the answer until the next question; NULL: there was none. */
const struct said *ask(struct asker *asker, ...) __attribute__((sentinel));
const struct said *ask_words(struct asker *asker, size_t count, const char *const *words);

/* Likewise, but the answer is wanted as a number (the length of a list; -1: none, an error, a nil). */
#define ask_number(asker, ...) said_number(ask((asker), __VA_ARGS__, (char *)NULL))
long long said_number(const struct said *said);

/* NULL where there is none. */
const struct said *said_at(const struct said *list, size_t i);
const struct said *said_of(const struct said *list, const char *name); /* in a list of names and values */

#endif
