/* SPDX-License-Identifier: MIT */

/* promises/bound: no more than max_pending jobs wait for a group: publishing fails, waits, or buries the oldest, and says so. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/acl.h"
#include "support/desk.h"

static void publish_numbers(struct desk *desk, int from, int n)
{
    for (int i = from; i < from + n; i++) {
        char text[12];
        snprintf(text, sizeof text, "%d", i);
        if (PUBLISH(desk, text)) fail_msg("%d: %s", i, desk->error.text);
    }
}

static long long lag(struct scene *scene)
{
    return redis_number(&scene->redis, "XLEN", "jobs") - redis_pending(&scene->redis, "jobs", "g");
}

static void what_finds_no_room_is_refused_and_said(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "group", "g", "max_pending", "10", NULL);
    publish_numbers(desk, 0, 10);
    assert_int_equal(PUBLISH(desk, "10"), QUERN_E_FULL);
    assert_string_equal(desk->error.text, "no room: max_pending (10) jobs wait for group g");
    assert_int_equal(desk->receipt.code, QUERN_E_FULL);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), 10);
    assert_int_equal(PUBLISH(desk, "11", .delay_ms = 60000), QUERN_OK); /* what waits for its time is not counted */
    desk_close(desk);
}

/* What runs does not wait: as soon as a thread has taken one there is room. */
static void what_runs_is_not_counted(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "group", "g", "max_pending", "5", NULL);
    struct mill *mill = mill_new(scene, "prefetch_max", "1", "prefetch_ms", "0", NULL);
    mill->is_shut = true;
    mill_started(mill);
    publish_numbers(desk, 0, 2);
    wait_for(mill->inside == 2);
    publish_numbers(desk, 2, 5);
    wait_for(PUBLISH(desk, "7") == QUERN_E_FULL);
    mill->is_shut = false;
    wait_for(mill_stat(mill, "jobs", "held") == 0);
    publish_numbers(desk, 8, 5);
    mill_stop(mill);
    desk_close(desk);
}

static void a_batch_is_published_up_to_the_bound_and_keeps_its_order(void **state)
{
    enum { N = 400, ROOM = 150 };
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "group", "g", "max_pending", "150", "batch_size", "100", NULL);
    static quern_message messages[N];
    static quern_receipt receipts[N];
    for (int i = 0; i < N; i++) messages[i] = (quern_message){.size = sizeof *messages, .event = "job"};
    desk->publisher = quern_publisher_open(desk->config, &desk->error);
    assert_int_equal(quern_publish(desk->publisher, messages, N, receipts, &desk->error), QUERN_E_FULL);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), ROOM);
    for (int i = 0; i < N; i++) assert_int_equal(receipts[i].code == QUERN_OK, i < ROOM);
    for (int i = 1; i < ROOM; i++) assert_true(strcmp(receipts[i].entry, receipts[i - 1].entry) != 0);
    desk_close(desk);
}

/* ── block ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_blocking_publisher_waits_until_there_is_room(void **state)
{
    struct scene *scene = *state;
    struct desk *desk =
        desk_open(scene, "group", "g", "max_pending", "10", "on_max_pending", "block", "publish_ms", "45000", NULL);
    struct mill *mill = mill_run(scene, NULL);
    publish_numbers(desk, 0, 500);
    wait_for(mill_has_seen_once(mill, 0, 500) && mill_stat(mill, "jobs", "held") == 0);
    mill_stop(mill);
    desk_close(desk);
}

static void a_blocking_publisher_gives_up_when_its_time_is_over(void **state)
{
    struct scene *scene = *state;
    struct desk *desk =
        desk_open(scene, "group", "g", "max_pending", "3", "on_max_pending", "block", "publish_ms", "1500", NULL);
    publish_numbers(desk, 0, 3);
    int64_t from_ms = wait_now_ms();
    assert_int_equal(PUBLISH(desk, "3"), QUERN_E_FULL);
    assert_in_range(wait_now_ms() - from_ms, 1300, PATIENCE_MS);
    assert_non_null(strstr(desk->error.text, "publish_ms is over"));
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), 3);
    desk_close(desk);
}

/* publish_ms 0: who blocks does not wait for room, but who drops makes it, however many calls that takes. */
static void one_attempt_does_not_wait_for_room_but_makes_it(void **state)
{
    enum { N = 400 };
    static quern_message messages[N];
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "group", "g", "max_pending", "3", "on_max_pending", "block", "publish_ms", "0", NULL);
    publish_numbers(desk, 0, 3);
    int64_t from_ms = wait_now_ms();
    assert_int_equal(PUBLISH(desk, "3"), QUERN_E_FULL);
    assert_in_range(wait_now_ms() - from_ms, 0, 4500); /* not five seconds */
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), 3);
    desk_close(desk);
    desk = desk_open(scene, "group", "g", "max_pending", "3", "on_max_pending", "drop_oldest", "publish_ms", "0", NULL);
    for (int i = 0; i < N; i++) messages[i] = (quern_message){.size = sizeof *messages, .event = "job"};
    desk->publisher = quern_publisher_open(desk->config, &desk->error);
    if (quern_publish(desk->publisher, messages, N, NULL, &desk->error)) fail_msg("%s", desk->error.text);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), N); /* all but three */
    desk_close(desk);
}

/* ── drop ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void the_oldest_that_wait_are_buried_for_new_ones(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "group", "g", "max_pending", "10", "on_max_pending", "drop_oldest", NULL);
    publish_numbers(desk, 0, 25);
    assert_int_equal(desk->receipt.dropped, 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 15);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    struct mill *mill = mill_run(scene, NULL);
    wait_for(mill_has_seen_once(mill, 15, 10));
    assert_int_equal(mill->ended, 10);
    char *letters = quern_queue_dead(mill->config, 100, &desk->error);
    assert_non_null(letters);
    assert_non_null(strstr(letters, "\"reason\":\"dropped\""));
    assert_non_null(strstr(letters, "\"group\":\"g\""));
    quern_free(letters);
    const struct answer *letter = answer_at(answer_at(redis_ask(&scene->redis, "XRANGE", "jobs:failed", "-", "+"), 0), 1);
    assert_true(answer_is(answer_of(letter, "original:data"), "0"));
    assert_true(answer_is(answer_of(letter, "event"), "job"));
    mill_stop(mill);
    desk_close(desk);
}

/* As a smaller bound asks for. */
static void each_of_many_that_one_message_drops_has_a_letter_of_its_own(void **state)
{
    enum { WAIT = 30, MOST = 10 };
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "group", "g", "max_pending", "30", NULL);
    publish_numbers(desk, 0, WAIT);
    desk_close(desk);
    desk = desk_open(scene, "group", "g", "max_pending", "10", "on_max_pending", "drop_oldest", NULL);
    publish_numbers(desk, WAIT, 1);
    assert_int_equal(desk->receipt.dropped, WAIT - MOST + 1);
    const struct answer *list = redis_ask(&scene->redis, "XRANGE", "jobs:failed", "-", "+");
    assert_int_equal(list->count, WAIT - MOST + 1);
    for (size_t i = 0; i < list->count; i++) {
        const struct answer *id = answer_of(answer_at(answer_at(list, i), 1), "id");
        assert_int_equal(strlen(id->text), 36);
        for (size_t other = 0; other < i; other++)
            assert_string_not_equal(id->text, answer_of(answer_at(answer_at(list, other), 1), "id")->text);
    }
    desk_close(desk);
}

static void what_was_dropped_can_be_replayed(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "group", "g", "max_pending", "3", "on_max_pending", "drop_oldest", NULL);
    publish_numbers(desk, 0, 10);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 7);
    char *said =
        quern_queue_replay(desk->config, &(quern_replay){.size = sizeof(quern_replay), .reason = "dropped"}, 0, &desk->error);
    if (!said) fail_msg("%s", desk->error.text);
    if (!strstr(said, "\"replayed\":7")) fail_msg("%s", said);
    quern_free(said);
    struct mill *mill = mill_run(scene, NULL);
    wait_for(mill_has_seen_once(mill, 0, 10) && mill_stat(mill, "jobs", "done") == 10);
    mill_stop(mill);
    desk_close(desk);
}

/* What a thread holds is never dropped, nor is what another group has not read. */
static void what_is_held_and_other_groups_lose_nothing(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "group", "g", "max_pending", "5", "on_max_pending", "drop_oldest", NULL);
    struct mill *mill = mill_new(scene, "prefetch_max", "1", "prefetch_ms", "0", NULL);
    mill->is_shut = true;
    mill_started(mill);
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "other", "0");
    publish_numbers(desk, 0, 2);
    wait_for(mill->inside == 2);
    publish_numbers(desk, 2, 30);
    mill->is_shut = false;
    wait_for(mill_stat(mill, "jobs", "held") == 0 && lag(scene) >= 0 && mill_has_seen_once(mill, 30, 2));
    assert_true(mill_has_seen_once(mill, 0, 2));
    long long dead = redis_number(&scene->redis, "XLEN", "jobs:failed");
    assert_int_equal(mill->ended + dead, 32);
    struct mill *other = mill_run(scene, "group", "other", NULL);
    wait_for(mill_has_seen_once(other, 0, 32));
    mill_stop(mill);
    mill_stop(other);
    desk_close(desk);
}

static void dropping_does_not_go_with_unique_jobs(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "max_pending", "5", "on_max_pending", "drop_oldest", NULL);
    assert_int_equal(PUBLISH(desk, "1", .unique = "k"), QUERN_E_ARGUMENT);
    assert_non_null(strstr(desk->error.text, "on_max_pending drop_oldest"));
    desk_close(desk);
    desk = desk_open(scene, "max_pending", "5", "on_max_pending", "drop_oldest", "unique_by", "content", NULL);
    assert_int_equal(PUBLISH(desk, "1"), QUERN_E_CONFIG);
    assert_int_equal(strncmp(desk->error.text, "on_max_pending: drop_oldest does not go with unique jobs", 50), 0);
    desk_close(desk);
}

/* Redis does not know how many wait once somebody has deleted one that nobody had read. */
static void what_waits_is_counted_where_redis_has_lost_count(void **state)
{
    struct scene *scene = *state;
    acl_change(&scene->redis, "quern-producer", "+xrange");
    struct desk *desk = desk_open(scene, "group", "g", "max_pending", "100", NULL);
    publish_numbers(desk, 0, 90);
    redis_ask(&scene->redis, "XDEL", "jobs", desk->receipt.entry);
    publish_numbers(desk, 90, 11);
    assert_int_equal(PUBLISH(desk, "x1"), QUERN_E_ARGUMENT);
    assert_int_equal(PUBLISH(desk, "101"), QUERN_E_FULL);
    desk_close(desk);
}

/* ── what Redis does not know ────────────────────────────────────────────────────────────────────────────────────── */

/* A group that begins at the end of a long stream: what was there before does not wait for it. */
static void what_a_group_has_passed_over_does_not_wait_for_it(void **state)
{
    struct scene *scene = *state;
    scene_publish(scene, 0, 3000);
    struct desk *desk =
        desk_open(scene, "group", "g", "start", "$", "max_pending", "2000", "on_max_pending", "drop_oldest", NULL);
    quern_message messages[1500];
    for (int i = 0; i < 1500; i++) messages[i] = (quern_message){.size = sizeof *messages, .event = "job"};
    desk->publisher = quern_publisher_open(desk->config, &desk->error);
    assert_int_equal(quern_publish(desk->publisher, messages, 1500, NULL, &desk->error), QUERN_OK);
    assert_int_equal(PUBLISH(desk, "1"), QUERN_OK);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 0);
    desk_close(desk);
}

/* Large entries that Redis has lost count of: counted only as far as that is cheap, and nothing is dropped on a guess. */
static void nothing_is_dropped_where_the_count_is_not_known(void **state)
{
    enum { N = 200, SIZE = 10000 };
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "group", "g", "max_pending", "150", "on_max_pending", "drop_oldest", NULL);
    static char large[SIZE];
    memset(large, 'x', SIZE);
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    for (int i = 0; i < 100; i++)
        if (PUBLISH(desk, NULL, .data = {large, SIZE}, .is_raw = 1)) fail_msg("%s", desk->error.text);
    redis_ask(&scene->redis, "XDEL", "jobs", desk->receipt.entry);
    for (int i = 0; i < N; i++)
        if (PUBLISH(desk, NULL, .data = {large, SIZE}, .is_raw = 1)) fail_msg("%s", desk->error.text);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 0);
    desk_close(desk);
}

static void a_group_that_somebody_has_removed_is_made_again(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = desk_open(scene, "group", "g", "max_pending", "10", "on_max_pending", "drop_oldest", NULL);
    publish_numbers(desk, 0, 8);
    redis_ask(&scene->redis, "XGROUP", "DESTROY", "jobs", "g");
    quern_message messages[8];
    quern_receipt receipts[8];
    for (int i = 0; i < 8; i++) messages[i] = (quern_message){.size = sizeof *messages, .event = "job"};
    assert_int_equal(quern_publish(desk->publisher, messages, 8, receipts, &desk->error), QUERN_OK);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), 16);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 6);
    publish_numbers(desk, 8, 1);
    desk_close(desk);
}

/* Without a right that it needs the bound is not simply off; and what was written before the refusal is not said to be nowhere. */
static void without_its_rights_a_publisher_says_what_is_known(void **state)
{
    struct scene *scene = *state;
    struct redis *redis = &scene->redis;
    struct desk *desk = desk_open(scene, "group", "g", "max_pending", "10", NULL);
    acl_change(redis, "quern-producer", "-xinfo");
    assert_int_equal(PUBLISH(desk, "1"), QUERN_E_UNKNOWN);
    if (!strstr(desk->error.text, "can't run this command") && !strstr(desk->error.text, "xinfo"))
        fail_msg("%s", desk->error.text);
    assert_int_equal(redis_number(redis, "XLEN", "jobs"), 0);
    acl_change(redis, "quern-producer", "+xinfo");
    acl_change(redis, "quern-producer", "-set");
    assert_int_equal(PUBLISH(desk, "1"), QUERN_E_UNKNOWN);
    assert_int_equal(desk->receipt.code, QUERN_E_UNKNOWN);
    assert_int_equal(redis_number(redis, "XLEN", "jobs"), 1); /* once, for all that it did not learn so */
    acl_change(redis, "quern-producer", "+set");
    desk_close(desk);
}

/* As in the README. */
static void a_publisher_needs_no_more_rights_than_are_named(void **state)
{
    static const char *const rights[] = {"~jobs*",
                                         "+evalsha",
                                         "+eval",
                                         "+type",
                                         "+get",
                                         "+set",
                                         "+xadd",
                                         "+del",
                                         "+info",
                                         "+select",
                                         "+client|setname",
                                         "+client|id",
                                         /* once */ "+mget",
                                         /* a group, a bound */ "+xgroup|create",
                                         "+xinfo|stream",
                                         "+xinfo|groups",
                                         "+xrange",
                                         "+xlen",
                                         "+xreadgroup",
                                         "+xack",
                                         "+exists",
                                         /* later */ "+time",
                                         "+hset",
                                         "+zadd"};
    struct scene *scene = *state;
    struct redis *redis = &scene->redis;
    char url[160];
    redis_ask(redis, "ACL", "SETUSER", "producer", "on", ">secret", "resetkeys");
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) redis_ask(redis, "ACL", "SETUSER", "producer", rights[i]);
    snprintf(url, sizeof url, "unix://producer:secret@%s", redis->socket);
    struct desk *desk =
        desk_open(scene, "redis", url, "group", "g", "start", "$", "max_pending", "5", "on_max_pending", "drop_oldest", NULL);
    publish_numbers(desk, 0, 8);
    if (PUBLISH(desk, "1", .delay_ms = 60000)) fail_msg("%s", desk->error.text);
    assert_int_equal(redis_number(redis, "XLEN", "jobs:failed"), 3);
    desk_close(desk);
    desk = desk_open(scene, "redis", url, NULL);
    if (PUBLISH(desk, "1", .unique = "k")) fail_msg("%s", desk->error.text);
    if (PUBLISH(desk, "1")) fail_msg("%s", desk->error.text);
    desk_close(desk);
}

/* ── many at once ────────────────────────────────────────────────────────────────────────────────────────────────── */

enum { PUBLISHERS = 6 };

static void *push(void *given)
{
    struct desk *desk = given;
    quern_message message = {.size = sizeof message, .event = "job"};
    long full = 0;
    for (int i = 0; i < 100; i++) full += quern_publish(desk->publisher, &message, 1, NULL, NULL) == QUERN_E_FULL;
    return (void *)full;
}

static void many_publishers_together_do_not_pass_the_bound(void **state)
{
    struct scene *scene = *state;
    struct desk *desks[PUBLISHERS];
    pthread_t threads[PUBLISHERS];
    long refused = 0;
    for (int i = 0; i < PUBLISHERS; i++) {
        desks[i] = desk_open(scene, "group", "g", "max_pending", "250", NULL);
        desks[i]->publisher = quern_publisher_open(desks[i]->config, NULL);
        assert_int_equal(pthread_create(&threads[i], NULL, push, desks[i]), 0);
    }
    for (int i = 0; i < PUBLISHERS; i++) {
        void *full;
        pthread_join(threads[i], &full);
        refused += (long)full;
        desk_close(desks[i]);
    }
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), 250);
    assert_int_equal(refused, PUBLISHERS * 100 - 250);
}

struct waiter {
    pthread_t thread;
    struct desk *desk;
    int code;
    int64_t took_ms;
};

static void *wait_in_line(void *given)
{
    struct waiter *waiter = given;
    quern_message message = {.size = sizeof message, .event = "job"};
    int64_t from_ms = wait_now_ms();
    waiter->code = quern_publish(waiter->desk->publisher, &message, 1, NULL, NULL);
    waiter->took_ms = wait_now_ms() - from_ms;
    return NULL;
}

static void threads_that_share_a_publisher_wait_no_longer_than_they_may(void **state)
{
    enum { THREADS = 4, BUDGET_MS = 4000 };
    struct scene *scene = *state;
    struct desk *desk =
        desk_open(scene, "group", "g", "max_pending", "1", "on_max_pending", "block", "publish_ms", "4000", NULL);
    struct waiter waiters[THREADS];
    publish_numbers(desk, 0, 1);
    for (int i = 0; i < THREADS; i++) {
        waiters[i] = (struct waiter){.desk = desk};
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_in_line, &waiters[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_true(waiters[i].code == QUERN_E_FULL || waiters[i].code == QUERN_E_TIMEOUT);
        assert_in_range(waiters[i].took_ms, BUDGET_MS / 2, 2 * BUDGET_MS - 1); /* not one behind the other */
    }
    desk_close(desk);
}

static int open_for_dropping(void **state)
{
    int code = scene_open(state);
    acl_allow_dropping(&((struct scene *)*state)->redis);
    return code;
}

int main(void)
{
#define SCENE(test)    cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
#define DROPPING(test) cmocka_unit_test_setup_teardown(test, open_for_dropping, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(what_finds_no_room_is_refused_and_said),
        SCENE(what_runs_is_not_counted),
        SCENE(a_batch_is_published_up_to_the_bound_and_keeps_its_order),
        SCENE(a_blocking_publisher_waits_until_there_is_room),
        SCENE(a_blocking_publisher_gives_up_when_its_time_is_over),
        DROPPING(one_attempt_does_not_wait_for_room_but_makes_it),
        DROPPING(the_oldest_that_wait_are_buried_for_new_ones),
        DROPPING(each_of_many_that_one_message_drops_has_a_letter_of_its_own),
        DROPPING(what_was_dropped_can_be_replayed),
        DROPPING(what_is_held_and_other_groups_lose_nothing),
        SCENE(dropping_does_not_go_with_unique_jobs),
        SCENE(what_waits_is_counted_where_redis_has_lost_count),
        DROPPING(what_a_group_has_passed_over_does_not_wait_for_it),
        DROPPING(nothing_is_dropped_where_the_count_is_not_known),
        DROPPING(a_group_that_somebody_has_removed_is_made_again),
        SCENE(without_its_rights_a_publisher_says_what_is_known),
        SCENE(a_publisher_needs_no_more_rights_than_are_named),
        SCENE(many_publishers_together_do_not_pass_the_bound),
        SCENE(threads_that_share_a_publisher_wait_no_longer_than_they_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
