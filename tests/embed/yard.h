/* SPDX-License-Identifier: MIT */

/* tests/embed/yard: a temporary directory with users, keeper and server in it, and the means to look at them.
 * Idea       users are holder processes; keeper and server are found by what they hold (lock, socket), never by a name alone.
 * Threads    the test's. Every wait has a deadline. */
#ifndef QUERN_TESTS_EMBED_YARD_H
#define QUERN_TESTS_EMBED_YARD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

enum { YARD_PATIENCE_MS = 10000 };

struct yard {
    char top[64];    /* the temporary directory */
    char dir[80];    /* top/state: what the server is given */
    char socket[96]; /* dir/redis.sock */
    char search[80]; /* top/bin: for programs a test makes up */
};

struct user {
    pid_t pid;
    int in, out;    /* its standard input and output */
    char said[640]; /* its first line, once it has been waited for */
};

/* wait_for(condition): the condition comes true in time, or the test fails. */
#define wait_for(condition)                                                               \
    do {                                                                                  \
        int64_t wait_until_ns = yard_deadline_ns();                                       \
        while (!(condition)) {                                                            \
            if (yard_is_over(wait_until_ns)) fail_msg("never came true: %s", #condition); \
            yard_breathe();                                                               \
        }                                                                                 \
    } while (0)
int64_t yard_deadline_ns(void);
bool yard_is_over(int64_t deadline_ns);
void yard_breathe(void);

/* For cmocka's setup and teardown; the teardown fails if a process or a socket was left, after having ended it. */
int yard_setup(void **state);
int yard_teardown(void **state);

struct user yard_user(const struct yard *yard, const char *dir, int start_ms, const char *search);
bool user_has_said(struct user *user);                   /* never waits */
void user_opens(struct user *user);                      /* waits for its "open" */
void user_is_told(struct user *user, const char *words); /* waits for its "error", which must contain words */
void user_leaves(struct user *user);                     /* of itself, with status 0 or (after an error) 1 */
void user_is_killed(const struct yard *yard, struct user *user);

pid_t yard_keeper(const struct yard *yard); /* who has claimed keeper.lock; -1: nobody */
pid_t yard_server(const struct yard *yard); /* who listens on the socket; -1: nobody */
bool yard_lock_is_held(const struct yard *yard, const char *name);
int yard_count(const struct yard *yard, const char *word);      /* processes of this yard with word in their command line */
int yard_log_count(const struct yard *yard, const char *words); /* in the server's log */
bool yard_is_quiet(const struct yard *yard);                    /* no process, no lock held, no socket */
bool process_is_gone(pid_t pid);

/* The only way a test sends a signal: to a process of this yard and to no other, whatever number it was handed. (kill() takes
 * -1, the answer of those above when there is nobody, for everybody.) The test fails if it is none of this yard's. */
void yard_signal(const struct yard *yard, pid_t pid, int number);

/* Says a line to the server; reply gets the first answer line, or "" if there was no answer. */
void yard_say(const struct yard *yard, const char *line, char reply[256]);
bool yard_answers(const struct yard *yard, const char *line, const char *want);

/* Makes top/bin/redis-server: says "started" into top/starts, waits until somebody opens top/gate for writing, then is a
 * redis-server. */
void yard_gate(const struct yard *yard);
void yard_gate_open(const struct yard *yard);
int yard_gate_starts(const struct yard *yard);

#endif
