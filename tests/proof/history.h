/* SPDX-License-Identifier: MIT */

/* proof/history: what each process of a campaign has done, record by record.
 * Idea       a file per process, appended to by plain writes: what was written is in the kernel's hands, and survives a kill -9.
 *            What is about to be asked is written before it is sent, what came of it before anything else is done. So where the
 *            answer is missing, nobody knows; where the question is missing, it was not asked.
 * Invariant  a record is written whole: one write for one or many. Times are CLOCK_BOOTTIME, the same for all processes.
 * Threads    any.
 * Never      shares anything with the runtime: worker and checker agree by this header alone. */
#ifndef QUERN_TESTS_PROOF_HISTORY_H
#define QUERN_TESTS_PROOF_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#define NO_JOB UINT32_MAX

enum record_kind {
    RECORD_BEGIN = 1, /* job: the process; also: Unix time minus boot time, in ns */
    RECORD_READY,     /* a pool runs; job: descriptors, entry_seq: threads */
    RECORD_END,       /* it ends in order; likewise */
    /* a feeder's; also, of PUBLISHED: the job's id, by its hash */
    RECORD_PUBLISH,     /* is about to be */
    RECORD_PUBLISHED,   /* letter: n new, d it was there */
    RECORD_DUE,         /* and starts not before entry_ms, Unix */
    RECORD_UNPUBLISHED, /* it is certain that it is not there */
    RECORD_UNCERTAIN,   /* it may be there */
    /* a worker's: lane, entry and deliveries name the lease, total: deliveries of the job, retries: failed attempts */
    RECORD_LEASED, /* also: when it was asked for */
    RECORD_START,  /* its handler */
    RECORD_FINISH, /* letter: its verdict: d done, r retry, x dead, p pending */
    RECORD_SETTLE, /* letter: a plain acknowledgement, d done, r retry, g give back, x dead */
    RECORD_SETTLED, /* letter: the answer: d done, r moved, b buried, l lost, a ambiguous, e stuck, g gone; ? of a plain batch that
                       was not counted whole: this one or another */
    RECORD_RENEW,
    RECORD_RENEWED, /* letter: k kept, l lost, g gone */
    RECORD_SAID,    /* a log line; letter: enum saying, also: how many it is about */
    RECORD_POINT,   /* the process ends itself at a crash point, whose number is in letter */
    /* the campaign's and the proxy's */
    RECORD_SPAWN, /* job: the process, letter: its role */
    RECORD_DEATH, /* likewise; entry_seq: its status as wait() has it */
    RECORD_FAULT, /* letter: which (enum fault), entry_ms: how long, job: whom; lane 1: it is done, of those that are a command */
    RECORD_DELETED, /* the job's entry was deleted on purpose: it may be lost; letter: p it was pending */
    RECORD_CALM,    /* no more faults from here on */
    RECORD_DRAINED, /* nothing is left in Redis */
    RECORD_SEEN     /* the watcher's: another group was handed this job */
};

struct record {
    uint64_t at_ns, also, entry_ms;
    uint32_t entry_seq, job;
    uint16_t deliveries, total;
    uint8_t kind, lane, letter, retries;
};
_Static_assert(sizeof(struct record) == 40, "as in the files");

uint64_t history_now_ns(void);

/* The process's own, in folder/history; role and number name the file. false: it cannot be made. */
int history_open(const char *folder, char role, unsigned number, unsigned instance);

/* Fills at_ns and appends. A history that cannot be written ends the process: what it did then would not be known. */
void history_write(struct record *records, size_t count);
#define HISTORY(...) history_write(&(struct record){__VA_ARGS__}, 1)

#endif
