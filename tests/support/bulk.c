/* SPDX-License-Identifier: MIT */
#include "support/bulk.h"

#include <stdio.h>
#include <stdlib.h>

void bulk_set(struct bulk *bulk, const char *key, const char *value)
{
    if (quern_config_set(bulk->config, key, value, &bulk->error)) fail_msg("%s", bulk->error.text);
}

int bulk_open(void **state)
{
    struct bulk *bulk = calloc(1, sizeof *bulk);
    assert_non_null(bulk);
    redis_start(&bulk->redis, NULL);
    bulk->config = quern_config_new();
    bulk_set(bulk, "redis", bulk->redis.url);
    bulk_set(bulk, "stream", "jobs");
    *state = bulk;
    return 0;
}

int bulk_close(void **state)
{
    struct bulk *bulk = *state;
    assert_int_equal(quern_publisher_close(bulk->publisher), QUERN_OK);
    quern_config_free(bulk->config);
    if (bulk->proxy) proxy_close(bulk->proxy);
    redis_end(&bulk->redis);
    free(bulk);
    return 0;
}

void bulk_use_proxy(struct bulk *bulk)
{
    char path[120];
    snprintf(path, sizeof path, "%s/proxy", bulk->redis.dir);
    snprintf(bulk->proxy_url, sizeof bulk->proxy_url, "unix://%s", path);
    bulk->proxy = proxy_open(path, bulk->redis.socket, NULL);
    assert_non_null(bulk->proxy);
    bulk_set(bulk, "redis", bulk->proxy_url);
}

int bulk_publish(struct bulk *bulk, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int len = snprintf(bulk->numbers[i], BULK_NUMBER_SIZE, "%zu", i % BULK_MAX);
        bulk->messages[i] =
            (quern_message){.size = sizeof(quern_message), .event = "job", .data = {bulk->numbers[i], (size_t)len}};
    }
    if (!bulk->publisher) bulk->publisher = quern_publisher_open(bulk->config, &bulk->error);
    assert_non_null(bulk->publisher);
    return quern_publish(bulk->publisher, bulk->messages, n, bulk->receipts, &bulk->error);
}

void bulk_is_there(struct bulk *bulk, size_t n)
{
    const struct answer *list = redis_ask(&bulk->redis, "XRANGE", "jobs", "-", "+");
    assert_int_equal(list->count, n);
    for (size_t i = 0; i < n; i++) {
        const struct answer *entry = answer_at(list, i), *fields = answer_at(entry, 1);
        assert_true(answer_is(answer_of(fields, "data"), bulk->numbers[i]));
        assert_true(answer_is(answer_of(fields, "id"), bulk->receipts[i].id));
        assert_true(answer_is(answer_at(entry, 0), bulk->receipts[i].entry));
        assert_int_equal(bulk->receipts[i].code, QUERN_OK);
    }
}
