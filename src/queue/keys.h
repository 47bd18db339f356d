/* SPDX-License-Identifier: MIT */

/* queue/keys: where a job waits for those of its key before it.
 * Idea       of each key one job is at large: in ready, or running. Those behind it are kept in a list of their own, in the order in which
 *            they were read, with their slots and leases; when it ends the next one goes to ready.
 *
 *      dispatcher ──admit──▶ [ready] ──▶ runs ──leave──▶ the next of its key: [ready]
 *                    └──▶ behind the one at large
 *
 * Invariant  at most one job of a key is at large. A key is a number (a hash of stream and key): two keys that share one are only
 *            slower for it.
 * Threads    admit, give_back, close: dispatcher · leave: whoever ends a job, before the push to done · waiting: any. One lock, a leaf but
 *            for ready's. None waits.
 * Never      touches a job without a key. */
#ifndef QUERN_QUEUE_KEYS_H
#define QUERN_QUEUE_KEYS_H

#include <stdbool.h>
#include <stdint.h>

struct keys;
struct quern_job;
struct ready;
struct done;

/* Room for so many slots. Gives; NULL: no memory. The others are lent. */
struct keys *keys_open(uint32_t slots, struct ready *ready, struct done *done);
void keys_free(struct keys *keys);

/* A job that has just become READY. It may be somebody else's then. */
void keys_admit(struct keys *keys, struct quern_job *job, uint64_t key);

/* The job has ended, or goes back: the next one of its key is at large. Again: nothing happens. */
void keys_leave(struct quern_job *job);

/* The job, which is READY, goes back unrun, and those behind it after it, lest one passes it. false: it has no key. */
bool keys_give_back(struct quern_job *job);

/* Whoever waits goes back. Behind the last admit. */
void keys_close(struct keys *keys);

uint32_t keys_waiting(struct keys *keys);

#endif
