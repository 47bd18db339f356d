/* SPDX-License-Identifier: MIT */

/* inspect/outcome: what a job came to, as one who waits for it is told.
 * Idea       a record of the completed log and a dead letter become an object with the same members: what the one does not know
 *            is null.
 * Threads    any; nothing is shared. */
#ifndef QUERN_INSPECT_OUTCOME_H
#define QUERN_INSPECT_OUTCOME_H

#include <jansson.h>

#include "wire/entry.h"

/* One that was read. record: of a letter's data; owned. */
struct outcome {
    struct entry entry;
    json_t *record;
    quern_bytes id; /* the job's; lent until the outcome is closed, or the entry's reply goes. at NULL: it names none */
};

void outcome_read_done(struct outcome *outcome, const struct entry *entry);
/* Of another group's letter, id is not there. */
void outcome_read_dead(struct outcome *outcome, const struct entry *entry, const char *group);
void outcome_close(struct outcome *outcome);

/* The object, with that id. Gives (json_decref); NULL: no memory. */
json_t *outcome_object(const struct outcome *outcome);

/* Of a job that no record was seen of: "open", or "unknown" and why. */
json_t *outcome_without_record(const char *word, const char *id, const char *error);

#endif
