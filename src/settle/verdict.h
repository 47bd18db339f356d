/* SPDX-License-Identifier: MIT */

/* settle/verdict: what is asked of Redis for a job that has ended. A pure function: no clock, no connection. */
#ifndef QUERN_SETTLE_VERDICT_H
#define QUERN_SETTLE_VERDICT_H

#include <stdbool.h>

#include "job/slot.h"

enum action {
    ACTION_ACK,     /* a plain XACK: finished, on a fresh lease, nothing to record */
    ACTION_DONE,    /* the owner-checked script: finished, but the lease is in doubt or there is a log to write */
    ACTION_RELEASE, /* the owner-checked script: back to the group's retry stream, at no cost */
    ACTION_LEAVE    /* nothing: it stays pending, counted and said */
};

struct verdict_facts {
    enum slot_outcome outcome;
    bool is_fresh, is_lost, keeps_log;
};

enum action verdict(const struct verdict_facts *facts);

#endif
