/* SPDX-License-Identifier: MIT */

/* queue/ready: where admitted jobs wait for a worker.
 * Idea       a lock-free ring of slot numbers; an idle worker sleeps on a futex. A push wakes one worker unless a wake is on its
 *            way; a woken worker wakes the next one if what is left is worth it. Nobody is woken per job when busy, nor for a
 *            batch of brief jobs while another worker is awake and at brief jobs: it pays attention.
 *
 *                dispatcher ──push──▶ [7 3 9 4 ····] ──pop──▶ worker 1 … N
 *                     ▲                     └─ runs low: the dispatcher is woken to refill
 *
 * Invariant  what goes in comes out once. After close nothing enters; all that is in still comes out, paused or not.
 * Threads    push, wake: any · call, nudge, peek: dispatcher · pop, sleep: workers · take: the dispatcher, to release · pause, resume: any ·
 *            open, close, free: owner
 *
 *                      push               pop                sleep
 *            push      ring's CAS         ring's CAS         A
 *            sleep     A                  –                  –
 *            turn away A                  –                  –
 *            A: sleeper counts itself, then looks; pusher pushes, then looks for sleepers. Both looks lie behind a full fence, so
 *               at least one sees the other. Who turns away does as a sleeper does. A resume needs no such look: it wakes all, and moves the word they sleep on only
 *               after the pause is over; whoever saw the pause has read the word before that, and does not fall asleep on it.
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
/* The same, but one that pays attention will do, unless the backlog is worth another one. Dispatcher. */
void ready_call(struct ready *ready, int64_t now_ns);
/* They have not come for milliseconds: one more is woken, and attention is not relied on for a second. Dispatcher. */
void ready_nudge(struct ready *ready, int64_t now_ns);
/* A worker begins to pay attention, or has something else to do for longer than microseconds. In its sleep it pays none. */
void ready_attend(struct ready *ready);
void ready_turn_away(struct ready *ready);
/* false: nothing there, or paused. */
bool ready_pop(struct ready *ready, uint32_t *index);
/* The same, but what a pause holds back comes out too. */
bool ready_take(struct ready *ready, uint32_t *index);
/* The oldest one, which a worker may take meanwhile. Dispatcher. */
bool ready_peek(const struct ready *ready, uint32_t *index);
uint32_t ready_length(const struct ready *ready);
/* How many would take a job at once; while paused nobody would. */
uint32_t ready_sleepers(const struct ready *ready);

/* Sleeps until there may be something, the ready is closed, or ready_wake_all(). */
void ready_sleep(struct ready *ready, bool (*is_leaving)(void *user), void *user);
void ready_wake_all(struct ready *ready);

/* From now on nothing is popped, whatever is pushed, until it is resumed or closed; a pop that has begun may still take one. Each
 * says whether it changed anything. A resume wakes all sleepers. */
bool ready_pause(struct ready *ready);
bool ready_resume(struct ready *ready);
bool ready_is_paused(const struct ready *ready); /* what is closed is not */

/* A backlog of this many jobs is worth waking another worker for; at least 1. */
void ready_set_worth(struct ready *ready, uint32_t jobs);
/* Wake the dispatcher once when the backlog has fallen to this; UINT32_MAX: as soon as a worker looks; 0: when it is empty. */
void ready_arm_refill(struct ready *ready, uint32_t at_length);
void ready_disarm_refill(struct ready *ready);

void ready_close(struct ready *ready);
bool ready_is_closed(const struct ready *ready);

#endif
