/* SPDX-License-Identifier: MIT */

/* job/board: what runs here, and how far it is, where others can read it.
 * Idea       a place for every slot, apart from the job: whoever runs a job chalks up a copy of what it is, for the message
 *            itself is gone when its owner is done with it. The places lie in memory or, where a crash journal is kept, in its
 *            records: then other processes read them, too.
 * Invariant  turn is odd while somebody writes, and changes with each writing. Who reads copies all words between two looks at
 *            it, and begins anew if they differ: what was read is what one writer left. Every word is written after turn has
 *            become odd, and read before turn is looked at again: hence release and acquire on each, which cost nothing on x86.
 * Threads    start: the worker that is about to run the job · part, hand: likewise, or who takes it over · tell: whoever has the
 *            job · read: any, in any process. Readers change nothing, so no writer ever waits for one. Two writers can meet only
 *            where one is too late: who starts a job waits for it (a few stores), the others give way.
 * Never      takes memory, holds data of a job. */
#ifndef QUERN_JOB_BOARD_H
#define QUERN_JOB_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "quern.h"
#include "wire/entry.h"

enum { BOARD_TEXT = 64, BOARD_NOTE = 60, BOARD_UNKNOWN = -1 };

/* A thread as the kernel knows it. */
struct board_thread {
    int32_t number; /* 0: none */
    int32_t clock;  /* a clockid_t: its CPU time, for its own process */
    int64_t cpu_ns; /* what that had come to */
};

struct board_head {
    int64_t started_ns;         /* CLOCK_BOOTTIME */
    struct board_thread thread; /* cpu_ns: when it started */
    struct entry_id entry;
    uint32_t generation; /* of the slot; 0: nothing was ever written here */
    uint32_t retries;
    int16_t tenths;  /* of a percent; BOARD_UNKNOWN */
    bool is_pending; /* its handler has returned: it will be finished by its ticket */
    uint8_t event_len, id_len, note_len;
    uint16_t queue; /* which of its pool's */
};

/* Texts are cut at a whole character, and have no NUL behind them. As little as can be is written for a job: it may take a
 * microsecond. */
struct board_row {
    struct board_head is;
    char name[2 * BOARD_TEXT]; /* the event and, right behind it, the id */
    char note[BOARD_TEXT];
};

enum { BOARD_WORDS = sizeof(struct board_row) / sizeof(uint64_t) };

struct board_place {
    _Atomic uint64_t turn;
    _Atomic uint64_t words[BOARD_WORDS];
};
_Static_assert(sizeof(struct board_row) % sizeof(uint64_t) == 0, "a row is whole words");

/* count places. Gives (free); NULL: no memory. */
struct board_place *board_open(uint32_t count);

/* The calling thread, and what it has used. Two system calls. */
void board_here(struct board_thread *thread);
/* What a thread of this process has used by now; -1: it has ended, or there is none. */
int64_t board_cpu_ns(const struct board_thread *thread);

/* A job starts. Of head what it tells and how long its texts are is set here. */
void board_start(struct board_place *place, struct board_head *head, quern_bytes event, quern_bytes id);
/* It goes on without its thread, or on another. Nothing happens if the place is another job's by now. */
void board_part(struct board_place *place, uint32_t generation);
void board_hand(struct board_place *place, uint32_t generation, const struct board_thread *thread);
/* How far it is: percent as quern_job_progress() takes it; note NULL: the old one stays. */
void board_tell(struct board_place *place, uint32_t generation, double percent, const char *note);

/* false: nothing was written here, or somebody has not come to the end of his writing. */
bool board_read(const struct board_place *place, struct board_row *row);

static inline quern_bytes board_event(const struct board_row *row)
{
    return (quern_bytes){row->name, row->is.event_len};
}

static inline quern_bytes board_id(const struct board_row *row)
{
    return (quern_bytes){row->name + row->is.event_len, row->is.id_len};
}

static inline quern_bytes board_note(const struct board_row *row)
{
    return (quern_bytes){row->note, row->is.note_len};
}

#endif
