/* SPDX-License-Identifier: MIT */

/* publish/line: of many calls each has its turn, alone, or is told in time that it did not come. */
#include "support/peer.h"
#include "support/wait.h"

#include "publish/line.h"

/* ── turns ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum { THREADS = 4, TURNS = 5000 };

static struct line line;
static long taken; /* plain: the turn guards it */
static _Atomic long given_up;

/* Of some the time is over at once, or soon. */
static void *take_turns(void *unused)
{
    for (int i = 0; i < TURNS; i++) {
        if (line_enter(&line, i % 2 ? CLOCK_NEVER : clock_now_ns() + i % 8 * 10000)) {
            taken++;
            line_leave(&line);
        } else {
            atomic_fetch_add(&given_up, 1);
        }
    }
    return unused;
}

static void of_many_each_has_its_turn_alone_or_gives_up(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    line_open(&line);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, take_turns, NULL), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(taken + given_up, THREADS * TURNS);
    assert_in_range(given_up, 0, THREADS * TURNS / 2);
    line_close(&line);
}

/* ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum { CALLERS = 4, PUBLISH_MS = 1000, GOES_ON_MS = 10 * PUBLISH_MS };

static struct peer peer; /* large: not on a stack */
static quern_publisher *publisher;
static _Atomic bool is_back;

static int publish_one(quern_receipt *receipt)
{
    quern_message message = {.size = sizeof message, .event = "job"};
    return quern_publish(publisher, &message, 1, receipt, NULL);
}

/* One call after the other, each of which takes all of its time. */
static void *go_on(void *unused)
{
    for (int64_t from_ms = wait_now_ms(); !is_back && wait_now_ms() - from_ms < GOES_ON_MS;)
        if (publish_one(NULL) == QUERN_OK) break;
    return unused;
}

static void a_call_waits_no_longer_for_its_turn_than_for_redis(void **state)
{
    pthread_t threads[CALLERS];
    quern_error err;
    quern_receipt receipt = {0};
    quern_config *config = quern_config_new();
    (void)state;
    peer.serve = peer_listen; /* and says nothing */
    peer_start(&peer, "");
    assert_int_equal(quern_config_set(config, "redis", peer.address, &err), QUERN_OK);
    assert_int_equal(quern_config_set(config, "stream", "jobs", &err), QUERN_OK);
    assert_int_equal(quern_config_set(config, "publish_ms", "1000", &err), QUERN_OK);
    publisher = quern_publisher_open(config, &err);
    assert_non_null(publisher);
    for (int i = 0; i < CALLERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, go_on, NULL), 0);
    wait_for(peer.accepted > 0);
    int64_t longest_ms = 0;
    int code = 0;
    for (int i = 0; i < 3 && longest_ms < 4 * PUBLISH_MS; i++) {
        int64_t from_ms = wait_now_ms();
        code = publish_one(&receipt);
        if (wait_now_ms() - from_ms > longest_ms) longest_ms = wait_now_ms() - from_ms;
    }
    is_back = true;
    for (int i = 0; i < CALLERS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(code == QUERN_E_TIMEOUT || code == QUERN_E_CONNECT);
    assert_int_equal(receipt.code, code);
    assert_in_range(longest_ms, 0, 4 * PUBLISH_MS);
    assert_int_equal(quern_publisher_close(publisher), QUERN_OK);
    quern_config_free(config);
    peer_stop(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_many_each_has_its_turn_alone_or_gives_up),
        cmocka_unit_test(a_call_waits_no_longer_for_its_turn_than_for_redis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
