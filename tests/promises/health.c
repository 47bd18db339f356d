/* SPDX-License-Identifier: MIT */

/* promises/health: a pool says that it is not well before anybody has to look at ages, why, and that it is well again. */
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

#include "support/mill.h"

/* Healthy; or not, with a reason. */
static bool is_healthy(struct mill *mill)
{
    char *text = quern_pool_stats(mill->pool);
    assert_non_null(text);
    json_t *stats = json_loads(text, 0, NULL);
    const json_t *healthy = json_object_get(stats, "healthy"), *why = json_object_get(stats, "unhealthy_because");
    assert_true(json_is_boolean(healthy));
    assert_true(json_is_true(healthy) ? json_is_null(why) : json_is_string(why) && json_string_length(why) > 0);
    bool is = json_is_true(healthy);
    json_decref(stats);
    quern_free(text);
    return is;
}

static void an_idle_and_a_paused_pool_are_healthy(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "lease_ms", "400", NULL); /* reads block 100 ms */
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "done") == 10 && mill_stat(mill, "jobs", "held") == 0);
    stays(is_healthy(mill), 1500);
    assert_int_equal(quern_pool_pause(mill->pool), QUERN_OK);
    wait_for(mill_stat(mill, "redis", "last_fetch_ms") > 1500); /* more than a read may take */
    assert_true(is_healthy(mill));
    assert_int_equal(quern_pool_resume(mill->pool), QUERN_OK);
    mill_stop(mill);
}

static void a_pool_whose_redis_says_nothing_is_unhealthy_until_it_does(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "lease_ms", "2000", NULL);
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "done") == 10 && is_healthy(mill));
    assert_int_equal(pidfd_send_signal(scene->redis.pidfd, SIGSTOP, NULL, 0), 0);
    wait_for(!is_healthy(mill));
    stays(!is_healthy(mill), 500);
    assert_int_equal(pidfd_send_signal(scene->redis.pidfd, SIGCONT, NULL, 0), 0);
    wait_for(is_healthy(mill));
    scene_publish(scene, 10, 10);
    wait_for(mill_has_seen(mill, 10, 10));
    mill_stop(mill);
}

static void a_pool_whose_redis_is_paused_is_unhealthy_until_it_goes_on(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "lease_ms", "2000", NULL);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 0, 2);
    wait_for(mill->inside == 2 && is_healthy(mill));
    redis_ask(&scene->redis, "CLIENT", "PAUSE", "4000", "WRITE");
    wait_for(!is_healthy(mill));
    wait_for(is_healthy(mill));
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "held") == 0 && mill_has_seen(mill, 0, 2));
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(an_idle_and_a_paused_pool_are_healthy),
        SCENE(a_pool_whose_redis_says_nothing_is_unhealthy_until_it_does),
        SCENE(a_pool_whose_redis_is_paused_is_unhealthy_until_it_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
