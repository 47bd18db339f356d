/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct start {
    enum thread_role role;
    void (*run)(void *arg);
    void *arg;
    char name[16];
};

static _Thread_local enum thread_role own_role = ROLE_HOST;

static void *begin(void *given)
{
    struct start start = *(struct start *)given;
    free(given);
    own_role = start.role;
    pthread_setname_np(pthread_self(), start.name);
    start.run(start.arg);
    return NULL;
}

int thread_start(pthread_t *thread, enum thread_role role, const char *name, void (*run)(void *arg), void *arg)
{
    struct start *start = malloc(sizeof *start);
    if (!start) return ENOMEM;
    *start = (struct start){.role = role, .run = run, .arg = arg};
    snprintf(start->name, sizeof start->name, "%s", name);
    sigset_t all, before; /* blocked before the thread exists: it inherits, and no signal slips in between */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread, NULL, begin, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) free(start);
    return failed;
}

void thread_hurry(void)
{
    struct sched_param lowest = {.sched_priority = sched_get_priority_min(SCHED_RR)};
    int failed = pthread_setschedparam(pthread_self(), SCHED_RR | SCHED_RESET_ON_FORK, &lowest);
    (void)failed; /* not allowed: then it takes its turn */
}

enum thread_role thread_role(void)
{
    return own_role;
}
