/* SPDX-License-Identifier: MIT */

/* proof/load: the histories of a campaign, in memory, and by job.
 * Idea       the files are mapped as they are. Each job's records are found by a counting sort, then put into the order of time.
 * Invariant  what a process has written after its death was recorded cannot be: its last record is older than its death. */
#ifndef QUERN_TESTS_PROOF_LOAD_H
#define QUERN_TESTS_PROOF_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proof/history.h"
#include "proof/plan.h"

struct process {
    char role;
    unsigned number, instance;
    const struct record *records;
    size_t count;
    uint64_t last_ns, died_ns; /* died_ns 0: its death was not seen */
    int status;                /* as wait() has it */
    uint64_t unix_ns;          /* what Unix time is ahead of its clock */
    long running;              /* handlers that had begun and not ended when it did */
};

struct event {
    const struct record *record;
    const struct process *process;
};

struct span_ns {
    uint64_t from, to;
};

struct histories {
    const struct plan *plan;
    struct process *processes;
    size_t process_count;
    uint32_t job_count; /* jobs are 0 to this */
    struct event *events;
    size_t *first;             /* of each job: where its events begin; one more at the end */
    struct span_ns *destroyed; /* when a group or the stream was deleted */
    size_t destroyed_count;
    uint64_t *fault_ns; /* all of them, in order */
    size_t fault_count;
    uint64_t faults[64];          /* how often each was thrown */
    uint64_t calm_ns, drained_ns; /* 0: never */
};

/* false: something is missing, and was said. */
bool load(struct histories *histories, const char *folder);
void unload(struct histories *histories);

/* Was a group or the stream deleted at some time between? */
bool load_is_destroyed_between(const struct histories *histories, uint64_t from_ns, uint64_t to_ns);

/* Has it ended otherwise than in order? */
bool load_has_crashed(const struct process *process);

#endif
