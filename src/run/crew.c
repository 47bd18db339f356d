/* SPDX-License-Identifier: MIT */
#include "run/crew.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "run/forked.h"

struct crew {
    struct worker_needs needs;
    pthread_mutex_t lock; /* guards starting, leaving and joining */
    _Atomic uint32_t wanted;
    _Atomic uint32_t alive;  /* threads that have not run to their end */
    _Atomic uint32_t places; /* how many of workers were ever used */
    _Atomic uint32_t stuck;
    pthread_mutex_t list_lock; /* a leaf; guards replaced and past */
    struct worker *replaced;   /* others have their places; until they are gone */
    struct crew_sums past;     /* jobs and time of those that are */
    struct worker *_Atomic workers[WORKERS_MAX];
};

static bool is_extra(void *given, const struct worker *worker)
{
    struct crew *crew = given;
    return worker->number >= atomic_load(&crew->wanted) || atomic_load(&worker->is_replaced);
}

static bool may_leave(void *given, struct worker *worker)
{
    struct crew *crew = given;
    pthread_mutex_lock(&crew->lock);
    bool leaves = is_extra(crew, worker) || ready_is_closed(crew->needs.ready);
    if (leaves) worker->is_alive = false;
    pthread_mutex_unlock(&crew->lock);
    return leaves;
}

static void has_left(void *given, struct worker *worker)
{
    struct crew *crew = given;
    if (atomic_load(&worker->is_replaced)) atomic_fetch_sub(&crew->stuck, 1);
    if (atomic_fetch_sub(&crew->alive, 1) == 1 && ready_is_closed(crew->needs.ready)) done_close(crew->needs.done);
    atomic_store(&worker->is_gone, true);
}

static void was_lost(void *given, struct worker *worker);

struct crew *crew_open(const struct worker_needs *needs)
{
    struct crew *crew = calloc(1, sizeof *crew);
    if (!crew) return NULL;
    crew->needs = *needs;
    crew->needs.crew = crew;
    crew->needs.is_extra = is_extra;
    crew->needs.may_leave = may_leave;
    crew->needs.has_left = has_left;
    crew->needs.was_lost = was_lost;
    forked_watch();
    pthread_mutex_init(&crew->lock, NULL);
    pthread_mutex_init(&crew->list_lock, NULL);
    return crew;
}

static struct worker *worker_open(struct crew *crew, uint32_t number)
{
    struct worker *worker = aligned_alloc(64, sizeof *worker);
    if (worker) *worker = (struct worker){.needs = &crew->needs, .number = number, .meter = {.cpu_ns = clock_thread_ns}};
    return worker;
}

/* One that has decided to leave may be in the host's thread_close for long, and the host may hold a lock that it wants. */
static void join_if_gone(struct worker *worker)
{
    if (!worker->is_started || !atomic_load(&worker->is_gone)) return;
    pthread_join(worker->thread, NULL);
    worker->is_started = false;
}

static int worker_start(struct crew *crew, struct worker *worker, quern_error *err)
{
    char name[16];
    snprintf(name, sizeof name, "quern-work-%u", worker->number % 10000);
    worker->is_started = worker->is_alive = true;
    atomic_store(&worker->is_gone, false);
    atomic_fetch_add(&crew->alive, 1);
    if (!thread_start(&worker->thread, ROLE_WORKER, name, worker_run, worker)) return QUERN_OK;
    worker->is_started = worker->is_alive = false;
    has_left(crew, worker); /* the last real worker may have left meanwhile: done is closed by whoever counts to zero */
    return err_set(err, QUERN_E_MEMORY, "worker thread %u could not be started: is there a limit on threads?",
                   worker->number + 1);
}

static void add(struct crew_sums *sums, const struct worker *worker)
{
    sums->running += atomic_load_explicit(&worker->is_running, memory_order_relaxed);
    sums->jobs += counter_read(&worker->jobs);
    sums->run_ns += counter_read(&worker->run_ns);
}

/* Those of the list that are gone since: what they have done still counts. */
static void drop_gone(struct crew *crew)
{
    for (struct worker *at = crew->replaced; at; at = at->next) join_if_gone(at);
    pthread_mutex_lock(&crew->list_lock);
    for (struct worker **at = &crew->replaced, *gone; (gone = *at);) {
        if (gone->is_started) {
            at = &gone->next;
            continue;
        }
        add(&crew->past, gone);
        *at = gone->next;
        free(gone);
    }
    pthread_mutex_unlock(&crew->list_lock);
}

/* Under the lock: the one that is out goes to the list, where its numbers still count, and its place to the new one. */
static void give_place(struct crew *crew, struct worker *out, struct worker *in)
{
    drop_gone(crew);
    pthread_mutex_lock(&crew->list_lock);
    out->next = crew->replaced;
    crew->replaced = out;
    atomic_store(&crew->workers[out->number], in);
    pthread_mutex_unlock(&crew->list_lock);
}

/* Makes a place fit for a thread: the worker that has it, or a new one where there is none, or one that is still leaving. */
static struct worker *place_prepare(struct crew *crew, uint32_t number)
{
    struct worker *worker = atomic_load(&crew->workers[number]), *other;
    if (worker) join_if_gone(worker);
    if (worker && (!worker->is_started || worker->is_alive)) return worker;
    if (!(other = worker_open(crew, number))) return NULL;
    if (worker) {
        give_place(crew, worker, other);
    } else {
        atomic_store(&crew->workers[number], other);
        atomic_store(&crew->places, number + 1);
    }
    return other;
}

static int place_start(struct crew *crew, uint32_t number, quern_error *err)
{
    struct worker *worker = place_prepare(crew, number);
    if (!worker) return err_set(err, QUERN_E_MEMORY, "no memory for worker thread %u", number + 1);
    return worker->is_started ? QUERN_OK : worker_start(crew, worker, err);
}

static bool replace(struct crew *crew, struct worker *worker)
{
    struct worker *other = worker_open(crew, worker->number);
    if (!other || worker_start(crew, other, NULL)) {
        free(other);
        return false;
    }
    give_place(crew, worker, other);
    atomic_fetch_add(&crew->stuck, 1);
    atomic_store(&worker->is_replaced, true);
    return true;
}

static bool has_place(struct crew *crew, const struct worker *worker)
{
    uint32_t i = 0, places = atomic_load(&crew->places);
    while (i < places && atomic_load(&crew->workers[i]) != worker) i++;
    return i < places;
}

/* Whose handler returns just now may leave, and be gone: it is not looked into before it is known to have a place. */
bool crew_replace(struct crew *crew, struct worker *worker)
{
    pthread_mutex_lock(&crew->lock);
    bool may = has_place(crew, worker) && !ready_is_closed(crew->needs.ready) && worker->is_alive && !is_extra(crew, worker) &&
               atomic_load(&crew->stuck) < WORKERS_MAX;
    bool is_replaced = may && replace(crew, worker);
    pthread_mutex_unlock(&crew->lock);
    return is_replaced;
}

/* Its thread ends in this very call. Without another one there is one thread less. */
static void was_lost(void *given, struct worker *worker)
{
    struct crew *crew = given;
    pthread_mutex_lock(&crew->lock);
    bool may = !ready_is_closed(crew->needs.ready) && !is_extra(crew, worker);
    if (may && !replace(crew, worker))
        log_event(crew->needs.log, LOG_ERROR, "thread_lost", LOG_INT("worker", worker->number),
                  LOG_TEXT("why", "a handler has ended it, and no other could be started"));
    worker->is_alive = false;
    pthread_mutex_unlock(&crew->lock);
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

static void join(struct worker *worker)
{
    if (worker->is_started) pthread_join(worker->thread, NULL);
    worker->is_started = false;
}

void crew_join(struct crew *crew)
{
    for (uint32_t i = 0; i < atomic_load(&crew->places); i++) join(crew->workers[i]);
    for (struct worker *at = crew->replaced; at; at = at->next) join(at);
}

void crew_free(struct crew *crew)
{
    if (!crew) return;
    for (uint32_t i = 0; i < atomic_load(&crew->places); i++) free(crew->workers[i]);
    for (struct worker *at = crew->replaced, *next; at; at = next) {
        next = at->next;
        free(at);
    }
    pthread_mutex_destroy(&crew->lock);
    pthread_mutex_destroy(&crew->list_lock);
    free(crew);
}

void crew_read(struct crew *crew, struct crew_sums *sums)
{
    *sums = (struct crew_sums){.threads = atomic_load(&crew->wanted), .stuck = atomic_load(&crew->stuck)};
    pthread_mutex_lock(&crew->list_lock);
    sums->jobs = crew->past.jobs;
    sums->run_ns = crew->past.run_ns;
    for (uint32_t i = 0; i < atomic_load(&crew->places); i++) add(sums, atomic_load(&crew->workers[i]));
    for (struct worker *at = crew->replaced; at; at = at->next) add(sums, at);
    pthread_mutex_unlock(&crew->list_lock);
}
