/* SPDX-License-Identifier: MIT */
#include "run/crew.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/thread.h"

struct crew {
    struct worker_needs needs;
    pthread_mutex_t lock; /* guards starting, leaving and joining */
    _Atomic uint32_t wanted;
    _Atomic uint32_t alive;  /* threads that have not run to their end */
    _Atomic uint32_t places; /* how many of workers were ever used */
    struct worker *workers[WORKERS_MAX];
};

static bool is_extra(void *given, uint32_t number)
{
    struct crew *crew = given;
    return number >= atomic_load(&crew->wanted);
}

static bool may_leave(void *given, uint32_t number)
{
    struct crew *crew = given;
    pthread_mutex_lock(&crew->lock);
    bool leaves = number >= atomic_load(&crew->wanted) || ready_is_closed(crew->needs.ready);
    if (leaves) crew->workers[number]->is_alive = false;
    pthread_mutex_unlock(&crew->lock);
    return leaves;
}

static void has_left(void *given)
{
    struct crew *crew = given;
    if (atomic_fetch_sub(&crew->alive, 1) == 1 && ready_is_closed(crew->needs.ready)) done_close(crew->needs.done);
}

struct crew *crew_open(const struct worker_needs *needs)
{
    struct crew *crew = calloc(1, sizeof *crew);
    if (!crew) return NULL;
    crew->needs = *needs;
    crew->needs.crew = crew;
    crew->needs.is_extra = is_extra;
    crew->needs.may_leave = may_leave;
    crew->needs.has_left = has_left;
    pthread_mutex_init(&crew->lock, NULL);
    return crew;
}

/* Makes a place fit for a thread: allocated, and its last thread joined. */
static struct worker *place_prepare(struct crew *crew, uint32_t number)
{
    struct worker *worker = crew->workers[number];
    if (!worker) {
        if (!(worker = aligned_alloc(64, sizeof *worker))) return NULL;
        *worker = (struct worker){.needs = &crew->needs, .number = number};
        crew->workers[number] = worker;
        atomic_store(&crew->places, number + 1);
    }
    if (worker->is_started && !worker->is_alive) {
        pthread_join(worker->thread, NULL);
        worker->is_started = false;
    }
    return worker;
}

static int place_start(struct crew *crew, uint32_t number, quern_error *err)
{
    char name[16];
    struct worker *worker = place_prepare(crew, number);
    if (!worker) return err_set(err, QUERN_E_MEMORY, "no memory for worker thread %u", number + 1);
    if (worker->is_started) return QUERN_OK;
    snprintf(name, sizeof name, "quern-work-%u", number % 10000);
    worker->is_started = worker->is_alive = true;
    atomic_fetch_add(&crew->alive, 1);
    if (!thread_start(&worker->thread, ROLE_WORKER, name, worker_run, worker)) return QUERN_OK;
    worker->is_started = worker->is_alive = false;
    has_left(crew); /* the last real worker may have left meanwhile: done is closed by whoever counts to zero */
    return err_set(err, QUERN_E_MEMORY, "worker thread %u could not be started: is there a limit on threads?", number + 1);
}

int crew_set(struct crew *crew, uint32_t n, quern_error *err)
{
    int code = QUERN_OK;
    pthread_mutex_lock(&crew->lock);
    if (ready_is_closed(crew->needs.ready)) {
        code = err_set(err, QUERN_E_GONE, "the pool is stopping");
    } else {
        atomic_store(&crew->wanted, n);
        for (uint32_t i = 0; i < n && !code; i++)
            if ((code = place_start(crew, i, err))) atomic_store(&crew->wanted, i);
    }
    pthread_mutex_unlock(&crew->lock);
    ready_wake_all(crew->needs.ready); /* those too many look and leave */
    return code;
}

void crew_join(struct crew *crew)
{
    for (uint32_t i = 0; i < atomic_load(&crew->places); i++) {
        if (!crew->workers[i]->is_started) continue;
        pthread_join(crew->workers[i]->thread, NULL);
        crew->workers[i]->is_started = false;
    }
}

void crew_free(struct crew *crew)
{
    if (!crew) return;
    for (uint32_t i = 0; i < atomic_load(&crew->places); i++) free(crew->workers[i]);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}

void crew_read(struct crew *crew, struct crew_sums *sums)
{
    *sums = (struct crew_sums){.threads = atomic_load(&crew->wanted)};
    for (uint32_t i = 0; i < atomic_load(&crew->places); i++) {
        struct worker *worker = crew->workers[i];
        sums->running += atomic_load_explicit(&worker->is_running, memory_order_relaxed);
        sums->jobs += counter_read(&worker->jobs);
        sums->run_ns += counter_read(&worker->run_ns);
    }
}
