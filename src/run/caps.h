/* SPDX-License-Identifier: MIT */

/* run/caps: how many jobs of an event run at once in this process (max_running).
 * Idea       a job that finds its event at its cap is parked: it keeps its slot and its lease, and goes on when one of the others
 *            ends. Only as many are parked as may run, so that one event does not fill the slots; the next ones go back to Redis at no
 *            cost, for about as long as it takes until it is their turn.
 *
 *      worker ──enter──▶ runs ──leave──▶ the oldest parked one: [ready]
 *                └──▶ parked, or postponed
 *
 * Invariant  running counts those between enter and leave, those that were parked and sent on included. A cap outlives its handler: after
 *            a reload the same event has the same one.
 * Threads    enter: workers · leave: whoever ends a job, before the push to done · close: dispatcher, before ready is closed · open, free, set: owner. One lock,
 *            a leaf but for ready's. None waits.
 * Never      touches what has no cap: a handler without one has none to ask. */
#ifndef QUERN_RUN_CAPS_H
#define QUERN_RUN_CAPS_H

#include <stdbool.h>
#include <stdint.h>

struct caps;
struct cap;
struct quern_job;
struct ready;
struct done;

/* Gives; NULL: no memory. The others are lent. */
struct caps *caps_open(struct ready *ready, struct done *done);
void caps_free(struct caps *caps);

/* The cap of an event, made where it is missing, for any number yet. NULL: no memory. */
struct cap *caps_get(struct caps *caps, const char *event);
/* From now on so many of it run at once (0: any number); where there is no such cap, nothing happens. */
void caps_set(struct caps *caps, const char *event, uint32_t most);

/* A job that is RUNNING is about to start. CAP_PARKED: it is somebody else's now. CAP_OVER: it is to go back for *delay_ms. */
enum cap_answer { CAP_RUN, CAP_PARKED, CAP_OVER };
enum cap_answer cap_enter(struct cap *cap, struct quern_job *job, int64_t mean_ns, int64_t *delay_ms);

/* The job has ended, or goes back; if it has entered, another may start. */
void caps_leave(struct quern_job *job);

/* What is parked goes back, and nothing is parked any more. */
void caps_close(struct caps *caps);

/* How many are parked now, and how many went back so far. */
void caps_read(struct caps *caps, uint32_t *parked, int64_t *postponed);

#endif
