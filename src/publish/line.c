/* SPDX-License-Identifier: MIT */
#include "publish/line.h"

#include "base/clock.h"
#include "base/futex.h"

struct line_waiter {
    struct line_waiter *next;
    _Atomic uint32_t has_it; /* changes under the lock, and is woken there: then who waits here is still here */
};

void line_open(struct line *line)
{
    pthread_mutex_init(&line->lock, NULL);
    line->is_taken = false;
    line->first = NULL;
    line->end = &line->first;
}

void line_close(struct line *line)
{
    pthread_mutex_destroy(&line->lock);
}

/* Under the lock. */
static void drop(struct line *line, const struct line_waiter *waiter)
{
    struct line_waiter **at = &line->first;
    while (*at != waiter) at = &(*at)->next;
    if (!(*at = waiter->next)) line->end = at;
}

/* Under the lock, which is given up meanwhile. false: its time is over, and it waits no more. */
static bool wait_for_turn(struct line *line, int64_t deadline_ns)
{
    struct line_waiter waiter = {0};
    *line->end = &waiter;
    line->end = &waiter.next;
    pthread_mutex_unlock(&line->lock);
    while (!atomic_load(&waiter.has_it) && clock_now_ns() < deadline_ns) futex_wait(&waiter.has_it, 0, deadline_ns);
    pthread_mutex_lock(&line->lock);
    bool has_it = atomic_load(&waiter.has_it);
    if (!has_it) drop(line, &waiter);
    return has_it;
}

bool line_enter(struct line *line, int64_t deadline_ns)
{
    pthread_mutex_lock(&line->lock);
    bool has_it = !line->is_taken || wait_for_turn(line, deadline_ns);
    if (has_it) line->is_taken = true;
    pthread_mutex_unlock(&line->lock);
    return has_it;
}

void line_leave(struct line *line)
{
    pthread_mutex_lock(&line->lock);
    struct line_waiter *next = line->first;
    line->is_taken = next != NULL;
    if (next) {
        drop(line, next);
        atomic_store(&next->has_it, 1);
        futex_wake(&next->has_it, 1);
    }
    pthread_mutex_unlock(&line->lock);
}
