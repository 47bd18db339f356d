/* SPDX-License-Identifier: MIT */

/* tests/support/bulk: a publisher and a server for one test, and many messages at a time.
 * Threads    the test's. */
#ifndef QUERN_TESTS_SUPPORT_BULK_H
#define QUERN_TESTS_SUPPORT_BULK_H

#include "support/mill.h"
#include "support/proxy.h"

enum { BULK_NUMBER_SIZE = 8, BULK_MAX = 1000 };

struct bulk {
    struct redis redis;
    struct proxy *proxy; /* NULL: none yet */
    char proxy_url[140];
    quern_config *config;
    quern_publisher *publisher;
    quern_error error;
    quern_message messages[BULK_MAX];
    quern_receipt receipts[BULK_MAX];
    char numbers[BULK_MAX][BULK_NUMBER_SIZE];
};

/* A test's setup and teardown. */
int bulk_open(void **state);
int bulk_close(void **state);
#define BULK(test) cmocka_unit_test_setup_teardown(test, bulk_open, bulk_close)

void bulk_set(struct bulk *bulk, const char *key, const char *value);
/* From here on through a proxy. */
void bulk_use_proxy(struct bulk *bulk);

/* Publishes n to "jobs", whose data are the numbers from 0 on. Returns the code. */
int bulk_publish(struct bulk *bulk, size_t n);
/* They, and nothing else, are in the stream, in order, as their receipts say. */
void bulk_is_there(struct bulk *bulk, size_t n);

#endif
