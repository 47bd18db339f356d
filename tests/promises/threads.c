/* SPDX-License-Identifier: MIT */

/* promises/threads: the number of threads changes while jobs run; what a thread opened is closed on that thread. */
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/mill.h"

static void threads_come_and_go_without_losing_or_doubling_a_job(void **state)
{
    enum { JOBS = 2000, ROUNDS = 40 };
    static const unsigned counts[] = {8, 1, 3, 16, 2, 1, 8, 5};
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "threads", "1", NULL);
    for (int round = 0; round < ROUNDS; round++) {
        unsigned count = counts[round % 8];
        atomic_store(&mill->work_us, round % 3 * 300);
        scene_publish(scene, round * JOBS / ROUNDS, JOBS / ROUNDS);
        assert_int_equal(quern_pool_set_threads(mill->pool, count, &mill->error), QUERN_OK);
        assert_int_equal(mill_stat(mill, NULL, "threads"), count);
        wait_for(mill->ended >= round * JOBS / ROUNDS);
    }
    wait_for(mill_stat(mill, "jobs", "done") == JOBS);
    assert_true(mill_has_seen_once(mill, 0, JOBS));
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    mill_stop(mill);
}

static void as_many_jobs_run_at_once_as_there_are_threads(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "threads", "1", NULL);
    mill->is_shut = true;
    scene_publish(scene, 0, 20);
    wait_for(mill->inside == 1);
    stays(mill->inside == 1, 50);
    assert_int_equal(quern_pool_set_threads(mill->pool, 8, &mill->error), QUERN_OK);
    wait_for(mill->inside == 8);
    stays(mill->inside == 8, 50);
    assert_int_equal(quern_pool_set_threads(mill->pool, 1, &mill->error), QUERN_OK); /* waits for none of them */
    assert_int_equal(mill->inside, 8);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 20);
    mill->is_shut = true;
    scene_publish(scene, 20, 5);
    wait_for(mill->inside == 1);
    stays(mill->inside == 1, 50);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 25);
    assert_true(mill_has_seen_once(mill, 0, 25));
    mill_stop(mill);
}

/* A thread at brief jobs is thought to take the next one soon, so that nobody need be woken for it. This one does not. */
static void a_job_that_is_long_for_its_kind_keeps_no_other_waiting(void **state)
{
    enum { BRIEF = 3000 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "threads", "2", NULL);
    scene_publish(scene, 0, BRIEF);
    wait_for(mill_stat(mill, "jobs", "done") == BRIEF);
    mill->is_shut = true;
    scene_publish(scene, BRIEF, 1);
    wait_for(mill->inside == 1);
    scene_publish(scene, BRIEF + 1, 1);
    wait_for(mill->inside == 2);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == BRIEF + 2);
    mill_stop(mill);
}

/* ── a thread_close that takes long ──────────────────────────────────────────────────────────────────────────────── */

/* Two threads that have opened one context each; those that close stand still until is_open, or until a test that hangs is over. */
struct door {
    struct mill *mill;
    _Atomic bool is_open;
    _Atomic int closing, closed;
};

static int door_open(void **thread, void *user)
{
    *thread = user;
    return 0;
}

static void door_close(void *thread, void *user)
{
    struct door *door = user;
    (void)thread;
    atomic_fetch_add(&door->closing, 1);
    for (int64_t end_ms = wait_now_ms() + PATIENCE_MS; !atomic_load(&door->is_open) && wait_now_ms() < end_ms;) wait_breathe();
    atomic_fetch_add(&door->closed, 1);
}

static quern_verdict door_run(quern_job *job, void *thread, void *user)
{
    struct door *door = user;
    return mill_grind(job, thread, door->mill);
}

static void door_start(struct scene *scene, struct door *door, struct mill *mill)
{
    door->mill = mill;
    mill_on(mill, &(quern_handler){
                      .event = "*", .run = door_run, .thread_open = door_open, .thread_close = door_close, .user = door});
    mill_start(mill);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 0, 2);
    wait_for(mill->inside == 2);
}

static void who_leaves_slowly_is_not_waited_for_by_who_changes_the_number(void **state)
{
    struct door door = {0};
    struct mill *mill = mill_new(*state, NULL);
    door_start(*state, &door, mill);
    assert_int_equal(quern_pool_set_threads(mill->pool, 1, &mill->error), QUERN_OK);
    atomic_store(&mill->is_shut, false);
    wait_for(door.closing == 1);
    assert_int_equal(quern_pool_set_threads(mill->pool, 2, &mill->error), QUERN_OK);
    atomic_store(&mill->is_shut, true);
    scene_publish(*state, 2, 2);
    wait_for(mill->inside == 2);
    assert_int_equal(door.closed, 0);
    atomic_store(&mill->is_shut, false);
    atomic_store(&door.is_open, true);
    wait_for(door.closed == 1 && mill_stat(mill, "jobs", "done") == 4);
    mill_stop(mill);
    assert_true(door.closed == 3 && mill_has_seen_once(mill, 0, 4));
}

static void who_leaves_slowly_keeps_no_other_from_being_given_up(void **state)
{
    struct door door = {0};
    struct mill *mill = mill_new(*state, "timeout_ms", "100", "timeout_grace_ms", "50", "retry_limit", "0", NULL);
    door_start(*state, &door, mill);
    wait_for(mill->told[QUERN_NOTICE_STUCK] == 2);
    atomic_store(&mill->is_shut, false);
    wait_for(door.closing == 2);
    atomic_store(&mill->is_shut, true);
    scene_publish(*state, 2, 1);
    wait_for(mill->told[QUERN_NOTICE_STUCK] == 3 && mill_stat(mill, "jobs", "dead") == 3);
    assert_int_equal(door.closed, 0);
    atomic_store(&mill->is_shut, false);
    atomic_store(&door.is_open, true);
    mill_stop(mill);
}

static void a_number_of_threads_out_of_bounds_is_refused(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, NULL);
    assert_int_equal(quern_pool_set_threads(mill->pool, 0, &mill->error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_pool_set_threads(mill->pool, 1025, &mill->error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_pool_set_threads(NULL, 1, &mill->error), QUERN_E_ARGUMENT);
    assert_int_equal(mill_stat(mill, NULL, "threads"), 2);
    quern_pool_stop(mill->pool);
    assert_int_equal(quern_pool_join(mill->pool, PATIENCE_MS, &mill->error), QUERN_OK);
    assert_int_equal(quern_pool_set_threads(mill->pool, 3, &mill->error), QUERN_E_GONE);
    mill_stop(mill);
}

/* ── thread_open and thread_close ────────────────────────────────────────────────────────────────────────────────── */

struct desk {
    _Atomic int opened, closed, wrong, failing;
};

struct context {
    pthread_t thread;
    struct desk *desk;
};

static int desk_open(void **thread, void *user)
{
    struct desk *desk = user;
    if (atomic_load(&desk->failing)) return 1;
    struct context *context = malloc(sizeof *context);
    if (!context) return 1;
    *context = (struct context){pthread_self(), desk};
    atomic_fetch_add(&desk->opened, 1);
    *thread = context;
    return 0;
}

static void desk_close(void *thread, void *user)
{
    struct context *context = thread;
    struct desk *desk = user;
    if (!pthread_equal(context->thread, pthread_self()) || context->desk != desk) atomic_fetch_add(&desk->wrong, 1);
    atomic_fetch_add(&desk->closed, 1);
    free(context);
}

static quern_verdict desk_run(quern_job *job, void *thread, void *user)
{
    const struct context *context = thread;
    struct desk *desk = user;
    (void)job;
    if (!pthread_equal(context->thread, pthread_self()) || context->desk != desk) atomic_fetch_add(&desk->wrong, 1);
    burn_us(200);
    return QUERN_DONE;
}

static void put(struct scene *scene, const char *event, int n)
{
    for (int i = 0; i < n; i++) redis_ask(&scene->redis, "XADD", "jobs", "*", "event", event, "data", "1");
}

static void each_thread_opens_each_event_once_and_closes_it_itself(void **state)
{
    struct scene *scene = *state;
    struct desk desks[2] = {{0}, {0}};
    struct mill *mill = mill_new(scene, "threads", "3", NULL);
    for (int i = 0; i < 2; i++)
        mill_on(mill, &(quern_handler){.event = i ? "b" : "a",
                                       .run = desk_run,
                                       .thread_open = desk_open,
                                       .thread_close = desk_close,
                                       .user = &desks[i]});
    mill_start(mill);
    put(scene, "a", 200);
    wait_for(mill_stat(mill, "jobs", "done") == 200);
    assert_in_range(desks[0].opened, 1, 3);
    assert_int_equal(desks[1].opened, 0);
    put(scene, "b", 200);
    put(scene, "a", 100);
    wait_for(mill_stat(mill, "jobs", "done") == 500);
    assert_in_range(desks[0].opened, 1, 3);
    assert_in_range(desks[1].opened, 1, 3);
    assert_int_equal(desks[0].closed + desks[1].closed, 0);
    assert_int_equal(quern_pool_set_threads(mill->pool, 1, &mill->error), QUERN_OK);
    wait_for(desks[0].opened - desks[0].closed <= 1 && desks[1].opened - desks[1].closed <= 1);
    mill_stop(mill);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(desks[i].opened, desks[i].closed);
        assert_int_equal(desks[i].wrong, 0);
    }
}

static _Atomic int openings;

static int open_or_end(void **thread, void *user)
{
    (void)thread, (void)user;
    if (!atomic_fetch_add(&openings, 1)) pthread_exit(NULL);
    return 0;
}

static void a_thread_that_ends_while_it_opens_fails_the_job_and_is_replaced(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "1", "retry_base_ms", "0", NULL);
    atomic_store(&openings, 0);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind, .thread_open = open_or_end, .user = mill});
    mill_start(mill);
    put(scene, "job", 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(mill_stat(mill, "jobs", "retry"), 1);
    mill_stop(mill);
}

static void a_thread_that_cannot_open_fails_the_job_and_not_the_pool_and_tries_again(void **state)
{
    struct scene *scene = *state;
    struct desk good = {0}, bad = {.failing = 1};
    struct mill *mill = mill_new(scene, "threads", "1", "retry_limit", "-1", "retry_base_ms", "0", NULL);
    quern_handler handler = {.event = "good", .run = desk_run, .thread_open = desk_open, .thread_close = desk_close};
    handler.user = &good;
    mill_on(mill, &handler);
    handler.event = "bad";
    handler.user = &bad;
    mill_on(mill, &handler);
    mill_start(mill);
    put(scene, "bad", 1);
    put(scene, "good", 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1 && mill_stat(mill, "jobs", "retry") >= 3);
    wait_for(mill_lines(mill, "thread_open") >= 3);
    atomic_store(&bad.failing, 0);
    wait_for(mill_stat(mill, "jobs", "done") == 2);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g") + redis_pending(&scene->redis, "jobs:g:retry", "g"), 0);
    mill_stop(mill);
    assert_int_equal(bad.opened, 1);
    assert_int_equal(bad.closed, 1);
}

static void auto_is_at_most_the_cores_of_this_machine(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "threads", "auto", NULL);
    assert_in_range(mill_stat(mill, NULL, "threads"), 1, sysconf(_SC_NPROCESSORS_ONLN));
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(threads_come_and_go_without_losing_or_doubling_a_job),
        SCENE(as_many_jobs_run_at_once_as_there_are_threads),
        SCENE(a_job_that_is_long_for_its_kind_keeps_no_other_waiting),
        SCENE(who_leaves_slowly_is_not_waited_for_by_who_changes_the_number),
        SCENE(who_leaves_slowly_keeps_no_other_from_being_given_up),
        SCENE(a_number_of_threads_out_of_bounds_is_refused),
        SCENE(each_thread_opens_each_event_once_and_closes_it_itself),
        SCENE(a_thread_that_ends_while_it_opens_fails_the_job_and_is_replaced),
        SCENE(a_thread_that_cannot_open_fails_the_job_and_not_the_pool_and_tries_again),
        SCENE(auto_is_at_most_the_cores_of_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
