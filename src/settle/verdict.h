/* SPDX-License-Identifier: MIT */

/* settle/verdict: what is asked of Redis for a job that has ended. Pure functions: no clock, no connection, no dice of their own. */
#ifndef QUERN_SETTLE_VERDICT_H
#define QUERN_SETTLE_VERDICT_H

#include <stdbool.h>

#include "job/slot.h"

enum action {
    ACTION_ACK,     /* a plain XACK: finished, on a fresh lease, nothing to record */
    ACTION_LOG,     /* the same, with a record in the completed log: one transaction */
    ACTION_DONE,    /* the owner-checked script: finished, but the lease is in doubt */
    ACTION_PASS,    /* the same without a log: acknowledged, though nobody has run it */
    ACTION_RETRY,   /* it failed, and is tried again */
    ACTION_RELEASE, /* it was not started: back to the group at no cost */
    ACTION_DEAD,    /* a dead letter */
    ACTION_FORGET,  /* nothing is to be asked: it was given up when it was read (at-most-once) */
    ACTIONS
};

struct verdict_facts {
    enum slot_outcome outcome;
    uint32_t retries;    /* failed attempts before this one */
    int64_t retry_limit; /* -1: for ever */
    bool is_fresh;       /* the lease (keep/lease) */
    bool is_lost;        /* the lease, or the entry itself */
    bool keeps_log;
    bool is_log_scripted; /* its records go by the script, whatever the lease */
    bool is_of_batch;     /* and is counted there, by the script */
    bool is_unpended;     /* read without becoming pending, from the stream that is never deleted from */
};

enum action verdict(const struct verdict_facts *facts);

/* Why a job of this outcome is dead, as its letter says; error: in words, where nobody has said more. */
struct verdict_reason {
    const char *name, *error;
};
struct verdict_reason verdict_reason(enum slot_outcome outcome);

/* How long it waits before it is tried again: what its handler asked for (after_ms, unless negative), else the policy's base, times
 * its factor for each retry so far, at most its maximum; half of it fixed and half by random. */
int64_t verdict_delay_ms(const struct policy *policy, uint32_t retries, int64_t after_ms, uint64_t random);

#endif
