/* SPDX-License-Identifier: MIT */

/* queue/ready: where admitted jobs wait for a worker.
 * Idea       a lock-free ring of slot numbers; an idle worker sleeps on a futex. A push wakes one worker unless a wake is on its
 *            way; a woken worker wakes the next one if what is left is worth it. Nobody is woken per job when busy.
 *
 *                dispatcher ──push──▶ [7 3 9 4 ····] ──pop──▶ worker 1 … N
 *                     ▲                     └─ runs low: the dispatcher is woken to refill
 *
 * Invariant  what goes in comes out once. After close nothing enters; all that is in still comes out.
 * Threads    push, wake, peek: dispatcher · pop, sleep: workers (pop also the dispatcher, to release) · open, close, free: owner
 *
 *                      push               pop                sleep
 *            push      ring's CAS         ring's CAS         A
 *            sleep     A                  –                  –
 *            A: sleeper counts itself, then looks; pusher pushes, then looks for sleepers. Both looks lie behind a full fence, so
 *               at least one sees the other.
 *
 * What can   a pusher skips its wake because another one is on its way, and the woken worker has looked already: it cannot,
 * go wrong   since a worker takes the "on its way" back before it looks.
 * Never      touches Redis, runs a handler, waits for space (slots bound what can be in it). */
#ifndef QUERN_QUEUE_READY_H
#define QUERN_QUEUE_READY_H

#include <stdbool.h>
#include <stdint.h>

struct ready;
struct waker;

/* refill is woken when the backlog falls to ready_refill_at(). Gives; NULL: no memory. */
struct ready *ready_open(uint32_t slots, struct waker *refill);
void ready_free(struct ready *ready);

/* Never fails, never waits. */
void ready_push(struct ready *ready, uint32_t index);
/* After one or more pushes: sees to it that a worker comes, if one sleeps. */
void ready_wake(struct ready *ready);
/* false: nothing there. */
bool ready_pop(struct ready *ready, uint32_t *index);
/* The oldest one, which a worker may take meanwhile. Dispatcher, who alone pushes. */
bool ready_peek(const struct ready *ready, uint32_t *index);
uint32_t ready_length(const struct ready *ready);
uint32_t ready_sleepers(const struct ready *ready);

/* Sleeps until there may be something, the ready is closed, or ready_wake_all(). */
void ready_sleep(struct ready *ready, bool (*is_leaving)(void *user), void *user);
void ready_wake_all(struct ready *ready);

/* A backlog of this many jobs is worth waking another worker for; at least 1. */
void ready_set_worth(struct ready *ready, uint32_t jobs);
/* Wake the dispatcher once when the backlog has fallen to this; UINT32_MAX: as soon as a worker looks; 0: when it is empty. */
void ready_arm_refill(struct ready *ready, uint32_t at_length);
void ready_disarm_refill(struct ready *ready);

void ready_close(struct ready *ready);
bool ready_is_closed(const struct ready *ready);

#endif
