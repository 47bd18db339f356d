/* SPDX-License-Identifier: MIT */

/* promises/neighbours: what befalls one queue of a pool costs the others nothing: they are read, renewed, settled, tried again and left. */
#include <string.h>

#include "config/config.h"
#include "pool/pool.h"
#include "support/desk.h"
#include "support/reload.h"

#define BOTH "[\"a\", \"b\"]"

static void plant(struct scene *scene, const char *key)
{
    redis_ask(&scene->redis, "DEL", key);
    redis_ask(&scene->redis, "SET", key, "planted");
}

/* The first queue's answer to each settlement is a refusal, before there is a job of the second. */
static void one_that_cannot_be_settled_keeps_no_job_of_another(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "queues", BOTH, "completed_max", "1000", NULL);
    plant(scene, "a:g:settles");
    desk_fill(scene, "a", 0, 1);
    wait_for(mill_lines(mill, "WRONGTYPE"));
    desk_fill(scene, "b", 1, 1);
    wait_for(redis_number(&scene->redis, "XLEN", "b:g:completed") == 1);
    assert_int_equal(redis_pending(&scene->redis, "b", "g"), 0);
    assert_int_equal(redis_pending(&scene->redis, "a", "g"), 1);
    redis_ask(&scene->redis, "DEL", "a:g:settles");
    wait_for(mill_stat(mill, "jobs", "done") == 2);
    mill_stop(mill);
    assert_true(mill_has_seen_once(mill, 0, 2));
}

/* Both are refused, the second one only for a while. */
static void one_that_stays_refused_keeps_none_that_is_not_any_more(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "queues", BOTH, "completed_max", "1000", NULL);
    plant(scene, "a:g:settles");
    plant(scene, "b:g:settles");
    desk_fill(scene, "b", 0, 1);
    wait_for(redis_info(&scene->redis, "errorstats", "errorstat_WRONGTYPE:count") >= 1);
    desk_fill(scene, "a", 1, 1);
    wait_for(redis_info(&scene->redis, "errorstats", "errorstat_WRONGTYPE:count") >= 3);
    redis_ask(&scene->redis, "DEL", "b:g:settles");
    wait_for(redis_number(&scene->redis, "XLEN", "b:g:completed") == 1);
    redis_ask(&scene->redis, "DEL", "a:g:settles");
    wait_for(mill_stat(mill, "jobs", "done") == 2);
    mill_stop(mill);
}

/* Another pool would take the second one's job, were its lease not renewed. */
static void one_that_cannot_be_renewed_costs_no_other_its_leases(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "queues", BOTH, "lease_ms", "600", NULL);
    mill->is_shut = true;
    mill_started(mill);
    desk_fill(scene, "a", 0, 1);
    desk_fill(scene, "b", 1, 1);
    wait_for(mill->inside == 2);
    plant(scene, "a");
    struct mill *other = mill_run(scene, "stream", "b", "lease_ms", "600", "reap_ms", "100", NULL);
    wait_for(mill_lines(mill, "WRONGTYPE"));
    stays(other->started == 0, 2500);
    redis_ask(&scene->redis, "DEL", "a");
    mill->is_shut = false;
    wait_for(mill->ended == 2 && redis_pending(&scene->redis, "b", "g") == 0);
    mill_stop(other);
    mill_stop(mill);
    assert_int_equal(other->started, 0);
}

/* When the connection is made again, the chore that was refused is due again. */
static void one_whose_chores_are_refused_keeps_no_retry_of_another(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "queues", BOTH, "retry_base_ms", "1", "reap_ms", "100", "backoff_ms", "1500", NULL);
    mill->verdict = QUERN_RETRY;
    mill_started(mill);
    plant(scene, "a:g:delayed");
    wait_for(mill_lines(mill, "WRONGTYPE"));
    desk_fill(scene, "b", 0, 1);
    wait_for(mill->ended == 1);
    mill->verdict = QUERN_DONE;
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    redis_ask(&scene->redis, "DEL", "a:g:delayed");
    mill_stop(mill);
}

static void one_that_is_gone_at_the_end_is_no_reason_to_stay_in_another(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "queues", BOTH, NULL);
    mill->is_shut = true;
    mill_started(mill);
    desk_fill(scene, "b", 0, 1);
    wait_for(mill->inside == 1);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "b:g:retry"), 1);
    quern_pool_stop(mill->pool);
    wait_for(mill_stat(mill, NULL, "stopping") == 1);
    redis_ask(&scene->redis, "DEL", "a", "a:g:retry");
    mill->is_shut = false;
    mill_stop(mill);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "b:g:retry", "b:g:reaper"), 0);
}

/* The first one's is taken, given back as its event is paused, and would be the next again. */
static void one_whose_lonely_job_is_paused_lets_that_of_another_run(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "queues", BOTH, NULL);
    redis_ask(&scene->redis, "SADD", "a:g:paused", "held");
    redis_ask(&scene->redis, "XADD", "a:g:alone", "*", "event", "held", "data", "0", "quern_entry", "1-0");
    mill_started(mill);
    wait_for(mill_lines(mill, "event=runs_alone") == 1);
    redis_ask(&scene->redis, "XADD", "b:g:alone", "*", "event", "job", "data", "1", "quern_entry", "1-0");
    for (int taken = 1; mill->ended == 0; taken++) {
        long long calls = redis_calls(&scene->redis, "evalsha");
        wait_for(mill->ended ||
                 redis_calls(&scene->redis, "evalsha") >= calls + 8); /* both were looked at, and wait for the gate */
        atomic_store(&mill->pool->gate.rest_ns, 0);                   /* a minute each time */
        wait_for(mill->ended || mill_lines(mill, "event=runs_alone") > taken);
        assert_true(taken < 4);
    }
    assert_int_equal(mill->seen[1], 1);
    redis_ask(&scene->redis, "DEL", "a:g:paused");
    mill_stop(mill);
}

/* How many of b have started before all of a had. */
enum { IN_A = 1500 };
struct race {
    _Atomic int from_a, from_b, early;
};

static quern_verdict run_race(quern_job *job, void *thread, void *user)
{
    struct race *race = user;
    (void)thread;
    if (quern_job_stream(job).at[0] == 'a') {
        atomic_fetch_add(&race->from_a, 1);
    } else {
        atomic_fetch_add(&race->from_b, 1);
        atomic_fetch_add(&race->early, atomic_load(&race->from_a) < IN_A);
    }
    return QUERN_DONE;
}

/* Each group has a connection of its own. */
static void in_order_also_across_groups(void **state)
{
    struct scene *scene = *state;
    static struct race race;
    struct mill *mill =
        mill_new(scene, "queues", "[{\"stream\": \"a\", \"group\": \"g\"}, {\"stream\": \"b\", \"group\": \"h\"}]", "threads",
                 "1", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = run_race, .user = &race});
    desk_fill(scene, "a", 0, IN_A);
    desk_fill(scene, "b", IN_A, IN_A);
    mill_start(mill);
    wait_for(race.from_a == IN_A && race.from_b == IN_A);
    assert_in_range(race.early, 0, 1); /* one may be fetched while it is not known whether there are others */
    mill_stop(mill);
}

/* The second one's group is made again under a job that runs, and its queue is paused: its lease cannot be read again. */
static void what_is_owed_by_one_is_not_read_from_another(void **state)
{
    enum { JOBS = 1500 };
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "queues", BOTH, "prefetch_ms", "100", NULL);
    mill->is_shut = true;
    mill_started(mill);
    desk_fill(scene, "b", 0, 1);
    wait_for(mill->inside == 1);
    redis_ask(&scene->redis, "SADD", "b:g:paused", "*");
    wait_for(mill_lines(mill, "events_paused") == 1);
    redis_ask(&scene->redis, "XGROUP", "DESTROY", "b", "g");
    wait_for(redis_number(&scene->redis, "XINFO", "CONSUMERS", "b", "g") >= 0 && mill_lines(mill, "event=group_made_again"));
    mill->work_us = 20000;
    desk_fill(scene, "a", 1, JOBS);
    mill->is_shut = false;
    wait_for(mill->ended > 5);
    stays(redis_pending(&scene->redis, "a", "g") < 400, 1500);
    mill->work_us = 0;
    redis_ask(&scene->redis, "DEL", "b:g:paused");
    wait_for(mill->ended >= JOBS + 1);
    mill_stop(mill);
}

static void a_reload_that_means_other_queues_is_refused(void **state)
{
    struct scene *scene = *state;
    static const char queues[] = "[\"a\", \"app.events\", \"b\"]";
    struct mill *mill = mill_new(scene, "queues", queues, NULL);
    mill->config->stream_is_given = false; /* a mill names it */
    mill_started(mill);
    quern_config *config = mill_config(mill, "queues", queues, NULL);
    config->stream_is_given = true;
    config_on(config, &(quern_handler){.event = "*", .run = mill_grind, .user = mill});
    assert_int_equal(mill_reload(mill, config), QUERN_E_CONFIG);
    if (!strstr(mill->error.text, "stream: set now")) fail_msg("%s", mill->error.text);
    desk_fill(scene, "b", 0, 1);
    wait_for(mill->ended == 1);
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(one_that_cannot_be_settled_keeps_no_job_of_another),
        SCENE(one_that_stays_refused_keeps_none_that_is_not_any_more),
        SCENE(one_that_cannot_be_renewed_costs_no_other_its_leases),
        SCENE(one_whose_chores_are_refused_keeps_no_retry_of_another),
        SCENE(one_that_is_gone_at_the_end_is_no_reason_to_stay_in_another),
        SCENE(one_whose_lonely_job_is_paused_lets_that_of_another_run),
        SCENE(in_order_also_across_groups),
        SCENE(what_is_owed_by_one_is_not_read_from_another),
        SCENE(a_reload_that_means_other_queues_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
