/* SPDX-License-Identifier: MIT */

/* wire/link: a thread's connection through outages.
 * Idea       whoever needs the connection asks for it each time; after an error it is closed, and opened anew no sooner than a
 *            jittered backoff allows. The backoff begins anew once something has worked: connections that answer nothing make
 *            no hot loop, and those that break now and then make nobody wait long.
 * Threads    its owner's.
 *            It is up again once something has worked on it: a server that loads its data lets in who then is told to wait.
 * Never      waits for the backoff: it says when to come again. */
#ifndef QUERN_WIRE_LINK_H
#define QUERN_WIRE_LINK_H

#include <stdbool.h>

#include "base/backoff.h"
#include "wire/conn.h"

struct link_options {
    struct conn_options conn; /* its name and url are lent for as long as the link is open */
    int64_t connect_ms;       /* for one attempt */
    int64_t first_ms, max_ms; /* the first pause and the longest one; 0: 50 ms, 10 s */
    /* Told once when it is down and once when it is up again. */
    void (*down)(void *user, const quern_error *why);
    void (*up)(void *user);
    /* Was the end of a connection opened at that time told already? Then down() is not called for it. NULL: no. */
    bool (*is_known)(void *user, int64_t opened_ns);
    /* Told each time stream or group are not there: no outage, but somebody must make them again. NULL: nobody is told. */
    void (*gone)(void *gone_user);
    void *user, *gone_user;
};

struct link {
    struct link_options options;
    struct conn *conn;
    struct backoff backoff;
    int64_t next_try_ns;
    bool is_down;
};

void link_open(struct link *link, const struct link_options *options);
/* Takes a connection that was made before the thread started. */
void link_adopt(struct link *link, struct conn *conn);
void link_close(struct link *link);

/* The connection; NULL: there is none now, come again at link->next_try_ns. May wait connect_ms for one attempt. */
struct conn *link_use(struct link *link, int64_t now_ns);
/* After an error on it. */
void link_fail(struct link *link, const quern_error *why);
/* Behind link_fail(), where only one of several things was refused: the next attempt is not more than a second away. */
void link_hurry(struct link *link);
/* After an answer that was what it should be. */
void link_works(struct link *link);
/* There is nothing to ask now: whether it would work is nobody's concern, so it counts as up. */
void link_rest(struct link *link);

#endif
