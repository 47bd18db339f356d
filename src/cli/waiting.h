/* SPDX-License-Identifier: MIT */

/* cli/waiting: quern publish --wait: what was published is waited for, and shown.
 * Idea       of a single job its result alone is on standard output, byte for byte, for scripts; what else is to be said goes to
 *            standard error. Of several: a line of JSON each, in the order in which they were published.
 * Threads    main. */
#ifndef QUERN_CLI_WAITING_H
#define QUERN_CLI_WAITING_H

#include "cli/cli.h"

struct waiting {
    bool is_asked;
    int64_t ms; /* at most; -1: no limit */
    quern_waiter *waiter;
    quern_receipt *receipts; /* of several */
    size_t count, capacity;
    bool has_failed; /* no memory for one of them */
};

/* --wait_ms: how long, and that it is asked for. */
int waiting_take_ms(const struct verb_option *option, const char *value);

/* If it is asked for. Returns the exit status; EXIT_DONE, or the reason has been said. */
int waiting_open(struct waiting *waiting, const quern_config *config);
void waiting_close(struct waiting *waiting);

/* One of several. Does nothing if nobody waits. */
void waiting_add(struct waiting *waiting, const quern_receipt *receipt);

/* Waits, shows, and returns the exit status. */
int waiting_show_result(struct waiting *waiting, const quern_receipt *receipt);
int waiting_show_all(struct waiting *waiting);

#endif
