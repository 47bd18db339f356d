/* SPDX-License-Identifier: MIT */
#include "blame/judge.h"

#include "blame/journal.h"
#include "job/source.h"

struct case_facts judge_facts(const struct journal *journal)
{
    struct case_facts facts = {.was_to_end = atomic_load(&journal->head->state) == JOURNAL_LEAVES,
                               .is_vague =
                                   atomic_load(&journal->head->state) == JOURNAL_STOPS || !journal_is_of_this_boot(journal)};
    for (uint32_t i = 0; i < journal->head->count; i++) {
        uint32_t state = atomic_load(&journal->records[i].state);
        facts.running += state != RECORD_EMPTY;
        facts.is_named |= state == RECORD_NAMED;
    }
    return facts;
}

enum blame judge(const struct case_facts *facts, const struct record *record)
{
    if (facts->was_to_end) return BLAME_UNSTARTED;
    if (!record) return facts->running || facts->is_vague ? BLAME_UNSTARTED : BLAME_NEAR;
    bool is_only_one = facts->running == 1 && !facts->is_vague;
    bool is_it = facts->is_named ? atomic_load(&record->state) == RECORD_NAMED : is_only_one;
    if (is_it) return origin_lane(record->origin) == LANE_ALONE ? BLAME_ALONE : BLAME_CERTAIN;
    return facts->is_named ? BLAME_BESIDE : BLAME_SUSPECT;
}
