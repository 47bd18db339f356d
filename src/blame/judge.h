/* SPDX-License-Identifier: MIT */

/* blame/judge: who has ended a process, by what its journal tells. Pure: no clock, no file, no connection.
 * Rule       a job is blamed only by evidence: the hook has named it, or nothing else ran. Where several ran and none is named, each
 *            is a suspect, and none is counted. Where one is named, those that ran beside it are innocent. Where the process was
 *            told to leave, nobody is to blame. Where it was told to stop, or the machine went down, only a name is evidence. */
#ifndef QUERN_BLAME_JUDGE_H
#define QUERN_BLAME_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

struct journal;
struct record;

enum blame {
    BLAME_UNSTARTED = 'u', /* goes back at no cost */
    BLAME_NEAR = 'n',    /* nothing ran, so it may be what one that had just ended left behind: goes back, and is remembered */
    BLAME_BESIDE = 'b',  /* it ran beside the one that is to blame: goes back; it was started once for nothing */
    BLAME_SUSPECT = 's', /* is to run alone, uncounted */
    BLAME_CERTAIN = 'c', /* is to run alone, and counted */
    BLAME_ALONE = 'a'    /* ran alone, and was counted when it started */
};

struct case_facts {
    uint32_t running;
    bool is_named;   /* one of them */
    bool was_to_end; /* the process was told to leave */
    bool is_vague;   /* it was told to stop, or the machine went down: that only one ran proves nothing */
};

struct case_facts judge_facts(const struct journal *journal);
/* record: NULL: the job is not in the journal. */
enum blame judge(const struct case_facts *facts, const struct record *record);

#endif
