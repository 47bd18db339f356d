/* SPDX-License-Identifier: MIT */

/* blame/journal: which jobs run, written where it outlives the process.
 * Idea       a small mapped file with a place for every slot. A worker writes its job there before the handler starts and wipes it
 *            after: a few plain stores, no system call. Whoever finds the file when the process is gone knows what ran in it.
 * Invariant  a process that lives holds a lock on its file, which a fork does not inherit; and its name says which process it is, for
 *            a handler may close our descriptors, and the lock with them.
 *            While it lives, others of the same user may look on (journal_runs).
 * Threads    start, end: the worker that runs the job, or whoever finishes it · name: a signal handler, on any thread ·
 *            the rest: owner.
 * Never      holds a payload, or anything that is secret. */
#ifndef QUERN_BLAME_JOURNAL_H
#define QUERN_BLAME_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "job/board.h"
#include "job/source.h"
#include "quern.h"
#include "wire/entry.h"

enum record_state {
    RECORD_EMPTY,
    RECORD_RUNS,
    RECORD_NAMED /* the hook was called on the thread that ran it */
};

struct record {
    _Atomic uint32_t state;
    uint32_t origin, deliveries;
    int32_t signal; /* of a named one; negative: it called exit(-signal - 1) */
    struct entry_id entry;
    struct board_place board __attribute__((aligned(64))); /* for those who look on while it runs */
} __attribute__((aligned(64)));

enum journal_state {
    JOURNAL_RUNS = 1,
    JOURNAL_STOPS, /* it was told to stop, and may have been killed because that took long */
    JOURNAL_LEAVES /* it was told to leave: what ran is nobody's fault */
};

enum { JOURNAL_WORD = 512, JOURNAL_TRACE = 4096, JOURNAL_SOURCES = 32 };

/* A queue that its process worked for. */
struct journal_source {
    char stream[JOURNAL_WORD + 1], group[JOURNAL_WORD];
};

/* The file: a head, the records, and behind them a trace, which may be longer than was meant. */
struct journal_head {
    char magic[8];
    uint32_t version, count;
    _Atomic uint32_t state;
    uint32_t alone_after; /* after how many deliveries without an outcome a job runs alone; 0: never */
    char boot[64];        /* which boot of the machine it was */
    char redis[JOURNAL_WORD], consumer[JOURNAL_WORD]; /* where it works, and as whom */
    uint32_t source_count;                            /* what it works for, in the order of the records' origins */
    struct journal_source sources[JOURNAL_SOURCES];
};

struct journal {
    struct journal_head *head;
    struct record *records;
    const char *trace; /* at most JOURNAL_TRACE bytes, up to NUL: written by whoever was named, a line per frame */
    size_t bytes;
    char *path;
    pid_t owner;
    int fd, trace_fd; /* fd holds the lock */
};

struct journal_words {
    const char *redis, *consumer;
    const struct source *sources; /* at most JOURNAL_SOURCES */
    uint32_t source_count;
    uint32_t alone_after;
};

/* Makes a file in dir, or at path where that is given. Gives; NULL: it cannot be made, err says why. */
struct journal *journal_open(const char *dir, const char *path, const struct journal_words *words, uint32_t count,
                             quern_error *err);
/* It is told to stop. Any thread. NULL is allowed. */
void journal_stops(struct journal *journal);
/* The process leaves of its own will, or because it was told to. Any thread, also in a signal handler. */
void journal_leaves(struct journal *journal);
/* Removes the file. NULL is allowed. */
void journal_close(struct journal *journal);

static inline void journal_start(struct journal *journal, uint32_t index, uint32_t origin, struct entry_id entry,
                                 uint32_t deliveries)
{
    struct record *record = &journal->records[index];
    record->origin = origin;
    record->deliveries = deliveries;
    record->entry = entry;
    atomic_store_explicit(&record->state, RECORD_RUNS,
                          memory_order_release); /* last: what is read by another process is whole */
}

/* NULL is allowed. */
static inline void journal_end(struct journal *journal, uint32_t index)
{
    if (!journal) return;
    atomic_store_explicit(&journal->records[index].state, RECORD_EMPTY, memory_order_release);
}

/* ── reading one that is left over ───────────────────────────────────────────────────────────────────────────────── */

/* The path of a new journal of this process in dir; malloc'd, NULL: no memory. */
char *journal_path(const char *dir);
/* Is the process that a file of this name belongs to gone, as far as its name tells? false also: it is no journal's name. */
bool journal_is_orphan(const char *name);
/* Which process a file of this name belongs to, if that one lives and is not the calling one; 0: none. Closing a file of our own
 * would give up the lock on it. */
pid_t journal_pid(const char *name);

/* Maps a file for reading; waits for nothing. takes_lock: only if nobody holds it. Gives; NULL: it is not there, not whole, or held. */
struct journal *journal_read(const char *path, bool takes_lock);
/* Is it a journal that another version of quern has left behind, which nobody here can read? */
bool journal_is_outdated(const char *path);
/* Was it begun for one of these queues, there? One is enough: a list of queues may have become longer or shorter since, and what is
 * left over of another one is left over no less. */
bool journal_is_of(const struct journal *journal, const struct journal_words *words);
/* Was it begun in this boot of the machine? What a file held when that went down need not be what was last written. */
bool journal_is_of_this_boot(const struct journal *journal);
/* What runs in a record of a process that lives; false: nothing. */
bool journal_runs(const struct record *record, struct board_row *row);
/* Only unmaps. */
void journal_drop(struct journal *journal);

#endif
