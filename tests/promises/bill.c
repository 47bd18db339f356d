/* SPDX-License-Identifier: MIT */

/* promises/bill: what the jobs of each event cost: how long they waited and ran, how much CPU they took. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/reload.h"

enum { TOLD = 4000, ERROR = 32 }; /* ERROR: a percentile is wrong by at most a 32nd, as the README says */

/* What notices have told of jobs, as they came. */
struct told {
    _Atomic int count;
    int64_t wait_us[TOLD], run_us[TOLD], cpu_us[TOLD];
};

static void take(void *user, const quern_notice *notice)
{
    struct told *told = user;
    int at = atomic_load(&told->count);
    if (notice->what != QUERN_NOTICE_JOB || at == TOLD) return;
    told->wait_us[at] = notice->wait_us;
    told->run_us[at] = notice->run_us;
    told->cpu_us[at] = notice->cpu_us;
    atomic_store(&told->count, at + 1);
}

static void put(struct scene *scene, const char *event, int n)
{
    for (int i = 0; i < n; i++) redis_ask(&scene->redis, "XADD", "jobs", "*", "event", event, "data", "1");
}

/* ── reading the bill ────────────────────────────────────────────────────────────────────────────────────────────── */

static json_t *stats_of(struct mill *mill)
{
    char *text = quern_pool_stats(mill->pool);
    json_t *stats = json_loads(text, 0, NULL);
    quern_free(text);
    assert_non_null(stats);
    return stats;
}

static int lines_of(struct mill *mill)
{
    json_t *stats = stats_of(mill);
    int lines = (int)json_array_size(json_object_get(stats, "events"));
    json_decref(stats);
    return lines;
}

/* The number of an event's line; below part, if that is not NULL. -1: it has no line. */
static double billed(struct mill *mill, const char *event, const char *part, const char *name)
{
    json_t *stats = stats_of(mill), *line, *found = NULL;
    double number = -1;
    size_t i;
    json_array_foreach(json_object_get(stats, "events"), i,
                       line) if (!strcmp(json_string_value(json_object_get(line, "event")), event)) found = line;
    if (found) {
        json_t *value = json_object_get(part ? json_object_get(found, part) : found, name);
        if (!json_is_number(value)) fail_msg("no %s %s of %s", part ? part : "", name, event);
        number = json_number_value(value);
    }
    json_decref(stats);
    return number;
}

static int jobs_of(struct mill *mill, const char *event, const char *name)
{
    return (int)billed(mill, event, NULL, name);
}

static double cpu_of(struct mill *mill, const char *event)
{
    return billed(mill, event, NULL, "cpu_s");
}

/* ── times ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void is_billed(struct mill *mill, const char *part, const char *name, int64_t us)
{
    double told_ms = billed(mill, "*", part, name), ms = (double)us / 1000;
    if (told_ms < ms - ms / ERROR - 0.0001 || told_ms > ms + ms / ERROR + 0.0001)
        fail_msg("%s.%s is %f ms; right would be %f", part, name, told_ms, ms);
}

static void are_billed(struct mill *mill, const char *part, int64_t *us, int count)
{
    int64_t sum_us = 0;
    qsort(us, (size_t)count, sizeof *us, compare);
    for (int i = 0; i < count; i++) sum_us += us[i];
    is_billed(mill, part, "p50", us[(count * 500 + 999) / 1000 - 1]);
    is_billed(mill, part, "p90", us[(count * 900 + 999) / 1000 - 1]);
    is_billed(mill, part, "p99", us[(count * 990 + 999) / 1000 - 1]);
    is_billed(mill, part, "p999", us[(count * 999 + 999) / 1000 - 1]);
    is_billed(mill, part, "max", us[count - 1]);
    is_billed(mill, part, "mean", sum_us / count);
    assert_true(billed(mill, "*", part, "max") * 1000 > (double)us[count - 1] - 0.5);
}

/* Burns as many microseconds as its data says. */
static quern_verdict burn_data(quern_job *job, void *thread, void *user)
{
    (void)thread, (void)user;
    burn_us(atoi(quern_job_data(job).at));
    return QUERN_DONE;
}

static void percentiles_are_those_of_the_times_that_each_job_was_told(void **state)
{
    enum { JOBS = 300, LONGEST_US = 4000 };
    struct scene *scene = *state;
    struct told *told = calloc(1, sizeof *told);
    struct mill *mill = mill_new(scene, NULL);
    quern_config_observe(mill->config, QUERN_NOTICE_JOB, take, told);
    mill_on(mill, &(quern_handler){.event = "*", .run = burn_data});
    mill_start(mill);
    for (int i = 0; i < JOBS; i++) {
        char us[12];
        snprintf(us, sizeof us, "%d", i % 10 ? 10 : LONGEST_US);
        redis_ask(&scene->redis, "XADD", "jobs", "*", "event", i % 2 ? "odd" : "even", "data", us);
    }
    wait_for(told->count == JOBS);
    assert_int_equal(jobs_of(mill, "*", "jobs"), JOBS);
    are_billed(mill, "run_ms", told->run_us, JOBS);
    are_billed(mill, "wait_ms", told->wait_us, JOBS);
    assert_true(billed(mill, "*", "run_ms", "max") >= LONGEST_US / 1000.0);
    assert_true(billed(mill, "*", "run_ms", "p99") >= LONGEST_US / 1000.0 * (ERROR - 1) / ERROR);
    assert_true(told->run_us[0] < LONGEST_US && billed(mill, "*", "run_ms", "p50") < LONGEST_US / 1000.0 + 1);
    mill_stop(mill);
    free(told);
}

/* ── lines ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static quern_verdict refuse(quern_job *job, void *thread, void *user)
{
    (void)job, (void)thread, (void)user;
    return QUERN_DEAD;
}

static quern_verdict fail_it(quern_job *job, void *thread, void *user)
{
    (void)job, (void)thread, (void)user;
    return QUERN_RETRY;
}

static void each_event_has_a_line_of_its_own(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "unhandled", "dead", NULL);
    mill_on(mill, &(quern_handler){.event = "good", .run = mill_grind});
    mill_on(mill, &(quern_handler){.event = "bad", .run = refuse});
    mill_on(mill, &(quern_handler){.event = "late", .run = fail_it});
    mill_on(mill, &(quern_handler){.event = "idle", .run = mill_grind});
    mill_start(mill);
    assert_int_equal(lines_of(mill), 0);
    put(scene, "good", 5);
    put(scene, "bad", 3);
    put(scene, "late", 2);
    put(scene, "unknown", 4);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "good", "data", "1", "expire_at", "1");
    redis_ask(&scene->redis, "XADD", "jobs", "*", "nothing", "of ours");
    wait_for(mill_stat(mill, "jobs", "done") == 5 && mill_stat(mill, "jobs", "retry") == 2);
    wait_for(mill_stat(mill, "jobs", "dead") == 9);
    assert_int_equal(lines_of(mill), 4);
    assert_true(jobs_of(mill, "good", "jobs") == 6 && jobs_of(mill, "good", "done") == 5 && jobs_of(mill, "good", "dead") == 1);
    assert_true(jobs_of(mill, "bad", "jobs") == 3 && jobs_of(mill, "bad", "dead") == 3 && jobs_of(mill, "bad", "done") == 0);
    assert_true(jobs_of(mill, "late", "jobs") == 2 && jobs_of(mill, "late", "retry") == 2 &&
                jobs_of(mill, "late", "dead") == 0);
    assert_true(jobs_of(mill, "(unhandled)", "jobs") == 5 && jobs_of(mill, "(unhandled)", "dead") == 5);
    assert_true(billed(mill, "(unhandled)", "run_ms", "max") < 1e-9 && cpu_of(mill, "(unhandled)") < 1e-9);
    mill_stop(mill);
    assert_int_equal(mill_lines(mill, "event=bill"), 4);
    assert_int_equal(mill_lines(mill, "event=bill job_event=good jobs=6 done=5 cpu_ms="), 1);
}

static void names_that_publishers_think_of_make_no_lines(void **state)
{
    enum { JOBS = 2000 };
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "unhandled", "ack", "trim", "false", NULL), *other;
    mill_on(mill, &(quern_handler){.event = "known", .run = mill_grind});
    mill_start(mill);
    for (int i = 0; i < JOBS; i++) {
        char event[32];
        snprintf(event, sizeof event, "stranger-%d", i);
        put(scene, event, 1);
    }
    put(scene, "known", 1);
    wait_for(jobs_of(mill, "(unhandled)", "jobs") == JOBS && jobs_of(mill, "known", "jobs") == 1);
    assert_int_equal(lines_of(mill), 2);
    assert_int_equal(jobs_of(mill, "(unhandled)", "done"), 0); /* nobody has done anything */
    mill_stop(mill);
    other = mill_run(scene, "group", "another", NULL);
    wait_for(jobs_of(other, "*", "done") == JOBS + 1);
    assert_int_equal(lines_of(other), 1);
    mill_stop(other);
}

static void a_reload_keeps_the_bill(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, NULL);
    mill_on(mill, &(quern_handler){.event = "a", .run = mill_grind});
    mill_start(mill);
    put(scene, "a", 3);
    wait_for(jobs_of(mill, "a", "done") == 3);
    double max_ms = billed(mill, "a", "run_ms", "max");
    quern_config *other = mill_config(mill, NULL);
    config_on(other, &(quern_handler){.event = "b", .run = mill_grind, .user = mill});
    mill_reloads(mill, other);
    put(scene, "b", 2);
    wait_for(jobs_of(mill, "b", "done") == 2);
    assert_int_equal(jobs_of(mill, "a", "done"), 3); /* also where there is no such handler now */
    quern_config *again = mill_config(mill, NULL);
    config_on(again, &(quern_handler){.event = "a", .run = mill_grind, .user = mill});
    mill_reloads(mill, again);
    put(scene, "a", 4);
    wait_for(jobs_of(mill, "a", "done") == 7);
    assert_true(billed(mill, "a", "run_ms", "max") >= max_ms);
    assert_int_equal(lines_of(mill), 2);
    mill_stop(mill);
}

/* ── CPU ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static double thread_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void cpu_is_billed_to_who_burns_it_and_not_to_who_waits(void **state)
{
    enum { JOBS = 20, BURN_US = 10000 };
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "2", NULL);
    mill_on(mill, &(quern_handler){.event = "wait", .run = mill_grind});
    mill_on(mill, &(quern_handler){.event = "burn", .run = burn_data});
    mill->is_shut = true;
    mill_start(mill);
    put(scene, "wait", 1);
    wait_for(mill->inside == 1);
    for (int i = 0; i < JOBS; i++) redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "burn", "data", "10000");
    wait_for(jobs_of(mill, "burn", "done") == JOBS);
    mill->is_shut = false;
    wait_for(jobs_of(mill, "wait", "done") == 1);
    double burned_s = JOBS * BURN_US / 1e6, waited_s = billed(mill, "wait", "run_ms", "max") / 1000;
    if (cpu_of(mill, "burn") < burned_s * 0.99 || cpu_of(mill, "burn") > burned_s * 1.05)
        fail_msg("burned %f s, billed %f", burned_s, cpu_of(mill, "burn"));
    if (cpu_of(mill, "wait") > waited_s / 4) fail_msg("waited %f s, billed %f s of CPU", waited_s, cpu_of(mill, "wait"));
    mill_stop(mill);
}

/* Jobs of two events that are too short to be measured each. */
struct crowd {
    _Atomic int64_t taken_ns; /* by the threads, from their first job on */
};

static int note_begin(void **thread, void *user)
{
    double *begun_s = malloc(sizeof *begun_s);
    (void)user;
    if (!begun_s) return 1;
    *begun_s = thread_s();
    *thread = begun_s;
    return 0;
}

static void note_end(void *thread, void *user)
{
    struct crowd *crowd = user;
    double *begun_s = thread;
    atomic_fetch_add(&crowd->taken_ns, (int64_t)((thread_s() - *begun_s) * 1e9));
    free(begun_s);
}

static void put_crowd(struct scene *scene, int n)
{
    for (int i = 0; i < n; i++) {
        redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "five", "data", "5");
        redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "fifteen", "data", "15");
    }
}

/* All of it is on the bill, and no more than the threads took; each has at least its own, but for what the sharing may get wrong. */
static void short_jobs_are_billed_in_sum_to_a_few_percent(void **state)
{
    enum { JOBS = 8000 };
    struct scene *scene = *state;
    struct crowd crowd = {0};
    struct mill *mill = mill_new(scene, "threads", "2", NULL);
    mill_on(mill, &(quern_handler){
                      .event = "five", .run = burn_data, .thread_open = note_begin, .thread_close = note_end, .user = &crowd});
    mill_on(mill, &(quern_handler){.event = "fifteen", .run = burn_data});
    put_crowd(scene, JOBS);
    mill_start(mill);
    wait_for(jobs_of(mill, "five", "done") == JOBS && jobs_of(mill, "fifteen", "done") == JOBS);
    quern_config *without = mill_config(mill, NULL); /* closes what the threads have opened, and the measurement */
    config_on(without, &(quern_handler){.event = "none", .run = mill_grind, .user = mill});
    mill_reloads(mill, without);
    wait_for(crowd.taken_ns > 0);
    double five_s = cpu_of(mill, "five"), fifteen_s = cpu_of(mill, "fifteen"), burned_s = JOBS * 20 / 1e6;
    mill_stop(mill);
    double taken_s = (double)crowd.taken_ns / 1e9;
    print_message("five: %f s, fifteen: %f s; burned %f s, the threads took %f s\n", five_s, fifteen_s, burned_s, taken_s);
    assert_true(five_s + fifteen_s >= burned_s * 0.98);
    assert_true(five_s + fifteen_s <= taken_s * 1.02);
    assert_true(five_s >= JOBS * 5 / 1e6 * 0.8 && fifteen_s >= JOBS * 15 / 1e6 * 0.8);
}

/* ── notices ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_notice_tells_the_cpu_of_its_job_where_it_was_measured(void **state)
{
    struct scene *scene = *state;
    struct told *told = calloc(1, sizeof *told);
    struct mill *mill = mill_new(scene, "threads", "1", NULL);
    quern_config_observe(mill->config, QUERN_NOTICE_JOB, take, told);
    mill_on(mill, &(quern_handler){.event = "long", .run = burn_data});
    mill_on(mill, &(quern_handler){.event = "short", .run = refuse});
    mill_start(mill);
    for (int i = 0; i < 3; i++) redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "long", "data", "20000");
    wait_for(told->count == 3);
    for (int i = 0; i < 3; i++) assert_in_range(told->cpu_us[i], 19990, told->run_us[i] + 1000);
    int unmeasured = 0; /* from when on depends on how often the thread is kept from its core */
    for (int i = 3; !unmeasured && i < TOLD; i++) {
        put(scene, "short", 1);
        wait_for(told->count == i + 1);
        unmeasured += told->cpu_us[i] == -1;
    }
    assert_int_equal(unmeasured, 1);
    mill_stop(mill);
    free(told);
}

static void who_pulls_a_job_has_its_time_on_the_bill_but_no_cpu(void **state)
{
    struct scene *scene = *state;
    struct told *told = calloc(1, sizeof *told);
    struct mill *mill = mill_new(scene, "threads", "1", NULL);
    quern_config_observe(mill->config, QUERN_NOTICE_JOB, take, told);
    mill_on(mill, &(quern_handler){.event = "*", .run = quern_pulled});
    mill_start(mill);
    put(scene, "far", 1);
    quern_job *job = NULL;
    if (quern_pull(mill->pool, PATIENCE_MS, &job, &mill->error)) fail_msg("%s", mill->error.text);
    burn_us(30000);
    assert_int_equal(quern_pool_finish(mill->pool, quern_job_ticket(job), QUERN_DONE, NULL), QUERN_OK);
    wait_for(told->count == 1);
    assert_int_equal(told->cpu_us[0], -1);
    assert_true(billed(mill, "*", "run_ms", "max") >= 30 && jobs_of(mill, "*", "done") == 1 && cpu_of(mill, "*") < 1e-9);
    mill_stop(mill);
    free(told);
}

/* A handler that does not return in time: its job ends without it, and what it burns later is billed when it returns. */
static void a_job_that_is_taken_from_its_handler_is_on_the_bill_once(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "1", "retry_limit", "0", NULL);
    mill_on(mill,
            &(quern_handler){.event = "stuck", .run = mill_grind, .policy = "{\"timeout_ms\": 20, \"timeout_grace_ms\": 20}"});
    mill->is_shut = true;
    mill->work_us = 10000;
    mill_start(mill);
    put(scene, "stuck", 1);
    wait_for(jobs_of(mill, "stuck", "dead") == 1);
    mill->is_shut = false;
    wait_for(mill_stat(mill, NULL, "threads_stuck") == 0 && cpu_of(mill, "stuck") >= 0.01);
    assert_int_equal(jobs_of(mill, "stuck", "jobs"), 1);
    assert_int_equal(lines_of(mill), 1);
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(percentiles_are_those_of_the_times_that_each_job_was_told),
        SCENE(each_event_has_a_line_of_its_own),
        SCENE(names_that_publishers_think_of_make_no_lines),
        SCENE(a_reload_keeps_the_bill),
        SCENE(cpu_is_billed_to_who_burns_it_and_not_to_who_waits),
        SCENE(short_jobs_are_billed_in_sum_to_a_few_percent),
        SCENE(a_notice_tells_the_cpu_of_its_job_where_it_was_measured),
        SCENE(who_pulls_a_job_has_its_time_on_the_bill_but_no_cpu),
        SCENE(a_job_that_is_taken_from_its_handler_is_on_the_bill_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
