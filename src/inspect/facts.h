/* SPDX-License-Identifier: MIT */

/* inspect/facts: what a server says of itself, read once: INFO, its clock, and what CONFIG GET tells, where that is allowed.
 * Idea       what judges a server (doctor_server) looks at these and asks nothing, so that a test makes up any server.
 * Threads    the caller's. */
#ifndef QUERN_INSPECT_FACTS_H
#define QUERN_INSPECT_FACTS_H

#include "inspect/faults.h"
#include "inspect/look.h"

struct facts {
    char *info; /* INFO's text; NULL: it may not be read */
    enum product product;
    bool has_version;
    struct version version;
    char version_text[24]; /* of the product, not of the Redis that it is like */
    /* CONFIG GET */
    bool has_config; /* else it is refused, and why_not says how */
    char why_not[200];
    bool has_snapshots; /* "save" is set */
    char appendfsync[16];
    int64_t timeout_s, min_replicas;
    /* measured */
    int64_t ahead_ms, unsure_ms; /* its clock before this machine's, as far as the way there lets it be known */
    int64_t round_trip_us, probes;
};

/* Waits for answers. Only what no server refuses fails; then nothing is to be closed. */
int facts_read(struct look *look, struct facts *facts, quern_error *err) QUERN_MUST_USE;
/* The same without what takes time to be measured. */
int facts_ask(struct look *look, struct facts *facts, quern_error *err) QUERN_MUST_USE;
void facts_close(struct facts *facts);

/* Reads product and version out of facts->info. */
void facts_take_info(struct facts *facts);

/* "Redis" or "Valkey". */
const char *facts_product(const struct facts *facts);

#endif
