/* SPDX-License-Identifier: MIT */

/* promises/notices: the host is told, and cannot stall anything by listening slowly; the statistics are what they say. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/desk.h"

/* A listener that stands still from the first thing it is told. */
struct listener {
    _Atomic bool is_shut;
    _Atomic int lines, notices;
};

static void hear_line(void *user, int level, const char *line)
{
    struct listener *listener = user;
    (void)level, (void)line;
    while (atomic_load(&listener->is_shut)) wait_breathe();
    atomic_fetch_add(&listener->lines, 1);
}

static void hear_notice(void *user, const quern_notice *notice)
{
    struct listener *listener = user;
    (void)notice;
    while (atomic_load(&listener->is_shut)) wait_breathe();
    atomic_fetch_add(&listener->notices, 1);
}

static void a_callback_that_blocks_stalls_nothing(void **state)
{
    enum { JOBS = 6000 };
    struct scene *scene = *state;
    struct listener listener = {.is_shut = true};
    struct mill *mill = mill_new(scene, "lease_ms", "300", "completed_max", "10", NULL);
    quern_config_observe(mill->config, QUERN_NOTICE_ALL, hear_notice, &listener);
    quern_config_log(mill->config, hear_line, &listener);
    mill_started(mill);
    scene_publish(scene, 0, JOBS);
    wait_for(mill_stat(mill, "jobs", "done") == JOBS);
    assert_int_equal(listener.notices + listener.lines, 0);
    assert_true(mill_stat(mill, NULL, "notices_dropped") > JOBS / 2);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    quern_pool_stop(mill->pool);
    assert_int_equal(quern_pool_join(mill->pool, 50, &mill->error), QUERN_E_BUSY);
    long long dropped = mill_stat(mill, NULL, "notices_dropped");
    atomic_store(&listener.is_shut, false);
    mill_stop(mill);
    assert_true(listener.notices + dropped >= JOBS);
    assert_in_range(listener.notices, 1, JOBS - 1);
}

/* ── a callback that calls back ──────────────────────────────────────────────────────────────────────────────────── */

/* All that a callback may call, and what it was told; by the first notice of a job, or by the first line. */
struct caller {
    quern_pool *_Atomic pool;
    struct scene *scene;
    int publish_code, join_code, free_code;
    bool has_stats;
    _Atomic int rounds; /* so often it did all of it: twice, and then it stops the pool */
    _Atomic bool is_stopping;
};

static void call_all(struct caller *caller)
{
    quern_pool *pool;
    quern_message message = {.size = sizeof message, .event = "job", .data = {"7", 1}};
    while (!(pool = atomic_load(&caller->pool))) wait_breathe();
    while (atomic_load(&caller->rounds) == 1 && !atomic_load(&caller->is_stopping))
        wait_breathe(); /* the test sees the first round */
    char *stats = quern_pool_stats(pool);
    caller->has_stats = stats && strstr(stats, "\"fetched\"");
    quern_free(stats);
    caller->publish_code = quern_publish(caller->scene->publisher, &message, 1, NULL, NULL);
    caller->join_code = quern_pool_join(pool, -1, NULL);
    caller->free_code = quern_pool_free(pool);
    atomic_fetch_add(&caller->rounds, 1);
    if (atomic_load(&caller->is_stopping)) quern_pool_stop(pool);
}

static void call_on_notice(void *user, const quern_notice *notice)
{
    struct caller *caller = user;
    if (notice->what == QUERN_NOTICE_JOB && atomic_load(&caller->rounds) < 2) call_all(caller);
}

static void call_on_line(void *user, int level, const char *line)
{
    struct caller *caller = user;
    (void)level;
    if (strstr(line, "event=job_dead") && atomic_load(&caller->rounds) < 2) call_all(caller);
}

static void may_call_all(struct mill *mill, struct caller *caller)
{
    struct redis *redis = &caller->scene->redis;
    scene_publish(caller->scene, 0, 1);
    mill_start(mill);
    atomic_store(&caller->pool, mill->pool);
    wait_for(caller->rounds == 1); /* what it has published is the next job it is told of */
    atomic_store(&caller->is_stopping, true);
    assert_int_equal(quern_pool_join(mill->pool, PATIENCE_MS, &mill->error), QUERN_OK);
    assert_true(caller->has_stats && mill->ended >= 2);
    assert_int_equal(caller->publish_code, QUERN_OK);
    assert_int_equal(caller->join_code, QUERN_E_ARGUMENT);
    assert_int_equal(caller->free_code, QUERN_E_BUSY);
    assert_int_equal(redis_pending(redis, "jobs", "g"), 0);
    mill_stop(mill);
}

static void an_observer_may_publish_look_and_stop_but_not_join_or_free(void **state)
{
    struct scene *scene = *state;
    struct caller caller = {.scene = scene};
    struct mill *mill = mill_new(scene, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    quern_config_observe(mill->config, QUERN_NOTICE_ALL, call_on_notice, &caller);
    may_call_all(mill, &caller);
}

static void a_logger_may_publish_look_and_stop_but_not_join_or_free(void **state)
{
    struct scene *scene = *state;
    struct caller caller = {.scene = scene};
    struct mill *mill = mill_new(scene, NULL);
    mill->verdict = QUERN_DEAD; /* each is a line */
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    quern_config_log(mill->config, call_on_line, &caller);
    may_call_all(mill, &caller);
}

/* The callback stands still while leases are renewed, retries come due and the drain runs: nobody waits for it but the join. */
static void a_callback_that_blocks_holds_up_no_lease_no_retry_and_no_drain(void **state)
{
    struct scene *scene = *state;
    struct listener listener = {.is_shut = true};
    struct mill *mill = mill_new(scene, "lease_ms", "600", "retry_base_ms", "20", "retry_limit", "2", NULL);
    quern_config_observe(mill->config, QUERN_NOTICE_ALL, hear_notice, &listener);
    quern_config_log(mill->config, hear_line, &listener);
    mill->verdict = QUERN_RETRY;
    mill_started(mill);
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "dead") == 10 && mill_stat(mill, "upkeep", "due") == 20);
    atomic_store(&mill->verdict, QUERN_DONE);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 0, 2);
    wait_for(mill->inside == 2 && mill_stat(mill, "leases", "renewed") >= 4);
    quern_pool_stop(mill->pool);
    atomic_store(&mill->is_shut, false);
    wait_for(redis_pending(&scene->redis, "jobs", "g") == 0 && mill_stat(mill, "jobs", "done") == 2);
    wait_for(redis_number(&scene->redis, "XINFO", "CONSUMERS", "jobs", "g") == 0); /* it has taken its leave */
    assert_int_equal(listener.notices + listener.lines, 0);
    assert_int_equal(quern_pool_join(mill->pool, 0, &mill->error), QUERN_E_BUSY);
    assert_int_equal(quern_pool_free(mill->pool), QUERN_E_BUSY);
    atomic_store(&listener.is_shut, false);
    mill_stop(mill);
}

/* ── what a notice holds ─────────────────────────────────────────────────────────────────────────────────────────── */

enum { TOLD_MAX = 64 };

struct told {
    _Atomic int count;
    struct {
        quern_notice notice;
        char event[200], id[200], text[200];
    } at[TOLD_MAX];
};

static void write_down(void *user, const quern_notice *notice)
{
    struct told *told = user;
    int place = atomic_load(&told->count);
    if (place == TOLD_MAX) return;
    told->at[place].notice = *notice;
    snprintf(told->at[place].event, 200, "%.*s", (int)notice->event.len, notice->event.at ? notice->event.at : "");
    snprintf(told->at[place].id, 200, "%.*s", (int)notice->id.len, notice->id.at ? notice->id.at : "");
    snprintf(told->at[place].text, 200, "%s", notice->text ? notice->text : "");
    atomic_store(&told->count, place + 1);
}

static quern_verdict say(quern_job *job, void *thread, void *user)
{
    quern_verdict verdict = (quern_verdict)atoi(quern_job_data(job).at);
    (void)thread, (void)user;
    burn_us(5000);
    quern_job_error(job, "not this");
    quern_job_error(job, "because of %d", (int)verdict);
    return verdict;
}

static void an_observer_is_told_of_each_job_once(void **state)
{
    struct scene *scene = *state;
    static struct told told;
    memset(&told, 0, sizeof told);
    struct mill *mill = mill_new(scene, "threads", "1", "retry_limit", "7", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = say});
    quern_config_observe(mill->config, QUERN_NOTICE_JOB | QUERN_NOTICE_STOPPED, write_down, &told);
    mill_start(mill);
    for (int verdict = QUERN_DONE; verdict <= QUERN_DEAD; verdict++) {
        char data[2] = {(char)('0' + verdict), 0}, id[2] = {(char)('a' + verdict), 0};
        redis_ask(&scene->redis, "XADD", "jobs", "*", "id", id, "event", "say", "data", data, "retries", "6");
        wait_for(told.count == verdict);
        quern_notice *notice = &told.at[verdict - 1].notice;
        assert_int_equal(notice->size, sizeof *notice);
        assert_int_equal(notice->what, QUERN_NOTICE_JOB);
        assert_int_equal(notice->outcome, verdict);
        assert_int_equal(notice->retries, 6);
        assert_string_equal(told.at[verdict - 1].event, "say");
        assert_string_equal(told.at[verdict - 1].id, id);
        assert_non_null(strstr(told.at[verdict - 1].text, "because of"));
        assert_in_range(notice->run_us, 5000, PATIENCE_MS * 1000);
        assert_in_range(notice->wait_us, 0, PATIENCE_MS * 1000);
    }
    redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "say", "data", "2", "retries", "7"); /* the last attempt */
    wait_for(told.count == 4);
    assert_int_equal(told.at[3].notice.outcome, QUERN_DEAD);
    assert_string_equal(told.at[3].text, "because of 2");
    mill_stop(mill);
    assert_int_equal(told.count, 5);
    assert_int_equal(told.at[4].notice.what, QUERN_NOTICE_STOPPED);
}

static void long_names_are_cut(void **state)
{
    struct scene *scene = *state;
    static struct told told;
    char event[257], id[400];
    memset(&told, 0, sizeof told);
    memset(event, 'e', sizeof event);
    memset(id, 'i', sizeof id);
    event[256] = id[399] = 0;
    struct mill *mill = mill_new(scene, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    quern_config_observe(mill->config, QUERN_NOTICE_JOB, write_down, &told);
    mill_start(mill);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "id", id, "event", event, "data", "1");
    wait_for(told.count == 1);
    assert_int_equal(told.at[0].notice.event.len, 128);
    assert_int_equal(told.at[0].notice.id.len, 128);
    mill_stop(mill);
}

static void a_publisher_tells_of_each_message(void **state)
{
    struct scene *scene = *state;
    static struct told told;
    memset(&told, 0, sizeof told);
    struct desk *desk = desk_open(scene, "group", "g", "max_pending", "1", NULL);
    quern_config_observe(desk->config, QUERN_NOTICE_PUBLISH, write_down, &told);
    assert_int_equal(PUBLISH(desk, "\"secret\"", .event = "mail"), QUERN_OK);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.at[0].notice.what, QUERN_NOTICE_PUBLISH);
    assert_int_equal(told.at[0].notice.outcome, QUERN_OK);
    assert_string_equal(told.at[0].event, "mail");
    assert_string_equal(told.at[0].id, desk->receipt.id);
    assert_in_range(told.at[0].notice.run_us, 1, PATIENCE_MS * 1000);
    assert_int_equal(PUBLISH(desk, "\"secret\""), QUERN_E_FULL);
    assert_int_equal(told.count, 2);
    assert_int_equal(told.at[1].notice.outcome, QUERN_E_FULL);
    assert_non_null(strstr(told.at[1].text, "no room"));
    assert_null(strstr(told.at[1].text, "secret"));
    desk_close(desk);
}

/* ── statistics ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static void has_exactly(const json_t *object, const char *names)
{
    char text[512];
    snprintf(text, sizeof text, "%s", names);
    size_t count = 0;
    for (char *rest = text, *name; (name = strsep(&rest, " ")); count++)
        if (!json_object_get(object, name)) fail_msg("the statistics lack %s", name);
    assert_int_equal(json_object_size(object), count);
}

static void the_statistics_are_json_with_the_documented_fields(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "consumer", "me", "threads", "3", NULL);
    mill->work_us = 1000;
    scene_publish(scene, 0, 20);
    wait_for(mill_stat(mill, "jobs", "done") == 20);
    char *text = quern_pool_stats(mill->pool);
    assert_non_null(text);
    json_t *stats = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(stats);
    has_exactly(stats, "stream group consumer healthy unhealthy_because stopping paused uptime_ms threads threads_stuck run_us "
                       "slots reply_bytes "
                       "notices_dropped jobs leases "
                       "upkeep redis queues events running_jobs");
    has_exactly(json_object_get(stats, "jobs"), "fetched adopted waiting running held done retry dead malformed too_large "
                                                "expired timeout poison cancelled unhandled parked postponed released "
                                                "left_pending unsettled");
    has_exactly(json_object_get(stats, "leases"), "renewed lost ambiguous");
    has_exactly(json_object_get(stats, "upkeep"), "reclaimed due scheduled deleted swept trimmed dead_trimmed second_gear");
    has_exactly(json_object_get(stats, "redis"), "up outages reads settles last_fetch_ms last_settle_ms last_renewal_ms");
    assert_string_equal(json_string_value(json_object_get(stats, "stream")), "jobs");
    assert_string_equal(json_string_value(json_object_get(stats, "group")), "g");
    assert_int_equal(strncmp(json_string_value(json_object_get(stats, "consumer")), "me-", 3), 0);
    json_decref(stats);
    quern_free(text);
    assert_int_equal(mill_stat(mill, NULL, "threads"), 3);
    assert_int_equal(mill_stat(mill, NULL, "stopping"), 0);
    assert_int_equal(mill_stat(mill, "jobs", "fetched"), 20);
    assert_true(mill_stat(mill, NULL, "run_us") >= 20000);
    assert_int_equal(mill_stat(mill, "redis", "up"), 1);
    assert_int_equal(mill_stat(mill, "redis", "last_renewal_ms"), -1);
    assert_in_range(mill_stat(mill, "redis", "last_settle_ms"), 0, PATIENCE_MS);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 20, 3);
    wait_for(mill_stat(mill, "jobs", "running") == 3);
    assert_int_equal(mill_stat(mill, "jobs", "held"), 3);
    quern_pool_stop(mill->pool);
    assert_int_equal(mill_stat(mill, NULL, "stopping"), 1);
    atomic_store(&mill->is_shut, false);
    mill_stop(mill);
    assert_null(quern_pool_stats(NULL));
}

static void log_lines_hold_no_control_characters_and_no_payload(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "log_level", "debug", NULL);
    mill->verdict = QUERN_DEAD;
    mill_started(mill);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "id", "\033[2Jid\n\xe2\x80\xae", "event", "e\tv\x7f", "data", "\"secret\"");
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    mill_stop(mill);
    for (const char *at = mill->lines; *at; at++)
        if (((unsigned char)*at < 0x20 && *at != '\n') || (unsigned char)*at >= 0x7f) fail_msg("in the log: %s", mill->lines);
    assert_int_equal(mill_lines(mill, "job_dead"), 1);
    assert_int_equal(mill_lines(mill, "secret"), 0);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_callback_that_blocks_stalls_nothing),
        SCENE(an_observer_may_publish_look_and_stop_but_not_join_or_free),
        SCENE(a_logger_may_publish_look_and_stop_but_not_join_or_free),
        SCENE(a_callback_that_blocks_holds_up_no_lease_no_retry_and_no_drain),
        SCENE(an_observer_is_told_of_each_job_once),
        SCENE(long_names_are_cut),
        SCENE(a_publisher_tells_of_each_message),
        SCENE(the_statistics_are_json_with_the_documented_fields),
        SCENE(log_lines_hold_no_control_characters_and_no_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
