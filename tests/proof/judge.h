/* SPDX-License-Identifier: MIT */

/* proof/judge: what one job's history says about the promises (../shared/VERIFICATION §2.1, I1 to I12).
 * Idea       a job's leases in the order in which they were taken. A job comes to a further lease only because an earlier one
 *            has let go of it: its owner moved it (retry, give back), or its process died, or it was not renewed for a lease, or
 *            somebody has deleted a group. Each earlier lease explains one later one. What cannot be explained so was run twice
 *            for no reason.
 * Invariant  times are bounds: what is called wrong is wrong whatever happened between question and answer. */
#ifndef QUERN_TESTS_PROOF_JUDGE_H
#define QUERN_TESTS_PROOF_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "proof/load.h"

enum invariant { I1 = 1, I2, I3, I4, I5, I6, I7, I8, I9, I10, I11, I12, I13, I14, INVARIANTS };

/* What is in Redis at the end, of a job. */
struct ending {
    uint8_t letters; /* dead letters of its */
    uint8_t reason;  /* enum reason, of the last one */
    uint8_t retries;
};

enum reason { REASON_NONE, REASON_RETRIES, REASON_TIMEOUT, REASON_REJECTED, REASON_POISON, REASON_MALFORMED, REASON_OTHER };

/* What was found over all jobs. */
struct findings {
    uint64_t violations[INVARIANTS];
    uint64_t published, uncertain, never_published, done, dead, excused; /* jobs */
    uint64_t starts, again_by_move, again_by_crash, again_by_lapse, again_by_deletion;
    uint64_t vanished; /* jobs whose entries were deleted while they were pending, after the faults, and that have not ended */
    uint32_t vanished_last; /* one of them */
    uint64_t refused;       /* settles of late owners */
    uint64_t refused_renewals;
    uint64_t ambiguous, duplicates, poisoned, malformed, timeouts, rejected, exhausted, answers[128];
    unsigned most_deliveries, most_retries, most_starts;
    uint64_t *recoveries_ns; /* from a process's end to the next lease of what it held */
    size_t recovery_count, recovery_size;
    uint64_t *quiet_ns; /* the same, where no other fault came between */
    size_t quiet_count, quiet_size;
};

void judge_job(const struct histories *histories, uint32_t job, const struct ending *ending, struct findings *findings);

/* Says what is wrong, with the job's history, as far as not too much was said. */
void judge_wrong(struct findings *findings, enum invariant which, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prints all that happened to a job. */
void judge_tell(const struct histories *histories, uint32_t job);

#endif
