/* SPDX-License-Identifier: MIT */

/* promises/graves: where dead letters lie, and for how long. */
#include <stdio.h>
#include <string.h>

#include "support/letters.h"
#include "support/mill.h"

/* A pool whose handler says dead to everything. */
static struct mill *started(struct mill *mill)
{
    mill->verdict = QUERN_DEAD;
    return mill_started(mill);
}
#define burying(scene, ...) started(mill_new(scene, __VA_ARGS__))

static void add_job(struct scene *scene)
{
    redis_ask(&scene->redis, "XADD", "jobs", "*", "id", "job-1", "event", "e", "data", "1");
}

static void wait_dead(struct mill *mill, int letters)
{
    wait_for(mill_stat(mill, "jobs", "dead") == letters);
    assert_int_equal(redis_number(mill->redis, "XLEN", "jobs:failed"), letters);
    assert_int_equal(redis_pending(mill->redis, "jobs", "g"), 0);
}

static void a_job_that_is_dead_in_one_group_lives_in_another(void **state)
{
    struct scene *scene = *state;
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "h", "0", "MKSTREAM");
    struct mill *mill = burying(scene, "reap_ms", "10", NULL);
    add_job(scene);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "no data");
    wait_dead(mill, 2);
    mill_stop(mill); /* with a last trim */
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), 2);
    mill = mill_run(scene, "group", "h", NULL);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(mill->seen[1], 1);
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    struct dead_letter letter = letter_at(&scene->redis, "jobs:failed", 2);
    assert_string_equal(letter_word(&letter, "group"), "h");
    letter_drop(&letter);
    mill_stop(mill);
}

static void dead_letters_go_where_they_are_told_to(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = burying(scene, "dead_letter_stream", "graves", NULL);
    add_job(scene);
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "graves"), 1);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:failed"), 0);
    mill_stop(mill);
}

static void dead_letters_in_the_stream_itself_are_refused(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "dead_letter_stream", "jobs", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    assert_null(quern_pool_start(mill->config, &mill->error));
    assert_int_equal(mill->error.code, QUERN_E_CONFIG);
    assert_non_null(strstr(mill->error.text, "dead_letter_stream"));
    assert_int_equal(redis_number(&scene->redis, "DBSIZE"), 0);
}

static void a_dead_letter_key_of_another_type_is_refused(void **state)
{
    struct scene *scene = *state;
    redis_ask(&scene->redis, "SET", "jobs:failed", "mine");
    struct mill *mill = mill_new(scene, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    assert_null(quern_pool_start(mill->config, &mill->error));
    assert_non_null(strstr(mill->error.text, "jobs:failed"));
}

static void bury_many(struct scene *scene, int n)
{
    char number[12];
    for (int i = 0; i < n; i++) {
        snprintf(number, sizeof number, "%d", i);
        redis_ask(&scene->redis, "XADD", "jobs", "*", "id", number, "event", "e", "data", number);
    }
}

static void only_so_many_dead_letters_are_kept_where_that_is_asked(void **state)
{
    enum { LETTERS = 60, KEPT = 10 };
    struct scene *scene = *state;
    struct mill *mill = burying(scene, "threads", "1", "dead_letter_max", "10", "reap_ms", "10", NULL);
    bury_many(scene, LETTERS);
    wait_for(mill_stat(mill, "jobs", "dead") == LETTERS && mill_stat(mill, "upkeep", "dead_trimmed") == LETTERS - KEPT);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), KEPT);
    struct dead_letter letter = letter_at(&scene->redis, "jobs:failed", KEPT - 1);
    assert_string_equal(letter_word(&letter, "original_id"), "59"); /* the newest ones stay */
    letter_drop(&letter);
    mill_stop(mill);
    assert_true(mill_lines(mill, "event=dead_letters_deleted") >= 1);
    assert_int_equal(mill_lines(mill, "level=warning event=dead_letters_deleted"),
                     mill_lines(mill, "event=dead_letters_deleted"));
}

static void dead_letters_are_never_deleted_unless_that_is_asked(void **state)
{
    enum { LETTERS = 300 };
    struct scene *scene = *state;
    struct mill *mill = burying(scene, "reap_ms", "10", NULL);
    bury_many(scene, LETTERS);
    wait_dead(mill, LETTERS);
    stays(redis_number(&scene->redis, "XLEN", "jobs:failed") == LETTERS, 200);
    assert_int_equal(mill_stat(mill, "upkeep", "dead_trimmed"), 0);
    mill_stop(mill);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), LETTERS);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_job_that_is_dead_in_one_group_lives_in_another),
        SCENE(dead_letters_go_where_they_are_told_to),
        SCENE(dead_letters_in_the_stream_itself_are_refused),
        SCENE(a_dead_letter_key_of_another_type_is_refused),
        SCENE(only_so_many_dead_letters_are_kept_where_that_is_asked),
        SCENE(dead_letters_are_never_deleted_unless_that_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
