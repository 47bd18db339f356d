/* SPDX-License-Identifier: MIT */

/* proof/campaign: what the parts of the campaign's own process share: its settings, the server's ear, its dice.
 * Threads    one. */
#ifndef QUERN_TESTS_PROOF_CAMPAIGN_H
#define QUERN_TESTS_PROOF_CAMPAIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "proof/ask.h"
#include "proof/plan.h"

enum { MS = 1000000 };

struct settings {
    double per_s, proxy_per_s;   /* faults */
    uint64_t lasts_ms, drain_ms; /* with faults; and at most without */
    bool keeps, is_durable;
    const char *only; /* of the faults: those whose names are in this text; NULL: all */
};

extern struct settings settings;
extern struct plan *plan;
extern struct asker asker; /* to the server itself, past the proxy */
extern char folder[100];

/* Fills settings and the plan's numbers; ends the process where they are wrong. */
void options_read(int argc, char **argv, struct plan *made);

uint64_t campaign_dice(uint64_t sides);
void campaign_rest_ms(long ms);
_Noreturn void campaign_fail(const char *what);

#endif
