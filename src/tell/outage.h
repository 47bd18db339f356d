/* SPDX-License-Identifier: MIT */

/* tell/outage: one line per outage, one on return, however many connections break.
 * Threads    any. */
#ifndef QUERN_TELL_OUTAGE_H
#define QUERN_TELL_OUTAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "quern.h"

struct log;
struct notices;

struct outage {
    struct log *log;
    struct notices *notices;
    _Atomic int links_down;
    _Atomic int64_t count;    /* outages so far */
    _Atomic int64_t since_ns; /* of the present one */
    _Atomic int64_t back_ns;  /* when the last one ended */
};

/* For a link's callbacks; user is the struct outage. */
void outage_down(void *outage, const quern_error *why);
void outage_up(void *outage);

/* Is the end of a connection that was opened then part of an outage that has been told, and is over? */
bool outage_is_known(void *outage, int64_t opened_ns);

#endif
