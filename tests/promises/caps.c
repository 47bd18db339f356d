/* SPDX-License-Identifier: MIT */

/* promises/caps: no more jobs of an event run at once than max_running says; others are not held up by it, and it costs no retry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/mill.h"

/* Jobs of event "narrow" stand behind a gate of their own and count how many they are; those of any other are ground. */
struct narrow {
    struct mill *mill;
    _Atomic bool is_shut;
    _Atomic int inside, most, ended;
    _Atomic uint64_t tickets[64];
};

static quern_verdict squeeze(quern_job *job, void *thread, void *user)
{
    struct narrow *narrow = user;
    int inside = atomic_fetch_add(&narrow->inside, 1) + 1, most = atomic_load(&narrow->most);
    (void)thread;
    while (inside > most && !atomic_compare_exchange_weak(&narrow->most, &most, inside)) continue;
    while (atomic_load(&narrow->is_shut)) wait_breathe();
    burn_us(200);
    atomic_fetch_add(&narrow->mill->seen[atoi(quern_job_data(job).at)], 1);
    atomic_fetch_sub(&narrow->inside, 1);
    atomic_fetch_add(&narrow->ended, 1);
    return QUERN_DONE;
}

static void publish(struct scene *scene, const char *event, int from, int n)
{
    for (int i = from; i < from + n; i++) {
        char text[12], id[24];
        snprintf(text, sizeof text, "%d", i);
        snprintf(id, sizeof id, "%s-%d", event, i);
        redis_ask(&scene->redis, "XADD", "jobs", "*", "id", id, "event", event, "data", text);
    }
}

static struct mill *capped(struct scene *scene, struct narrow *narrow, const char *policy)
{
    struct mill *mill = mill_new(scene, "threads", "4", NULL);
    narrow->mill = mill;
    mill_on(mill, &(quern_handler){.event = "narrow", .run = squeeze, .user = narrow, .policy = policy});
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    mill_start(mill);
    return mill;
}

static void no_more_run_at_once_than_the_cap_says_and_each_runs_once(void **state)
{
    struct scene *scene = *state;
    struct narrow narrow = {0};
    struct mill *mill = capped(scene, &narrow, "{\"max_running\": 2}");
    atomic_store(&narrow.is_shut, true);
    publish(scene, "narrow", 0, 300);
    wait_for(narrow.inside == 2);
    atomic_store(&narrow.is_shut, false);
    wait_for(narrow.ended == 300 && mill_stat(mill, "jobs", "held") == 0);
    assert_int_equal(narrow.most, 2);
    assert_true(mill_has_seen_once(mill, 0, 300));
    assert_int_equal(mill_stat(mill, "jobs", "retry"), 0);
    wait_for(mill_stat(mill, "jobs", "done") == 300);
    mill_stop(mill);
}

static void a_capped_event_does_not_hold_up_others_nor_fill_the_slots(void **state)
{
    struct scene *scene = *state;
    struct narrow narrow = {.is_shut = true};
    struct mill *mill = capped(scene, &narrow, "{\"max_running\": 1}");
    publish(scene, "narrow", 0, 400);
    publish(scene, "wide", 1000, 200);
    wait_for(mill_has_seen_once(mill, 1000, 200));
    assert_int_equal(narrow.inside, 1);
    wait_for(mill_stat(mill, "jobs", "parked") == 1 && mill_stat(mill, "jobs", "postponed") >= 398);
    wait_for(mill_stat(mill, "jobs", "held") == 2); /* one runs, one is parked; the others wait in Redis */
    narrow.is_shut = false;
    wait_for(narrow.ended >= 2);
    assert_int_equal(narrow.most, 1);
    mill_stop(mill);
}

/* What waits is handed on as soon as one ends, not when somebody happens to look. */
static void the_next_one_starts_when_one_has_ended(void **state)
{
    struct scene *scene = *state;
    struct narrow narrow = {.is_shut = true};
    struct mill *mill = capped(scene, &narrow, "{\"max_running\": 2}");
    publish(scene, "narrow", 0, 4);
    wait_for(narrow.inside == 2 && mill_stat(mill, "jobs", "parked") == 2);
    narrow.is_shut = false;
    wait_for(narrow.ended == 4 && mill_stat(mill, "jobs", "done") == 4);
    assert_int_equal(mill_stat(mill, "jobs", "postponed"), 0);
    assert_int_equal(narrow.most, 2);
    mill_stop(mill);
}

static void what_is_parked_goes_back_at_a_stop_at_no_cost(void **state)
{
    struct scene *scene = *state;
    struct narrow narrow = {.is_shut = true};
    struct mill *mill = capped(scene, &narrow, "{\"max_running\": 2}");
    publish(scene, "narrow", 0, 4);
    wait_for(narrow.inside == 2 && mill_stat(mill, "jobs", "parked") == 2);
    quern_pool_stop(mill->pool);
    wait_for(redis_pending(&scene->redis, "jobs", "g") == 2);
    narrow.is_shut = false;
    mill_stop(mill);
    struct mill *other = mill_run(scene, NULL);
    wait_for(mill_stat(other, "jobs", "done") == 2);
    assert_int_equal(mill_stat(other, "jobs", "retry"), 0);
    assert_int_equal(narrow.ended, 2);
    mill_stop(other);
}

static quern_verdict defer(quern_job *job, void *thread, void *user)
{
    struct narrow *narrow = user;
    (void)thread;
    atomic_store(&narrow->tickets[atoi(quern_job_data(job).at)], quern_job_ticket(job));
    atomic_fetch_add(&narrow->inside, 1);
    return QUERN_PENDING;
}

static void a_job_that_a_ticket_will_finish_counts_until_then(void **state)
{
    struct scene *scene = *state;
    struct narrow narrow = {0};
    struct mill *mill = mill_new(scene, "threads", "4", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = defer, .user = &narrow, .policy = "{\"max_running\": 2}"});
    mill_start(mill);
    publish(scene, "narrow", 0, 4);
    wait_for(narrow.inside == 2);
    stays(narrow.inside == 2, 100);
    for (int i = 0, done = 0; done < 4; i = (i + 1) % 4) {
        uint64_t ticket = atomic_exchange(&narrow.tickets[i], 0);
        if (!ticket) {
            wait_breathe();
            continue;
        }
        assert_int_equal(quern_pool_finish(mill->pool, ticket, QUERN_DONE, NULL), QUERN_OK);
        done++;
    }
    wait_for(mill_stat(mill, "jobs", "done") == 4);
    mill_stop(mill);
}

static void a_reload_changes_the_cap_for_what_comes_next(void **state)
{
    struct scene *scene = *state;
    struct narrow narrow = {.is_shut = true};
    struct mill *mill = capped(scene, &narrow, "{\"max_running\": 1}");
    publish(scene, "narrow", 0, 2);
    wait_for(narrow.inside == 1 && mill_stat(mill, "jobs", "parked") == 1);
    quern_config *next = quern_config_new();
    quern_handler handler = {
        .size = sizeof handler, .event = "narrow", .run = squeeze, .user = &narrow, .policy = "{\"max_running\": 3}"};
    assert_false(quern_config_set(next, "redis", scene->redis.url, NULL) || quern_config_set(next, "stream", "jobs", NULL) ||
                 quern_config_set(next, "group", "g", NULL) || quern_config_set(next, "threads", "4", NULL) ||
                 quern_config_on(next, &handler, NULL));
    if (quern_pool_reload(mill->pool, next, &mill->error)) fail_msg("%s", mill->error.text);
    quern_config_free(next);
    wait_for(narrow.inside == 2);
    publish(scene, "narrow", 2, 6);
    wait_for(narrow.inside == 3 && mill_stat(mill, "jobs", "parked") == 3);
    narrow.is_shut = false;
    wait_for(narrow.ended == 8 && narrow.most == 3);
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(no_more_run_at_once_than_the_cap_says_and_each_runs_once),
        SCENE(a_capped_event_does_not_hold_up_others_nor_fill_the_slots),
        SCENE(the_next_one_starts_when_one_has_ended),
        SCENE(what_is_parked_goes_back_at_a_stop_at_no_cost),
        SCENE(a_job_that_a_ticket_will_finish_counts_until_then),
        SCENE(a_reload_changes_the_cap_for_what_comes_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
