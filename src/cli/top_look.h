/* SPDX-License-Identifier: MIT */

/* cli/top_look: what quern top has seen at one moment.
 * Idea       the queue is asked of Redis, this machine of its processes' journals (both are the library's): either may fail, and
 *            the other is shown all the same. What a thread uses is seen between two looks at the machine.
 * Threads    main; the queue's text may come from another. */
#ifndef QUERN_CLI_TOP_LOOK_H
#define QUERN_CLI_TOP_LOOK_H

#include <jansson.h>

#include "quern.h"

struct sight {
    json_t *queue;     /* as quern_queue_stats() says; NULL: why */
    json_t *processes; /* a list of {pid, consumer, stopping, jobs (how many)}; NULL: not looked yet */
    json_t *jobs;      /* of all of them: as quern_machine_jobs() says, each also with pid, consumer and cpu_percent */
    json_t *used;      /* what each thread had used then, in ms, by "pid:thread" */
    int64_t at_ms;     /* when */
    char why[sizeof((quern_error *)0)->text], why_no_machine[sizeof((quern_error *)0)->text]; /* "": it was seen */
};

/* Takes the answer of quern_queue_stats(), or with NULL the reason in err. */
void sight_of_queue(struct sight *sight, const char *answer, const quern_error *err);

/* It is not known yet. */
void sight_of_no_queue(struct sight *sight);

/* Looks at the machine; what was seen of it before is compared and given up. */
void sight_of_machine(struct sight *sight, const quern_config *config);

/* All of it as one object: {queue, error, jobs, processes}. Gives; NULL: no memory. */
json_t *sight_object(const struct sight *sight);

void sight_close(struct sight *sight);

#endif
