/* SPDX-License-Identifier: MIT */

/* cli/verdict: which side was the limit of a stretch of work, from what it cost each.
 * Idea       who is busy nearly all the time is the limit: the server's one thread, one thread of ours, the cores of this
 *            machine, whoever had them. If nobody is, server and process had turns, or the time went on the way between.
 *            CPU is counted in ticks of 10 ms: what took only a few of them tells nothing.
 * Threads    main; pure. */
#ifndef QUERN_CLI_VERDICT_H
#define QUERN_CLI_VERDICT_H

#include "cli/gauge.h"

enum limit { LIMIT_SHORT, LIMIT_SERVER, LIMIT_THREAD, LIMIT_PROCESS, LIMIT_MACHINE, LIMIT_TURNS, LIMIT_WAY };

/* Shares of the time that a stretch took. */
struct verdict {
    double server_busy;  /* of the thread that runs commands */
    double thread_busy;  /* of our busiest one; negative: not known */
    double process_busy; /* of all cores that we may use */
    enum limit limit;
};

struct verdict verdict_of(const struct gauge *gauge, int cores);

/* "short", "server", "thread", "process", "machine", "turns" or "way". */
const char *verdict_name(enum limit limit);

enum { VERDICT_SIZE = 256 };
/* In words, into text[VERDICT_SIZE]. */
void verdict_write(const struct verdict *verdict, const struct gauge *gauge, const struct gauge_server *server, char *text);

#endif
