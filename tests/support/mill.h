/* SPDX-License-Identifier: MIT */

/* tests/support/mill: a scene for one test: a private Redis, and pools whose handler counts what it runs.
 * Idea       a job's data is its number, and seen[number] how often it was run. What the handler does besides can be set while
 *            it runs: burn time, stand still behind a gate, give another verdict.
 * Threads    the scene belongs to the test; a mill's counters may be read at any time.
 * Never      leaves a pool or a server behind, also when the test failed. */
#ifndef QUERN_TESTS_SUPPORT_MILL_H
#define QUERN_TESTS_SUPPORT_MILL_H

#include <pthread.h>
#include <quern.h>
#include <stdatomic.h>

#include "support/redis.h"
#include "support/wait.h"

enum { MILLS = 24, MILL_IDS = 20000 };

struct mill {
    quern_config *config;
    quern_pool *pool;
    quern_error error;
    struct redis *redis;
    /* what the handler does */
    _Atomic int work_us; /* CPU per job */
    _Atomic int verdict;
    _Atomic bool is_shut; /* jobs wait inside until it is false */
    /* what it has done */
    _Atomic int started, ended, inside;
    _Atomic uint64_t ticket; /* of the last job, if the verdict is QUERN_PENDING */
    _Atomic unsigned char seen[MILL_IDS];
    /* what its pool has told */
    _Atomic int told[QUERN_NOTICE_ALL + 1]; /* by kind of notice */
    quern_notice last_job;                  /* under lock */
    pthread_mutex_t lock;
    char *lines; /* the log so far; under lock */
    size_t lines_len;
};

struct scene {
    struct redis redis;
    struct mill *mills[MILLS];
    quern_publisher *publisher;
    quern_config *publishing;
};

/* For cmocka: a scene with its server, which may have an AOF, or the password "swordfish". *state is the scene. */
int scene_open(void **state);
int scene_open_aof(void **state);
int scene_open_password(void **state);
int scene_open_with(void **state, const struct redis_options *options);
int scene_close(void **state);

/* A mill of stream "jobs", group "g", two threads, no handler yet; then keys and values of the configuration up to NULL. */
struct mill *mill_new(struct scene *scene, ...) __attribute__((sentinel));
void mill_set(struct mill *mill, const char *key, const char *value);
void mill_on(struct mill *mill, const quern_handler *handler);

/* The counting handler; user is the mill. */
quern_verdict mill_grind(quern_job *job, void *thread, void *user);

/* Starts the pool; with the counting handler for every event where none was named. */
void mill_start(struct mill *mill);

/* mill_new() with the counting handler, started. */
#define mill_run(scene, ...) mill_started(mill_new((scene), __VA_ARGS__))
struct mill *mill_started(struct mill *mill);

/* Stops, joins and frees the pool; each must succeed. */
void mill_stop(struct mill *mill);

/* A number of the pool's statistics: mill_stat(mill, "jobs", "done"); NULL for one at the top. */
long long mill_stat(struct mill *mill, const char *part, const char *name);

/* How many lines of the log hold these words. */
int mill_lines(struct mill *mill, const char *words);

/* The log so far is not looked at any more: it takes no memory. */
void mill_forget_lines(struct mill *mill);

/* Are the jobs from..from+n-1 all run at least once, or each once exactly? */
bool mill_has_seen(const struct mill *mill, int from, int n);
bool mill_has_seen_once(const struct mill *mill, int from, int n);

/* Publishes jobs of these numbers, event "job", to "jobs". */
void scene_publish(struct scene *scene, int from, int n);

/* Burns this thread's CPU. */
void burn_us(int64_t us);

#endif
