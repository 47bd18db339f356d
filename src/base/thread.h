/* SPDX-License-Identifier: MIT */

/* base/thread: how a thread of quern's begins.
 * Idea       every thread has a role and a name, blocks all signals (they are the host's), and registers with RCU through the
 *            hooks of whoever starts it. ONLY(role) at a function's door asserts in debug builds who may call it. */
#ifndef QUERN_BASE_THREAD_H
#define QUERN_BASE_THREAD_H

#include <assert.h>
#include <pthread.h>

enum thread_role {
    ROLE_HOST, /* any thread that is not ours */
    ROLE_DISPATCHER,
    ROLE_WORKER,
    ROLE_SETTLER,
    ROLE_HEARTBEAT,
    ROLE_REAPER,
    ROLE_NOTICES
};

/* Starts run(arg) on a thread named name (at most 15 bytes). 0: started; else an errno. */
int thread_start(pthread_t *thread, enum thread_role role, const char *name, void (*run)(void *arg), void *arg);

/* The calling thread goes before all others of this machine that compute, where that is allowed; it must seldom run, and briefly. */
void thread_hurry(void);

/* The role of the calling thread. */
enum thread_role thread_role(void);

#define ONLY(role) assert(thread_role() == (role))

#endif
