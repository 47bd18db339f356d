/* SPDX-License-Identifier: MIT */

/* promises/pools: pools are guests. They do not disturb each other, and leave nothing behind. */
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "support/mill.h"

static void two_pools_of_different_streams_do_not_disturb_each_other(void **state)
{
    enum { JOBS = 1000 };
    struct scene *scene = *state;
    struct mill *one = mill_run(scene, NULL), *two = mill_run(scene, "stream", "others", NULL);
    atomic_store(&two->is_shut, true);
    for (int i = 0; i < 50; i++) redis_ask(&scene->redis, "XADD", "others", "*", "event", "e", "data", "7");
    scene_publish(scene, 0, JOBS);
    wait_for(mill_stat(one, "jobs", "done") == JOBS && two->inside == 2);
    assert_true(mill_has_seen_once(one, 0, JOBS));
    mill_stop(one);
    atomic_store(&two->is_shut, false);
    wait_for(mill_stat(two, "jobs", "done") == 50);
    assert_int_equal(two->seen[7], 50);
    assert_int_equal(two->ended, 50);
    mill_stop(two);
}

static void three_pools_in_one_process_share_a_group(void **state)
{
    enum { JOBS = 3000, POOLS = 3 };
    struct scene *scene = *state;
    struct mill *mills[POOLS];
    for (int i = 0; i < POOLS; i++) mills[i] = mill_run(scene, NULL);
    scene_publish(scene, 0, JOBS);
    wait_for(mill_stat(mills[0], "jobs", "done") + mill_stat(mills[1], "jobs", "done") + mill_stat(mills[2], "jobs", "done") ==
             JOBS);
    for (int i = 0; i < JOBS; i++) assert_int_equal(mills[0]->seen[i] + mills[1]->seen[i] + mills[2]->seen[i], 1);
    for (int i = 0; i < POOLS; i++) mill_stop(mills[i]);
}

static int count_entries(const char *dir)
{
    int count = 0;
    DIR *at = opendir(dir);
    assert_non_null(at);
    while (readdir(at)) count++;
    closedir(at);
    return count;
}

static void grind_a_little(struct scene *scene, struct mill *mill, int number)
{
    mill_start(mill);
    scene_publish(scene, number, 20);
    wait_for(mill_stat(mill, "jobs", "done") == 20);
    assert_int_equal(quern_pool_set_threads(mill->pool, 4, &mill->error), QUERN_OK);
    mill_stop(mill);
}

static void pools_that_were_freed_leave_no_thread_and_no_descriptor_and_no_memory(void **state)
{
    enum { POOLS = 20, SLACK_BYTES = 64 * 1024 };
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    for (int i = 0; i < 3; i++) grind_a_little(scene, mill, 0);
    int threads = count_entries("/proc/self/task"), files = count_entries("/proc/self/fd");
    size_t bytes = mallinfo2().uordblks;
    for (int i = 0; i < POOLS; i++) grind_a_little(scene, mill, 0);
    wait_for(count_entries("/proc/self/task") == threads);
    assert_int_equal(count_entries("/proc/self/fd"), files);
    assert_in_range(mallinfo2().uordblks, 0, bytes + SLACK_BYTES); /* the log that the mill keeps grows by some lines */
}

static int ended(struct scene *scene)
{
    int sum = 0;
    for (int i = 0; i < MILLS && scene->mills[i]; i++) sum += scene->mills[i]->ended;
    return sum;
}

static void twenty_pools_at_once_are_possible(void **state)
{
    enum { POOLS = 20 };
    struct scene *scene = *state;
    for (int i = 0; i < POOLS; i++) mill_run(scene, "threads", "1", NULL);
    scene_publish(scene, 0, 2000);
    wait_for(ended(scene) == 2000);
    int seen_once = 0;
    for (int i = 0; i < POOLS; i++) mill_stop(scene->mills[i]);
    for (int n = 0; n < 2000; n++) {
        int seen = 0;
        for (int i = 0; i < POOLS; i++) seen += scene->mills[i]->seen[n];
        seen_once += seen == 1;
    }
    assert_int_equal(ended(scene), 2000);
    assert_int_equal(seen_once, 2000);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
}

static void a_pool_takes_no_signals_and_leaves_handlers_alone(void **state)
{
    struct scene *scene = *state;
    sigset_t before, after;
    struct sigaction term_before, term_after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    sigaction(SIGTERM, NULL, &term_before);
    struct mill *mill = mill_run(scene, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    sigaction(SIGTERM, NULL, &term_after);
    assert_true(term_before.sa_handler == term_after.sa_handler);
    for (int number = 1; number < SIGRTMIN; number++)
        assert_int_equal(sigismember(&before, number), sigismember(&after, number));
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(two_pools_of_different_streams_do_not_disturb_each_other),
        SCENE(three_pools_in_one_process_share_a_group),
        SCENE(pools_that_were_freed_leave_no_thread_and_no_descriptor_and_no_memory),
        SCENE(twenty_pools_at_once_are_possible),
        SCENE(a_pool_takes_no_signals_and_leaves_handlers_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
