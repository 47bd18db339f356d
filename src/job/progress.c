/* SPDX-License-Identifier: MIT */

/* What a handler tells of how far it is; see job/board. */
#include "job/board.h"
#include "job/slot.h"

void quern_job_progress(quern_job *job, double percent, const char *note)
{
    if (job->board) board_tell(job->board, slot_generation(job), percent, note);
}

bool slots_tell(struct slots *slots, uint64_t ticket, double percent, const char *note)
{
    struct quern_job *job = slots_named(slots, ticket);
    if (!job) return false;
    if (job->board) board_tell(job->board, (uint32_t)(ticket >> 32), percent, note);
    return true;
}
