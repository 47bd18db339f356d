/* SPDX-License-Identifier: MIT */
#include "support/feeder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 4 };

static void *feed(void *given)
{
    struct feeder *feeder = given;
    quern_publisher *publisher = quern_publisher_open(feeder->config, &feeder->error);
    int next = 0;
    while (publisher && !atomic_load(&feeder->is_ending) && next + AT_ONCE <= MILL_IDS) {
        char numbers[AT_ONCE][16];
        quern_message messages[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            size_t len = (size_t)snprintf(numbers[i], sizeof numbers[i], "%d", next + i);
            messages[i] = (quern_message){.size = sizeof messages[i], .event = "job", .data = {numbers[i], len}};
        }
        if (quern_publish(publisher, messages, AT_ONCE, feeder->receipts + next, &feeder->error)) break;
        next += AT_ONCE;
        atomic_store(&feeder->confirmed, next);
        wait_breathe();
    }
    atomic_store(&feeder->failed, !atomic_load(&feeder->is_ending));
    quern_publisher_close(publisher);
    return NULL;
}

void feeder_start(struct feeder *feeder, struct mill *mill)
{
    static const char *const keys[] = {"redis", "stream"};
    memset(feeder, 0, sizeof *feeder);
    feeder->config = quern_config_new();
    assert_non_null(feeder->config);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char *value = quern_config_get(mill->config, keys[i]);
        assert_int_equal(quern_config_set(feeder->config, keys[i], value, &feeder->error), QUERN_OK);
        quern_free(value);
    }
    assert_int_equal(quern_config_set(feeder->config, "publish_ms", "30000", &feeder->error), QUERN_OK);
    assert_int_equal(quern_config_set(feeder->config, "backoff_max_ms", "200", &feeder->error), QUERN_OK);
    assert_int_equal(pthread_create(&feeder->thread, NULL, feed, feeder), 0);
}

void feeder_stop(struct feeder *feeder)
{
    atomic_store(&feeder->is_ending, true);
    pthread_join(feeder->thread, NULL);
    quern_config_free(feeder->config);
    if (feeder->failed) fail_msg("after %d jobs: %s", feeder->confirmed, feeder->error.text);
}

/* Which of the jobs are in the stream, by number; their entries are those of the receipts. */
static void find(const struct feeder *feeder, struct redis *now, const char *stream, bool *is_there)
{
    char from[40] = "-";
    memset(is_there, 0, MILL_IDS * sizeof *is_there);
    for (size_t count = 1; count;) {
        const struct answer *page = redis_ask(now, "XRANGE", stream, from, "+", "COUNT", "500");
        count = page->kind == '*' ? page->count : 0;
        for (size_t i = 0; i < count; i++) {
            const struct answer *entry = answer_at(page, i);
            const char *id = answer_at(entry, 0)->text, *data = answer_of(answer_at(entry, 1), "data")->text;
            int number = data ? atoi(data) : -1;
            bool is_confirmed = number >= 0 && number < feeder->confirmed;
            if (is_confirmed && !strcmp(feeder->receipts[number].entry, id)) is_there[number] = true;
            snprintf(from, sizeof from, "(%s", id);
        }
    }
}

bool feeder_is_done(const struct feeder *feeder, const struct mill *mill, struct redis *now, const char *stream)
{
    static bool is_there[MILL_IDS];
    bool is_done = true;
    find(feeder, now, stream, is_there);
    for (int i = 0; i < feeder->confirmed; i++) is_done &= !is_there[i] || mill->seen[i];
    return is_done && redis_pending(now, stream, "g") == 0;
}

int feeder_account(const struct feeder *feeder, const struct mill *mill, struct redis *now, const char *stream)
{
    static bool is_there[MILL_IDS];
    int first = -1, last = -1, missing = 0, lost = 0;
    find(feeder, now, stream, is_there);
    for (int i = 0; i < feeder->confirmed; i++) {
        if (is_there[i]) continue;
        if (!missing++) first = i;
        last = i;
        if (mill->seen[i]) continue;
        lost++;
        print_message("job %d (%s) was confirmed, not carried over and not run: lost\n", i, feeder->receipts[i].entry);
    }
    print_message("%d confirmed, %d not carried over, %d of them lost\n", feeder->confirmed, missing, lost);
    if (missing && last - first + 1 != missing) fail_msg("what is missing is not what came last before the failover");
    return lost;
}
