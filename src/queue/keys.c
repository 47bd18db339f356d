/* SPDX-License-Identifier: MIT */
#include "queue/keys.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "job/slot.h"
#include "queue/done.h"
#include "queue/ready.h"

enum { MIXED_FROM = 8 }; /* lower bits of a key say little */

struct keys {
    struct ready *ready;
    struct done *done;
    pthread_mutex_t lock;        /* guards all of it, and the keyed parts of the jobs */
    struct quern_job **at_large; /* mask + 1 lists, by next_at_large */
    uint32_t mask, waiting;
};

struct keys *keys_open(uint32_t slots, struct ready *ready, struct done *done)
{
    struct keys *keys = calloc(1, sizeof *keys);
    uint32_t lists = 16;
    if (!keys) return NULL;
    while (lists < slots) lists *= 2;
    *keys =
        (struct keys){.ready = ready, .done = done, .at_large = calloc(lists, sizeof(struct quern_job *)), .mask = lists - 1};
    if (!keys->at_large) return free(keys), NULL;
    pthread_mutex_init(&keys->lock, NULL);
    return keys;
}

void keys_free(struct keys *keys)
{
    if (!keys) return;
    pthread_mutex_destroy(&keys->lock);
    free(keys->at_large);
    free(keys);
}

/* ── under the lock ──────────────────────────────────────────────────────────────────────────────────────────────── */

/* The place that points to the job at large with this key, or to NULL at the end of its list. */
static struct quern_job **find(struct keys *keys, uint64_t key)
{
    struct quern_job **at = &keys->at_large[(key >> MIXED_FROM) & keys->mask];
    while (*at && atomic_load_explicit(&(*at)->key, memory_order_relaxed) != key) at = &(*at)->next_at_large;
    return at;
}

static void wait_behind(struct keys *keys, struct quern_job *first, struct quern_job *job)
{
    if (first->last_behind)
        first->last_behind->next_behind = job;
    else
        first->next_behind = job;
    first->last_behind = job;
    keys->waiting++;
}

static void forget(struct quern_job *job)
{
    atomic_store_explicit(&job->key, 0, memory_order_relaxed);
    job->next_at_large = job->next_behind = job->last_behind = NULL;
}

/* The next one takes the place of the first, with all behind it. */
static void advance(struct keys *keys, struct quern_job **at)
{
    struct quern_job *first = *at, *next = first->next_behind;
    if (next) {
        next->next_at_large = first->next_at_large;
        next->last_behind = first->last_behind == next ? NULL : first->last_behind;
        keys->waiting--;
    }
    *at = next ? next : first->next_at_large;
    forget(first);
    if (!next) return;
    ready_push(keys->ready, next->index);
    ready_wake(keys->ready);
}

/* From the push on it is the settler's. */
static void release(struct keys *keys, struct quern_job *job)
{
    forget(job);
    job->outcome = OUTCOME_RELEASED;
    job->started_ns = job->ended_ns = clock_now_ns();
    slot_move(job, SLOT_READY, SLOT_DONE);
    done_push(keys->done, job);
}

static void release_list(struct keys *keys, struct quern_job *job)
{
    for (struct quern_job *next; job; job = next) {
        next = job->next_behind;
        keys->waiting--;
        release(keys, job);
    }
}

/* ── for all ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

void keys_admit(struct keys *keys, struct quern_job *job, uint64_t key)
{
    pthread_mutex_lock(&keys->lock);
    job->keys = keys;
    job->next_at_large = job->next_behind = job->last_behind = NULL;
    struct quern_job **at = find(keys, key);
    atomic_store_explicit(&job->key, key, memory_order_relaxed);
    if (*at)
        wait_behind(keys, *at, job);
    else
        *at = job;
    if (*at == job) ready_push(keys->ready, job->index);
    pthread_mutex_unlock(&keys->lock);
}

/* Another thread may have left for it just now: a handler that outstays its time returns at last. */
void keys_leave(struct quern_job *job)
{
    if (!atomic_load_explicit(&job->key, memory_order_relaxed)) return;
    struct keys *keys = job->keys;
    pthread_mutex_lock(&keys->lock);
    uint64_t key = atomic_load_explicit(&job->key, memory_order_relaxed);
    struct quern_job **at = key ? find(keys, key) : NULL;
    if (at && *at == job) advance(keys, at);
    pthread_mutex_unlock(&keys->lock);
}

bool keys_give_back(struct quern_job *job)
{
    uint64_t key = atomic_load_explicit(&job->key, memory_order_relaxed);
    if (!key) return false;
    struct keys *keys = job->keys;
    pthread_mutex_lock(&keys->lock);
    struct quern_job *behind = job->next_behind;
    *find(keys, key) = job->next_at_large;
    release(keys, job);
    release_list(keys, behind);
    pthread_mutex_unlock(&keys->lock);
    return true;
}

void keys_close(struct keys *keys)
{
    pthread_mutex_lock(&keys->lock);
    for (uint32_t i = 0; i <= keys->mask; i++)
        for (struct quern_job *job = keys->at_large[i]; job; job = job->next_at_large) {
            release_list(keys, job->next_behind);
            job->next_behind = job->last_behind = NULL;
        }
    pthread_mutex_unlock(&keys->lock);
}

uint32_t keys_waiting(struct keys *keys)
{
    pthread_mutex_lock(&keys->lock);
    uint32_t waiting = keys->waiting;
    pthread_mutex_unlock(&keys->lock);
    return waiting;
}
