/* SPDX-License-Identifier: MIT */

/* proof/children: the processes of a campaign: they are started again when they end, until they are asked to.
 * Invariant  each start and each end is in the campaign's history.
 * Never      signals a process that it has not started. */
#ifndef QUERN_TESTS_PROOF_CHILDREN_H
#define QUERN_TESTS_PROOF_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
    char role; /* as in the names of histories: w worker, f feeder, p proxy, o watcher, s server */
    unsigned number, instance;
    pid_t pid; /* 0: it does not run */
    uint64_t stopped_until_ns;
    bool is_wanted; /* started again when it ends */
};

/* Before the first one: where this program lies are the others. */
void children_find_programs(void);
void children_add(char role, unsigned number);
struct child *children_find(char role, uint64_t number);
void children_tell(const struct child *child, int signal);

/* Who has ended is noted, and started again. */
void children_see(void);

/* Those that were stopped for long enough go on; at_once: all. */
void children_continue(bool at_once);

/* Asks all of a role to end (a feeder ends by the plan), and waits. false: some did not. */
bool children_end(char role, uint64_t patience_ms);
void children_kill_all(void);

/* Has any ended as none should? It was said. */
bool children_had_surprise(void);

/* kill -9, for some time nothing, and again. Returns when it answers. */
void children_kill_server(void);
void children_wait_for_server(void);

/* The checker's exit status; it says what it has found. */
int children_judge(void);

#endif
