/* SPDX-License-Identifier: MIT */

/* job/slot: the fixed table of what we hold. A slot is a job while it is held; its number travels through the queues.
 *
 *                    ┌───────────── malformed, released ─────────────┐
 *      FREE ──admit──▶ READY ──pop──▶ RUNNING ──verdict──▶ DONE ──settled──▶ FREE (generation + 1)
 *                                        └──▶ PENDING ──finish──▶ ┘
 *
 * Idea       one word {generation, marks, state} moved by compare-and-swap against one table of allowed moves. The table is the
 *            registry of leases: the heartbeat walks it; no hash table, no allocation per job.
 * Invariant  a slot is reserved before the read or claim that may fill it is sent, so no entry arrives without a place. A lease
 *            is (stream, entry, delivery count) and a slot its generation: never an entry's id alone.
 * Threads    reserve, unreserve, admit: dispatcher, reaper · end: workers · finish: any · free: settler ·
 *            lease_of, renewed, mark_lost: heartbeat. Each function says more. None waits. */
#ifndef QUERN_JOB_SLOT_H
#define QUERN_JOB_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "config/policy.h"
#include "job/board.h"
#include "job/message.h"
#include "job/source.h"
#include "quern.h"

enum slot_state { SLOT_FREE, SLOT_READY, SLOT_RUNNING, SLOT_PENDING, SLOT_DONE, SLOT_STATES };

/* Marks beside the state. */
enum slot_mark {
    SLOT_LOST = 1 << 8,       /* the lease is another's by now */
    SLOT_TICKET = 1 << 9,     /* a ticket was given out: it may be finished from elsewhere */
    SLOT_CLAIMED = 1 << 10,   /* somebody finishes it by ticket and writes its verdict */
    SLOT_SAID = 1 << 11,      /* that verdict is written */
    SLOT_PULLED = 1 << 13,    /* a thread of the host's runs it: finishing it is also its return */
    SLOT_RETURNED = 1 << 14,  /* and it has */
    SLOT_CANCELLED = 1 << 15, /* by an operator: its handler is told, and it is not tried again */
    SLOT_GONE = 1 << 12 /* its entry was deleted from the stream, or was never pending: nobody has its lease, nor ever will */
};

/* What became of a job here; decides what is asked of Redis. */
enum slot_outcome {
    OUTCOME_NONE,
    OUTCOME_DONE,
    OUTCOME_RETRY,
    OUTCOME_DEAD,
    OUTCOME_MALFORMED, /* the entry, or the data where JSON was asked for */
    OUTCOME_TOO_LARGE,
    OUTCOME_EXPIRED,
    OUTCOME_TIMEOUT,   /* a failed attempt that was past its timeout */
    OUTCOME_UNHANDLED, /* nobody here handles its event: a failed attempt */
    OUTCOME_UNWANTED,  /* likewise, and it is not to be tried again */
    OUTCOME_PASSED,    /* likewise, and it is not to be missed */
    OUTCOME_CANCELLED, /* by an operator */
    OUTCOME_POISON,    /* it has ended too many processes, or was handed out too often without an outcome */
    OUTCOME_RELEASED,  /* not started: back to the group at no cost */
    OUTCOME_POSTPONED, /* the same, but not at once: after delay_ms */
    OUTCOME_SEIZED,    /* its handler has outstayed its time: a ghost was settled in its place */
    OUTCOMES
};

enum { SLOT_LINE = 64 };

/* A place in the done queue's list; only queue/done looks inside. */
struct slot_link {
    void *opaque;
};

/* In order of who writes when: a cache line that a thread on another core has written takes a quarter of a microsecond to come over. So
 * what the dispatcher writes, what the worker writes and what hardly ever changes lie apart, and what is as it should be is not written. */
struct quern_job {
    _Alignas(SLOT_LINE) struct slot_link link;
    _Atomic uint64_t word; /* generation << 32 | marks | state */

    /* The lease: written while FREE, read by the heartbeat, which checks the word before and after. */
    _Atomic uint64_t entry_ms, entry_seq;
    _Atomic uint32_t deliveries; /* as Redis counts: half of the lease's name */
    _Atomic uint32_t origin;     /* which source and stream (job/source) */
    _Atomic int64_t born_ms;     /* Unix, by Redis's clock: when it came into its stream first */
    _Atomic uint64_t identity;   /* of the job: a hash of its id; the stream's ids may be given out anew */
    _Atomic int64_t granted_ns;  /* taken before the command that granted or renewed it was sent */

    /* The message: owned by whoever holds the job: dispatcher, worker, settler in turn. */
    _Alignas(SLOT_LINE) struct message message;
    struct span span;            /* keeps the reply's bytes */
    _Atomic int64_t admitted_ns; /* the dispatcher looks how long one has waited that is another's by then */

    /* How it runs: the worker's, then the settler's, who leaves it as slots_open() does. */
    _Alignas(SLOT_LINE) _Atomic int64_t deadline_ns; /* timeout_ms, or CLOCK_NEVER; written before its handler runs */
    _Atomic int64_t overdue_ns; /* and its grace: from then on the job may be seized; written last before the handler runs */
    void *runner;               /* the worker that runs it; written before overdue_ns */
    int64_t started_ns, ended_ns;
    int64_t cpu_ns;         /* that its handler took; -1: not measured */
    struct bill_line *line; /* its handler's, from when it was found; NULL: no handler has had it */
    enum slot_outcome outcome;

    /* Mostly as it was for the job before. */
    _Alignas(SLOT_LINE) struct policy policy; /* of its event; set before it runs or ends unrun */
    int64_t retry_after_ms;                   /* as its handler asked for; -1: it did not */

    /* The slot's own, set once. */
    _Alignas(SLOT_LINE) uint32_t index;
    uint32_t body_generation;
    struct quern_job *body;       /* of a ghost: the job it stands for */
    _Atomic int64_t *drain_ns;    /* the pool's: when drain is over, CLOCK_NEVER until a stop */
    const char *consumer;         /* the pool's name in the group; lent; NULL: it has none */
    const struct source *sources; /* the pool's; lent; NULL: it has none */
    int64_t depth_max;            /* of data that is parsed as JSON; 0: as deep as the parser can */
    struct board_place *board;    /* where others see what runs; NULL: nowhere, as for a ghost */

    /* What few jobs have. */
    _Alignas(SLOT_LINE) struct cap *cap; /* run/caps': it counts as running there; NULL: nowhere */
    struct keys *keys;                   /* queue/keys', as is the rest; under its lock, but for a look at key */
    _Atomic uint64_t key;                /* 0: none, or it is not at large, nor waits to be, any more */
    struct quern_job *next_at_large, *next_behind, *last_behind;
    struct quern_job *next_offered; /* run/pull's */
    struct quern_job *next_parked;  /* run/caps' */
    int64_t delay_ms;               /* until it is tried again: the settler's, or whose outcome is POSTPONED */
    bool is_unreadable;             /* the entry: there is no event, or no data, to show */
    bool is_gone;                   /* its entry is no longer in the stream: the fields are sent when it is put back */
    bool is_ambiguous;              /* an acknowledgement was sent and not answered */
    bool is_not_json;               /* the handler asked for JSON and there was none */
    struct json_t *json;
    struct slot_said {
        enum slot_outcome outcome;
        int64_t ended_ns;
        char *error; /* malloc'd, or NULL */
    } said;          /* the ticket's word: whoever claimed it writes here, for the handler may still write to the job itself */
    char *error;     /* malloc'd, or NULL */
    char *how;       /* malloc'd: how it ended its process before: a signal's name, then a line per frame; or NULL */
    char *result;    /* malloc'd, or NULL */
    size_t result_len;
};

/* How often Redis has handed the job out, this time included. */
static inline uint32_t job_deliveries(const struct quern_job *job)
{
    return job->message.deliveries_before + atomic_load_explicit(&job->deliveries, memory_order_relaxed);
}

/* Of which of the pool's queues it is. */
static inline uint32_t job_queue(const struct quern_job *job)
{
    return atomic_load_explicit(&job->origin, memory_order_relaxed) / LANES;
}

/* Mostly the one that the last job there had. Worker. */
static inline void slot_set_policy(struct quern_job *job, const struct policy *policy)
{
    if (memcmp(&job->policy, policy, sizeof *policy) != 0) job->policy = *policy;
}

/* Which job it is of those that its slot has held. Whoever holds it. */
static inline uint32_t slot_generation(const struct quern_job *job)
{
    return (uint32_t)(atomic_load_explicit(&job->word, memory_order_relaxed) >> 32);
}

/* Is it to run with nothing else beside it? */
static inline bool job_is_alone(const struct quern_job *job)
{
    return origin_lane(atomic_load_explicit(&job->origin, memory_order_relaxed)) == LANE_ALONE;
}

struct slots;

/* A table of count slots. drain_ns is lent for as long as it is open. Gives; NULL: no memory. */
struct slots *slots_open(uint32_t count, _Atomic int64_t *drain_ns);
/* What holds for all jobs of the table: what their owner is called and where they come from (lent for as long as it is open), how deep
 * their JSON may be.
 * Before there are threads. */
void slots_set_owner(struct slots *slots, const char *consumer, const struct source *sources, int64_t depth_max);
/* Where each of them is seen: the place of the first, and how far apart they are. Lent for as long as the table is open.
 * Likewise. */
void slots_set_board(struct slots *slots, struct board_place *first, size_t stride);
/* Every slot must be free. */
void slots_close(struct slots *slots);
uint32_t slots_count(const struct slots *slots);
struct quern_job *slots_at(struct slots *slots, uint32_t index);

/* Takes a free slot out of the table, still FREE; NULL: all are in use. Any thread. */
struct quern_job *slots_reserve(struct slots *slots);
/* Puts back what was reserved and not filled. */
void slots_unreserve(struct slots *slots, struct quern_job *job);
/* Jobs beside the table, all zero: they are aligned as those in it. Gives (free); NULL: no memory. */
struct quern_job *slots_loose(size_t count);
/* How many hold a job; a snapshot, by a walk over the table. */
uint32_t slots_held_count(struct slots *slots);
/* How many can be reserved; a snapshot. */
uint32_t slots_free_count(const struct slots *slots);

/* What a read tells about an entry. */
struct admission {
    uint32_t origin, deliveries;
    int64_t granted_ns, now_ns;
    bool is_unpended; /* it is in no pending list: nobody can take it, and nothing is to be renewed */
};
/* Fills the lease of a reserved slot; its message and span are set by the caller. */
void slot_lease(struct quern_job *job, const struct admission *admission);

/* Moves a job whose holder is the caller; false: the table or another mover forbids it (a bug if you are the holder). */
bool slot_move(struct quern_job *job, enum slot_state from, enum slot_state to);
enum slot_state slot_state(const struct quern_job *job);
bool slot_has(const struct quern_job *job, enum slot_mark mark);
/* Is its entry gone, as far as is known by now? Of a ghost: also if its body has heard of it since. */
bool slot_is_gone(const struct quern_job *job);
/* Has an operator cancelled it, as far as is known by now? Likewise. */
bool slot_is_cancelled(const struct quern_job *job);
/* Is its lease another's, as far as is known by now? Of a ghost: also if that of its body is. */
bool slot_is_lost(const struct quern_job *job);

/* The handler has returned; is_pending: it said QUERN_PENDING. Worker. */
enum slot_end {
    END_OURS,  /* the slot is DONE: the caller writes the outcome, then pushes it */
    END_SAID,  /* the slot is DONE: a ticket has written the outcome, the caller pushes it */
    END_THEIRS /* a ticket will end it: the caller touches it no more */
};
enum slot_end slot_end(struct quern_job *job, bool is_pending);

/* Tickets: slot and generation. */
uint64_t slot_ticket(struct quern_job *job);
/* The job a ticket names, claimed for the caller alone; NULL: too late. Any thread. */
struct quern_job *slots_claim(struct slots *slots, uint64_t ticket);
/* After its verdict is written. True: the slot is DONE and the caller pushes it; false: its handler still runs and the worker
 * will. */
bool slot_said(struct quern_job *job);
/* The ticket's word becomes the job's; the handler has returned by then. Whoever was told that the slot is DONE, before the push. */
void slot_merge(struct quern_job *job);

/* What the board says of a job that runs, or is pending, at this moment; false: none does. Any thread. */
bool slot_runs(struct quern_job *job, struct board_row *row);
/* The job a ticket names, while no verdict counts yet; NULL: too late. Nothing is claimed: it may end at any time. Any thread. */
struct quern_job *slots_named(struct slots *slots, uint64_t ticket);
/* Chalks up how far the job of a ticket is (job/board); false: too late. Any thread. */
bool slots_tell(struct slots *slots, uint64_t ticket, double percent, const char *note) QUERN_MUST_USE;

/* For a job that a thread of the host's runs: it is PULLED from before that thread gets it, and RUNNING until slots_return(), which whoever
 * finishes it calls last: then slot_end() is due. NULL: the ticket names none, or it has returned before. */
void slot_pull(struct quern_job *job);
struct quern_job *slots_return(struct slots *slots, uint64_t ticket);

/* Seizing: a job is taken from a handler that has outstayed its time, as by a ticket that it has not given out.
 * slot_seize(): true: no other verdict counts any more. Then either slot_said() is true (the handler has returned: the caller
 * writes the outcome and pushes the job) or it runs on: a ghost, which holds all that is needed to settle the job, is pushed in
 * its place, and the slot is freed when the handler returns. Reaper. */
bool slot_seize(struct quern_job *job, uint32_t generation);
/* Gives; the settler frees it by slots_free(). NULL: no memory, or as many as there are slots. The job must be seized. */
struct quern_job *slots_ghost(struct slots *slots, struct quern_job *job);
void slots_ghost_free(struct slots *slots, struct quern_job *ghost);
/* Ghosts that were not freed yet. */
uint32_t slots_ghost_count(const struct slots *slots);

/* After it was settled: drops what it holds, begins the next generation, makes it free. A ghost's body loses its lease. Settler. */
void slots_free(struct slots *slots, struct quern_job *job);

/* For the heartbeat: one consistent look at a slot that may move on at any time. */
struct lease {
    uint32_t generation, index, origin, deliveries;
    struct entry_id entry;
    int64_t granted_ns;
    uint64_t identity;
};
/* What a message's job is known by in a lease. */
uint64_t message_identity(const struct message *message);
/* false: nothing is held there. */
bool slot_look(struct quern_job *job, struct lease *lease);
/* The same, but false also where there is nothing to renew: the lease is lost, or the entry gone. */
bool slot_lease_of(struct quern_job *job, struct lease *lease);
/* Is this entry held in any slot, whoever has its lease by now? */
bool slots_hold(struct slots *slots, uint32_t origin, struct entry_id entry);
/* If it is still that lease: it was renewed at granted_ns. */
void slot_renewed(struct quern_job *job, uint32_t generation, int64_t granted_ns);
/* If it is still that lease: marks it GONE, or, unless the job has ended, LOST. True: it was, and was not marked before. */
bool slot_mark(struct quern_job *job, uint32_t generation, enum slot_mark mark);
/* If it is still that lease, granted when it was looked at: marks it LOST, unless the job has ended. Heartbeat: what Redis has answered
 * about an older grant says nothing about this one. */
bool slot_lose(struct quern_job *job, const struct lease *lease);

/* Entries that come again, after a group was made again or a failover. Dispatcher, who alone fills slots.
 * slots_find(): the slot that holds this entry and has not lost its lease; NULL: none.
 * slot_regrant(): a new lease of the same job's; false: it has moved on, or was lost, so the entry is to be admitted anew.
 * slot_supersede(): the entry's id is another job's by now: marked LOST, also if it has ended. True: it was held and not LOST before. */
struct quern_job *slots_find(struct slots *slots, uint32_t origin, struct entry_id entry, struct lease *lease);
bool slot_regrant(struct quern_job *job, uint32_t generation, uint32_t deliveries, int64_t granted_ns);
bool slot_supersede(struct quern_job *job, uint32_t generation);

#endif
