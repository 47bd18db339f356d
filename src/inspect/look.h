/* SPDX-License-Identifier: MIT */

/* inspect/look: one look into a queue from outside: a connection of its own, and the names of the keys.
 * Idea       plain reads and nothing else, so that it can be done with a user of Redis that may only read, on a server that is full,
 *            and beside any number of pools without disturbing them. What is missing is nothing, not an error.
 * Threads    the caller's; nothing is shared.
 * Never      writes, runs a script, or takes a job. */
#ifndef QUERN_INSPECT_LOOK_H
#define QUERN_INSPECT_LOOK_H

#include <stdint.h>

#include "job/source.h"
#include "wire/conn.h"

struct look {
    quern_config *config; /* of the one queue that is looked at (config/queues) */
    struct url url;
    struct source source;
    struct conn *conn;
    int64_t now_ms; /* Unix, by the server's clock, which entry ids come from */
};

/* Connects, one attempt of at most connect_ms, and sees that no key is of another type. On failure nothing is to be closed. */
int look_open(struct look *look, const quern_config *config, quern_error *err) QUERN_MUST_USE;
/* The same, for who does more than look: the connection has this name. */
int look_open_as(struct look *look, const quern_config *config, const char *name, quern_error *err) QUERN_MUST_USE;
/* The same without judging the server's version or the types of keys: for who tells what is wrong with them. */
int look_open_unjudged(struct look *look, const quern_config *config, const char *name, quern_error *err) QUERN_MUST_USE;
void look_close(struct look *look);

/* Sends the command that was laid out on look->conn and waits for its answer, lent until the next. A key or a group that is
 * missing is a nil reply; other errors of the server fail. */
int look_ask(struct look *look, const struct reply **reply, quern_error *err) QUERN_MUST_USE;

/* The same where the answer is one number. */
int look_ask_number(struct look *look, int64_t *number, quern_error *err) QUERN_MUST_USE;

/* QUERN_E_GONE, and err names the stream, if neither it nor other exists. Nobody has made them: a name is wrong, perhaps. */
int look_for_stream(struct look *look, const char *other, quern_error *err) QUERN_MUST_USE;

/* QUERN_E_GONE, and err names stream and group, if the stream has no such group. */
int look_for_group(struct look *look, quern_error *err) QUERN_MUST_USE;
int look_no_group(struct look *look, quern_error *err); /* says so */

/* Reads the server's clock again. */
int look_at_clock(struct look *look, quern_error *err) QUERN_MUST_USE;

#endif
