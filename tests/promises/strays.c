/* SPDX-License-Identifier: MIT */

/* promises/strays: a connection may break at any moment; what its lost answers left in our name is found again. */
#include <stdio.h>

#include "support/mill.h"
#include "support/proxy.h"

struct street {
    struct scene *scene;
    struct proxy *proxy;
    char socket[120];
};

/* A mill that reaches its Redis through a proxy. */
static struct mill *through_proxy(struct scene *scene, struct street *street)
{
    char url[140];
    street->scene = scene;
    snprintf(street->socket, sizeof street->socket, "%s/proxy", scene->redis.dir);
    snprintf(url, sizeof url, "unix://%s", street->socket);
    street->proxy = proxy_open(street->socket, scene->redis.socket, NULL);
    assert_non_null(street->proxy);
    return mill_run(scene, "redis", url, "lease_ms", "60000", NULL);
}

static bool is_clean(struct scene *scene)
{
    return redis_pending(&scene->redis, "jobs", "g") == 0 && redis_pending(&scene->redis, "jobs:g:retry", "g") == 0;
}

static void what_a_lost_read_stranded_is_adopted_and_run(void **state)
{
    struct scene *scene = *state;
    struct street street;
    struct mill *mill = through_proxy(scene, &street);
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "done") == 10);
    for (int round = 1; round <= 3; round++) {
        proxy_swallow(street.proxy, ":dispatcher", 1);
        scene_publish(scene, 10 * round, 10);
        wait_for(proxy_swallowed(street.proxy) == round && mill_has_seen_once(mill, 10 * round, 10));
    }
    wait_for(is_clean(scene));
    wait_for(mill_stat(mill, "jobs", "adopted") >= 1);
    mill_stop(mill);
    proxy_close(street.proxy);
}

static void a_lost_answer_to_an_acknowledgement_is_counted_and_loses_nothing(void **state)
{
    struct scene *scene = *state;
    struct street street;
    struct mill *mill = through_proxy(scene, &street);
    for (int round = 0; round < 3; round++) {
        proxy_swallow(street.proxy, ":settler", 1);
        scene_publish(scene, 10 * round, 10);
        wait_for(proxy_swallowed(street.proxy) == round + 1 && mill_stat(mill, "jobs", "done") == 10 * (round + 1));
    }
    assert_true(mill_stat(mill, "leases", "ambiguous") >= 1); /* later ones may go by script, which knows */
    assert_int_equal(mill_stat(mill, "leases", "lost"), 0);
    assert_true(is_clean(scene) && mill_has_seen_once(mill, 0, 30));
    mill_stop(mill);
    proxy_close(street.proxy);
}

static void a_lost_answer_to_a_script_is_asked_for_again_and_done_once(void **state)
{
    struct scene *scene = *state;
    struct street street;
    struct mill *mill;
    char url[140];
    mill = through_proxy(scene, &street);
    mill_stop(mill);
    snprintf(url, sizeof url, "unix://%s", street.socket);
    mill = mill_run(scene, "redis", url, "completed_max", "1000", NULL);
    scene_publish(scene, 0, 10); /* the script is known after these */
    wait_for(mill_stat(mill, "jobs", "done") == 10);
    proxy_swallow(street.proxy, ":settler", 1);
    scene_publish(scene, 10, 10);
    wait_for(proxy_swallowed(street.proxy) == 1 && mill_stat(mill, "jobs", "done") == 20);
    assert_int_equal(mill_stat(mill, "leases", "lost") + mill_stat(mill, "leases", "ambiguous"), 0);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:completed"), 20);
    assert_true(is_clean(scene));
    mill_stop(mill);
    proxy_close(street.proxy);
}

/* Reads in the pool's name what nobody will run. */
static void strand(struct scene *scene, int n)
{
    char consumer[200], count[8];
    const struct answer *consumers = redis_ask(&scene->redis, "XINFO", "CONSUMERS", "jobs", "g");
    snprintf(consumer, sizeof consumer, "%s", answer_of(answer_at(consumers, 0), "name")->text);
    snprintf(count, sizeof count, "%d", n);
    redis_ask(&scene->redis, "MULTI"); /* so that the pool does not come first */
    for (int i = 0; i < n; i++) redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "job", "data", "1");
    redis_ask(&scene->redis, "XREADGROUP", "GROUP", "g", consumer, "COUNT", count, "STREAMS", "jobs", ">");
    assert_int_equal(redis_number(&scene->redis, "EXEC"), n + 1);
}

static void what_was_deleted_before_it_was_adopted_is_counted_and_said(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "lease_ms", "60000", "trim", "false", NULL);
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1 && mill_stat(mill, "jobs", "held") == 0);
    strand(scene, 5);
    redis_ask(&scene->redis, "XTRIM", "jobs", "MAXLEN", "3");
    assert_int_equal(redis_cut(&scene->redis, ":dispatcher"), 1);
    wait_for(mill_stat(mill, "jobs", "done") == 4 && is_clean(scene));
    wait_for(mill_stat(mill, "upkeep", "deleted") == 2);
    wait_for(mill_stat(mill, "jobs", "adopted") == 3);
    wait_for(mill_lines(mill, "event=pending_deleted entries=2 stream=jobs") == 1);
    mill_stop(mill);
}

static void releases_strays(struct scene *scene, const char *cut)
{
    struct mill *mill = mill_run(scene, "lease_ms", "60000", "trim", "false", NULL);
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1 && mill_stat(mill, "jobs", "held") == 0);
    strand(scene, 300);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 300);
    if (cut) assert_int_equal(redis_cut(&scene->redis, cut), 1);
    mill_stop(mill);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:retry"), 300);
    assert_int_equal(mill->started, 1);
}

static void a_stop_releases_what_is_pending_in_its_name(void **state)
{
    releases_strays(*state, NULL);
}

static void a_stop_releases_it_although_its_connection_has_just_broken(void **state)
{
    releases_strays(*state, ":settler");
}

/* Jobs flow, and the connection of a role is killed again and again. */
static void survives_kills(struct scene *scene, const char *role, const char *lease_ms)
{
    enum { KILLS = 20, JOBS = 1000 };
    struct mill *mill = mill_run(scene, "threads", "4", "lease_ms", lease_ms, "prefetch_max", "400", NULL);
    int cut = 0;
    for (int kill = 0; kill < KILLS; kill++) {
        scene_publish(scene, kill * JOBS, JOBS);
        wait_for(mill->ended >= kill * JOBS + JOBS / 4);
        wait_for(redis_clients(&scene->redis, role) == 1);
        cut += redis_cut(&scene->redis, role);
    }
    wait_for(mill_has_seen(mill, 0, KILLS * JOBS) && is_clean(scene));
    assert_int_equal(cut, KILLS);
    wait_for(mill_stat(mill, "jobs", "held") == 0);
    mill_stop(mill);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:retry"), 0);
}

static void the_dispatchers_connection_may_break_twenty_times(void **state)
{
    survives_kills(*state, ":dispatcher", "60000");
}

static void the_settlers_connection_may_break_twenty_times(void **state)
{
    survives_kills(*state, ":settler", "60000");
}

static void the_heartbeats_and_the_reapers_connections_may_break(void **state)
{
    enum { KILLS = 5 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "lease_ms", "600", "reap_ms", "50", NULL);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 0, 2);
    wait_for(mill->inside == 2);
    for (int kill = 0; kill < KILLS; kill++) {
        long long renewed = mill_stat(mill, "leases", "renewed");
        assert_int_equal(redis_cut(&scene->redis, ":heartbeat"), 1);
        assert_int_equal(redis_cut(&scene->redis, ":reaper"), 1);
        wait_for(mill_stat(mill, "leases", "renewed") > renewed);
        wait_for(redis_clients(&scene->redis, ":heartbeat") == 1 && redis_clients(&scene->redis, ":reaper") == 1);
    }
    assert_int_equal(mill_stat(mill, "leases", "lost"), 0);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 2 && is_clean(scene));
    assert_int_equal(mill->started, 2);
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(what_a_lost_read_stranded_is_adopted_and_run),
        SCENE(a_lost_answer_to_an_acknowledgement_is_counted_and_loses_nothing),
        SCENE(a_lost_answer_to_a_script_is_asked_for_again_and_done_once),
        SCENE(what_was_deleted_before_it_was_adopted_is_counted_and_said),
        SCENE(a_stop_releases_what_is_pending_in_its_name),
        SCENE(a_stop_releases_it_although_its_connection_has_just_broken),
        SCENE(the_dispatchers_connection_may_break_twenty_times),
        SCENE(the_settlers_connection_may_break_twenty_times),
        SCENE(the_heartbeats_and_the_reapers_connections_may_break),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
