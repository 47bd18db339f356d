/* SPDX-License-Identifier: MIT */

/* intake/tap: a connection that jobs are read on, and the queues that are read there: those of one group, for one command reads for one.
 *
 *      one queue      XREADGROUP … STREAMS retry stream > >            as many as the plan says; blocking once it is dry
 *      several        each by itself, in turn; once all are dry one blocking read of all: whichever gets something wakes us
 *
 * Invariant  with no connection there is no read in flight. A blocking read is alone in flight.
 * Threads    dispatcher. */
#ifndef QUERN_INTAKE_TAP_H
#define QUERN_INTAKE_TAP_H

#include "intake/dispatcher.h"
#include "intake/order.h"

enum { READS = 2, STREAMS = 2 /* of a queue that one reads */ };

/* A read that was sent and not answered yet. */
struct read {
    uint32_t queues; /* that it reads, a bit for each: one, or when it blocks all of the tap that are not paused */
    uint32_t count;  /* per stream */
    bool is_blocking;
    bool is_of_retries;  /* the stream of retries only */
    bool is_last_look;   /* nothing was held when it was sent: what ends later may bring a retry behind it */
    uint64_t admissions; /* until then */
    int64_t sent_ns;
};

struct tap {
    struct link link;
    uint32_t number, queue_count, queues[QUEUES_MAX];
    const struct conn *adopted_on; /* the connection on which strays were looked for */
    bool has_failed_to_adopt;
    struct read reads[READS]; /* the oldest first */
    uint32_t read_count;
    bool is_ill;          /* its group, or a stream of it, is gone */
    uint32_t healed;      /* how many such cases of others it has seen to */
    int64_t next_heal_ns; /* not before */
    int64_t next_adopt_ns;
    bool is_empty;       /* it was looked at in vain while nothing was held */
    quern_error trouble; /* of its connection, still to be dealt with; code 0: none */
};

static inline bool read_is_of(const struct read *read, uint32_t queue)
{
    return read->queues >> queue & 1;
}

/* Slots that the answer to a read may need. */
uint32_t read_slots(const struct read *read);
bool tap_is_blocked(const struct tap *tap);

/* Sends it, unless it would block and the pool stops. What goes wrong is the tap's trouble. */
void tap_send(struct tap *tap, const struct dispatcher_needs *needs, const struct read *read);
/* The oldest read was answered. */
struct read tap_answered(struct tap *tap, const struct dispatcher_needs *needs);
/* Of which origin a part of the answer speaks. */
uint32_t read_origin(const struct read *read, const struct dispatcher_needs *needs, quern_bytes key);

/* The connection is given up, with what was in flight on it. */
void tap_lose(struct tap *tap, const struct dispatcher_needs *needs, const quern_error *why);

#endif
