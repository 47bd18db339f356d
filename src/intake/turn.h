/* SPDX-License-Identifier: MIT */

/* intake/turn: what the dispatcher asks Redis for, and what comes.
 * Idea       as long as jobs are wanted (intake/demand) the queue whose turn it is (intake/order) is read on its tap; a tap whose queues have
 *            nothing left waits in a blocking read. An answer says what a queue has; the next request goes out before what came is
 *            admitted.
 * Threads    dispatcher. */
#ifndef QUERN_INTAKE_TURN_H
#define QUERN_INTAKE_TURN_H

#include "intake/demand.h"
#include "intake/order.h"
#include "intake/tap.h"

struct dispatcher {
    const struct dispatcher_needs *needs;
    struct tap *taps;
    uint32_t tap_count;
    uint32_t tap_of[QUEUES_MAX]; /* per queue */
    struct order order;
    struct demand demand;
    uint32_t unsifted;   /* queues of whose retry stream it is not known yet what was in it at the start, a bit for each */
    struct high *high;   /* per origin */
    uint64_t admissions; /* so many entries have come */
    int64_t stirred_ns;
    int64_t paused_ns; /* when it was last seen that the pool was paused */
    uint64_t oldest;   /* the job that waits longest beside a worker that sleeps, and since when that was seen (dispatcher) */
    int64_t oldest_ns;
    bool lacks_slots; /* for a read that was wanted */
    bool reads_owed;  /* nothing is wanted but leases that are owed */
    bool is_held;     /* jobs are wanted, and what could be read is paused by an operator */
};

struct in_flight turn_in_flight(const struct dispatcher *dispatcher);
/* Since when Redis owes us an answer, for who asks whether we are well. After each change of what is in flight. */
void turn_note_owed(const struct dispatcher *dispatcher);

/* Each queue that nobody waits for by a blocking read may have something by now; not the one that was just looked at. */
enum { NO_QUEUE = UINT32_MAX };
void turn_stir(struct dispatcher *dispatcher, uint32_t looked_at);
void turn_stir_tap(struct dispatcher *dispatcher, const struct tap *tap);

/* After a heal: what comes to its end now need not wait for a new lease, once all that was owed one has it. */
void turn_see_owed(const struct dispatcher *dispatcher);

/* How many jobs are wanted, also where that is only to give what runs its lease back. */
struct plan turn_plan(struct dispatcher *dispatcher);
bool turn_wants_heal(const struct dispatcher *dispatcher, const struct tap *tap);
/* Could another read go out on it? */
bool turn_is_open(const struct dispatcher *dispatcher, const struct tap *tap);
bool turn_is_any_open(const struct dispatcher *dispatcher);

/* Sends what is wanted, and says how much that was. What goes wrong is the tap's trouble. */
void turn_send(struct dispatcher *dispatcher, struct plan *made);
/* Takes what has come, without waiting; true: it was something. */
bool turn_take(struct dispatcher *dispatcher);
int64_t turn_answer_deadline_ns(const struct dispatcher_needs *needs, const struct tap *tap);

#endif
