/* SPDX-License-Identifier: MIT */

/* tests/support/client: looks into Redis from a test.
 * Idea       a client of a page, blocking, of its own: the checker shares no code with what it checks. Answers are trees that
 *            live until the next question on the same connection.
 * Threads    one at a time.
 * Never      waits longer than RESP_PATIENCE_S for an answer; an answer that does not come fails the test. */
#ifndef QUERN_TESTS_SUPPORT_CLIENT_H
#define QUERN_TESTS_SUPPORT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

enum { RESP_PATIENCE_S = 20 };

struct resp;

/* kind: '+' status, '-' error, ':' number, '$' bytes, '*' list, '_' nil. text has a NUL behind its last byte. */
struct answer {
    char kind;
    long long number;
    char *text;
    size_t len, count;
    struct answer *items;
};

/* Gives; NULL: nobody listens there. */
struct resp *resp_open(const char *socket);
void resp_close(struct resp *resp);

/* Asks with words up to NULL. Lends the answer until the next question; an error is an answer too. */
const struct answer *resp_ask(struct resp *resp, ...) __attribute__((sentinel));
const struct answer *resp_ask_words(struct resp *resp, size_t count, const char *const *words, const size_t *lens);

/* The halves of a question: what is asked now, and its answer, which may take the server long. */
void resp_say(struct resp *resp, ...) __attribute__((sentinel));
const struct answer *resp_hear(struct resp *resp);

/* The item of a list, or a nil where there is none. */
const struct answer *answer_at(const struct answer *list, size_t i);

/* The value behind a name in a list of names and values, or a nil. */
const struct answer *answer_of(const struct answer *list, const char *name);

bool answer_is(const struct answer *answer, const char *text);

#endif
