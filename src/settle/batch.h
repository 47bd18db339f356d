/* SPDX-License-Identifier: MIT */

/* settle/batch: jobs of one origin that are settled by one command.
 * Invariant  once it was sent, a batch is asked again as it was, under its number, until it is answered.
 * Threads    settler. */
#ifndef QUERN_SETTLE_BATCH_H
#define QUERN_SETTLE_BATCH_H

#include <stdbool.h>

#include "settle/verdict.h"

struct conn;
struct settler_needs;

enum answer {
    ANSWER_SETTLED = 'd',
    ANSWER_MOVED = 'r',     /* it will run again */
    ANSWER_BURIED = 'b',    /* its dead letter is written */
    ANSWER_LOST = 'l',      /* another has it, or it was settled before */
    ANSWER_AMBIGUOUS = 'a', /* as lost, but our own earlier acknowledgement may have been it */
    ANSWER_STUCK = 'e',     /* Redis could not move it: it stays pending */
    ANSWER_AGAIN = 'g'      /* its entry is gone from the stream: once more, with the fields we hold */
};

struct batch {
    enum action action;
    uint32_t origin, count, max;
    size_t bytes;         /* that it copies or carries */
    uint64_t number;      /* of a script batch; 0: not sent yet */
    uint64_t last_number; /* given out so far */
    bool sends_fields;    /* its entries are gone: the fields travel */
    struct quern_job **jobs;
    char *answers;           /* enum answer, one per job */
    int64_t refused_on_ns;   /* since when the connection is open on which a transaction was refused (settle/logged) */
    int64_t tried_on_ns;     /* likewise of one on which transactions may be used */
    bool lacks_transactions; /* our user may begin them, and not end them */
};

/* Room for max jobs. false: no memory. */
bool batch_open(struct batch *batch, uint32_t max);
void batch_close(struct batch *batch);
void batch_begin(struct batch *batch, enum action action);
/* Does it take no more, whatever comes? */
bool batch_is_full(const struct batch *batch);
/* It is not full; may this job join those inside? */
bool batch_takes(const struct batch *batch, const struct quern_job *job);
void batch_add(struct batch *batch, struct quern_job *job);

/* The entries of its jobs, as the last arguments of a command. */
void batch_put_ids(const struct batch *batch, struct conn *conn);

/* Sends and waits. QUERN_OK: answers[] is filled; else the connection is to be closed, and a script batch asked again on the next.
 * A plain one is not: its jobs are marked ambiguous and go by the owner-checked script. */
int batch_ask(struct batch *batch, const struct settler_needs *needs, struct conn *conn, quern_error *err) QUERN_MUST_USE;

/* settle/logged: the same for a batch of ACTION_LOG; what is not answered becomes one of ACTION_DONE. */
int logged_ask(struct batch *batch, const struct settler_needs *needs, struct conn *conn, quern_error *err) QUERN_MUST_USE;

/* settle/call: the same for a batch that goes by a script. */
int call_ask(struct batch *batch, const struct settler_needs *needs, struct conn *conn, quern_error *err) QUERN_MUST_USE;

#endif
