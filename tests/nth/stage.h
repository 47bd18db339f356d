/* SPDX-License-Identifier: MIT */

/* tests/nth/stage: small scenes that are played thousands of times, and what must be true after each.
 * Idea       a scene is a few jobs, each with a plan ("RD": retry, then done), and a pool of one thread that ends them, or a publisher.
 *            It is played once with a fault; then, if anything is left, once more without any, when all that was pending has lost
 *            its lease: then nothing may be left. Before, between and after Redis is asked where each job is: by other means than the
 *            library's, in one step (stage.c, ledger).
 * Checked    each job is at one place, or has ended, once, as its plan says; it was started as often as its plan says, and again only
 *            where it was left unsettled by a pool that had gone; a call that fails says why; threads and descriptors are as before.
 * Threads    the test's; handlers run on the pool's. */
#ifndef QUERN_TESTS_NTH_STAGE_H
#define QUERN_TESTS_NTH_STAGE_H

#include <pthread.h>
#include <quern.h>
#include <stdatomic.h>

#include "support/redis.h"

enum { STAGE_JOBS = 8, STAGE_WORDS = 4000 };

struct stage_job {
    char id[40];
    const char *plan; /* per attempt: D done, R retry, X dead, L retry in a millisecond; H, S: see scenes.c */
    _Atomic int starts, ends;
    int allowed; /* starts */
};

/* Where a job is: copies that wait, are pending or delayed; records of its end. */
struct stage_place {
    int copies, done, dead;
};

struct stage {
    struct redis *redis;
    const struct scene *scene;
    quern_config *config;
    quern_pool *pool;
    struct stage_job jobs[STAGE_JOBS];
    int count;
    _Atomic bool is_let_go;                               /* what waits in a handler goes on */
    _Atomic int closings;                                 /* closing jobs of batches that have run */
    bool is_without_fault, is_second, has_acted, has_met; /* met: the fault has happened */
    quern_error error;
    char wrong[600]; /* the first thing that was; "": nothing */
    pthread_mutex_t lock;
    char words[STAGE_WORDS]; /* the last lines of its log; under lock */
    size_t words_len;
};

struct scene {
    const char *name;
    const char *keys[24];              /* of the configuration, with their values */
    const char *plans[STAGE_JOBS];     /* of jobs that lie in the stream when it begins */
    void (*prepare)(struct stage *);   /* more that lies there; NULL: nothing */
    void (*act)(struct stage *);       /* instead of running a pool */
    void (*meanwhile)(struct stage *); /* while it runs, again and again; NULL: nothing happens */
    bool (*is_over)(struct stage *);   /* besides that no job is left */
    void (*judge)(struct stage *);     /* instead of looking where each job is */
    bool stops_at_once;                /* does not wait until no job is left */
    bool loses_leases;                 /* by what happens meanwhile */
};

/* Told before and behind each call of the library that the test's thread makes; NULL: nobody is. */
extern void (*stage_inside)(bool is_inside);
/* Told when faults are over. */
extern void (*stage_calm)(void);

extern const struct scene scenes[];
extern const size_t scene_count;

/* Plays it on an empty server; what is wrong is in stage->wrong. */
void stage_open(struct stage *stage, struct redis *redis, const struct scene *scene);
void stage_play(struct stage *stage);
void stage_close(struct stage *stage);

/* For scenes, around what they call; of what is wrong the first is kept. */
void stage_enter(void);
void stage_leave(void);
void stage_wrong(struct stage *stage, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct stage_job *stage_add(struct stage *stage, const char *id, const char *plan);
struct stage_place stage_find(struct stage *stage, const char *id);

#endif
