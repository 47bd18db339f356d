/* SPDX-License-Identifier: MIT */

/* promises/advice: a pool that starts says what its server does that may cost jobs, a line for each, and does not start on one that
 * deletes keys. */
#include <string.h>

#include "support/acl.h"
#include "support/mill.h"

static int open_with(void **state, const char *const *more, bool has_aof)
{
    return scene_open_with(state, &(struct redis_options){.more = more, .has_aof = has_aof});
}

static int open_lax(void **state)
{
    return open_with(state, (const char *const[]){"--appendonly", "yes", "--appendfsync", "no", NULL}, false);
}

static int open_with_snapshots(void **state)
{
    return open_with(state, (const char *const[]){"--save", "3600", "1", NULL}, false);
}

static int open_evicting(void **state)
{
    return open_with(state, (const char *const[]){"--maxmemory-policy", "allkeys-lru", NULL}, true);
}

static void said_at_start(struct scene *scene, const char *words, int times)
{
    int found = 0;
    struct mill *mill = mill_run(scene, NULL);
    mill_stop(mill); /* all of the log has come */
    for (const char *at = mill->lines; (at = strstr(at, "event=advice check=persistence")); at++) found++;
    if (found != times || (words && !mill_lines(mill, words))) fail_msg("%d lines of persistence: %s", found, mill->lines);
    assert_true(mill_lines(mill, "event=advice check=known_fault") <= 1);
}

/* What the server's configuration says. */
static void is_configured(struct scene *scene, const char *words)
{
    acl_change(&scene->redis, "quern-worker", "+config|get");
    said_at_start(scene, words, 1);
}

static void a_server_that_keeps_nothing_is_told_of(void **state)
{
    is_configured(*state, "writes nothing to its disk");
}

static void a_server_with_snapshots_only_is_told_of(void **state)
{
    is_configured(*state, "its append-only file is off");
}

static void a_server_that_does_not_wait_for_its_disk_is_told_of(void **state)
{
    is_configured(*state, "appendfsync is no");
}

static void of_a_server_that_keeps_what_it_is_told_nothing_is_said(void **state)
{
    struct scene *scene = *state;
    acl_change(&scene->redis, "quern-worker", "+config|get");
    said_at_start(*state, NULL, 0);
}

/* Who may not look is served all the same. */
static void who_may_not_look_is_told_what_can_be_seen(void **state)
{
    struct scene *scene = *state;
    acl_change(&scene->redis, "quern-worker", "-config");
    said_at_start(scene, "its append-only file is off", 1);
    acl_change(&scene->redis, "quern-worker", "-info");
    said_at_start(scene, NULL, 0);
}

static void a_server_that_deletes_keys_is_refused_unless_that_is_allowed(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    assert_null(quern_pool_start(mill->config, &mill->error));
    assert_int_equal(mill->error.code, QUERN_E_CONFIG);
    if (!strstr(mill->error.text, "allow_eviction: the server's maxmemory-policy is allkeys-lru"))
        fail_msg("%s", mill->error.text);
    mill_set(mill, "allow_eviction", "true");
    mill_start(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    mill_stop(mill);
    redis_ask(&scene->redis, "CONFIG", "SET", "maxmemory-policy", "noeviction");
    mill_stop(mill_run(scene, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_server_that_keeps_nothing_is_told_of, scene_open, scene_close),
        cmocka_unit_test_setup_teardown(a_server_with_snapshots_only_is_told_of, open_with_snapshots, scene_close),
        cmocka_unit_test_setup_teardown(a_server_that_does_not_wait_for_its_disk_is_told_of, open_lax, scene_close),
        cmocka_unit_test_setup_teardown(of_a_server_that_keeps_what_it_is_told_nothing_is_said, scene_open_aof, scene_close),
        cmocka_unit_test_setup_teardown(who_may_not_look_is_told_what_can_be_seen, scene_open, scene_close),
        cmocka_unit_test_setup_teardown(a_server_that_deletes_keys_is_refused_unless_that_is_allowed, open_evicting,
                                        scene_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
