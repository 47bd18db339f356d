/* SPDX-License-Identifier: MIT */

/* promises/progress: what runs is seen while it runs, with what its handler tells of it, and not any longer. */
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/mill.h"

/* ── what is seen ────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The statistics' running_jobs; to be given up. */
static json_t *seen_of(struct mill *mill)
{
    char *text = quern_pool_stats(mill->pool);
    json_t *stats = json_loads(text, 0, NULL), *jobs = json_incref(json_object_get(stats, "running_jobs"));
    assert_true(json_is_array(jobs));
    json_decref(stats);
    quern_free(text);
    return jobs;
}

static size_t count_seen(struct mill *mill)
{
    json_t *jobs = seen_of(mill);
    size_t count = json_array_size(jobs);
    json_decref(jobs);
    return count;
}

/* The only one; to be given up. */
static json_t *only_one(struct mill *mill)
{
    json_t *jobs = seen_of(mill), *job = json_incref(json_array_get(jobs, 0));
    assert_int_equal(json_array_size(jobs), 1);
    json_decref(jobs);
    return job;
}

static void text_is(const json_t *job, const char *name, const char *text)
{
    const char *is = json_string_value(json_object_get(job, name));
    if (!is || strcmp(is, text) != 0) fail_msg("%s: %s instead of %s", name, is ? is : "null", text);
}

static bool percent_is(struct mill *mill, double percent)
{
    json_t *job = only_one(mill);
    const json_t *is = json_object_get(job, "percent");
    bool it_is = percent < 0 ? json_is_null(is) : json_is_real(is) && fabs(json_real_value(is) - percent) < 0.01;
    json_decref(job);
    return it_is;
}

static bool note_is(struct mill *mill, const char *note)
{
    json_t *job = only_one(mill);
    bool it_is = strcmp(json_string_value(json_object_get(job, "note")), note) == 0;
    json_decref(job);
    return it_is;
}

static bool is_pending(struct mill *mill)
{
    json_t *job = only_one(mill), *is = json_object_get(job, "is_pending");
    bool it_is = json_is_true(is);
    json_decref(job);
    return it_is;
}

/* ── a handler that tells ────────────────────────────────────────────────────────────────────────────────────────── */

static struct {
    _Atomic bool is_new; /* there is something to tell */
    double percent;
    const char *note;
    _Atomic int thread;
    _Atomic int verdict;
    _Atomic uint64_t ticket;
} told;

static void tell(double percent, const char *note)
{
    told.percent = percent;
    told.note = note;
    atomic_store(&told.is_new, true);
    wait_for(!told.is_new);
}

static quern_verdict run_and_tell(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    (void)thread;
    atomic_store(&told.thread, (int)gettid());
    atomic_store(&told.ticket, quern_job_ticket(job));
    burn_us(atomic_load(&mill->work_us));
    atomic_fetch_add(&mill->started, 1);
    while (atomic_load(&mill->is_shut) && !quern_job_cancelled(job)) {
        if (atomic_load(&told.is_new)) {
            quern_job_progress(job, told.percent, told.note);
            atomic_store(&told.is_new, false);
        }
        wait_breathe();
    }
    return (quern_verdict)atomic_load(&told.verdict);
}

/* One that runs a job, number 0, behind a gate; keys and values up to NULL. */
#define telling(scene, ...) began(scene, mill_new(scene, "threads", "1", __VA_ARGS__))
static struct mill *began(struct scene *scene, struct mill *mill)
{
    atomic_store(&told.verdict, QUERN_DONE);
    mill->is_shut = true;
    mill->work_us = 20000;
    mill_on(mill, &(quern_handler){.event = "*", .run = run_and_tell});
    mill_start(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->started == 1);
    return mill;
}

static void goes_on_and_is_gone(struct mill *mill)
{
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(count_seen(mill), 0);
    mill_stop(mill);
}

static void looks_right(struct mill *mill)
{
    json_t *job = only_one(mill);
    text_is(job, "event", "job");
    text_is(job, "stream", "jobs");
    text_is(job, "note", "");
    assert_true(json_is_null(json_object_get(job, "percent")));
    assert_int_equal(json_string_length(json_object_get(job, "id")), 36);
    assert_non_null(strchr(json_string_value(json_object_get(job, "entry")), '-'));
    assert_int_equal(json_integer_value(json_object_get(job, "thread")), atomic_load(&told.thread));
    assert_int_equal(json_integer_value(json_object_get(job, "retries")), 0);
    assert_true(json_is_false(json_object_get(job, "is_pending")));
    int64_t elapsed_ms = json_integer_value(json_object_get(job, "elapsed_ms"));
    assert_in_range(elapsed_ms, 20, PATIENCE_MS);
    assert_in_range(json_integer_value(json_object_get(job, "cpu_ms")), 18, elapsed_ms);
    json_decref(job);
}

static void a_job_is_seen_while_it_runs_with_what_it_tells(void **state)
{
    struct mill *mill = telling(*state, NULL);
    looks_right(mill);
    tell(12.34, "page 3 of 25");
    assert_true(percent_is(mill, 12.3) && note_is(mill, "page 3 of 25"));
    tell(50, NULL); /* the note stays */
    assert_true(percent_is(mill, 50) && note_is(mill, "page 3 of 25"));
    tell(50, "");
    assert_true(note_is(mill, ""));
    goes_on_and_is_gone(mill);
}

static void it_is_seen_as_well_where_a_journal_is_kept(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = telling(scene, "journal_dir", scene->redis.dir, NULL);
    looks_right(mill);
    tell(99.99, "almost");
    assert_true(percent_is(mill, 99.9) && note_is(mill, "almost"));
    char *others = quern_machine_jobs(mill->config, &mill->error); /* and does not touch our own */
    assert_string_equal(others, "[]");
    quern_free(others);
    goes_on_and_is_gone(mill);
}

static void percent_is_kept_within_its_bounds(void **state)
{
    struct mill *mill = telling(*state, NULL);
    static const struct {
        double told, seen;
    } rows[] = {{0, 0},     {100, 100}, {100.1, 100},    {INFINITY, 100}, {1e300, 100},
                {-0.1, -1}, {NAN, -1},  {-INFINITY, -1}, {0.04, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tell(rows[i].told, NULL);
        if (!percent_is(mill, rows[i].seen)) fail_msg("%f is not seen as %f", rows[i].told, rows[i].seen);
    }
    goes_on_and_is_gone(mill);
}

static void a_hostile_note_is_made_harmless_and_cut(void **state)
{
    struct mill *mill = telling(*state, NULL);
    static const struct {
        const char *told, *seen;
    } rows[] = {
        {"\x1b[2J\a\r\nx\x7f", "?[2J???x?"},
        {"a\xff\xc3(\xe2\x82z", "a?"
                                "?(?"
                                "?z"},
        {"\xc2\x9b"
         "1m \xe2\x80\xae"
         "evil",
         "?1m ?evil"},
        {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac"},
        {"0123456789012345678901234567890123456789012345678901234567890123456789",
         "012345678901234567890123456789012345678901234567890123456789"},
        {"01234567890123456789012345678901234567890123456789012345678\xe2\x82\xac",
         "01234567890123456789012345678901234567890123456789012345678"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tell(1, rows[i].told);
        if (!note_is(mill, rows[i].seen)) fail_msg("not seen as %s", rows[i].seen);
    }
    goes_on_and_is_gone(mill);
}

/* Written by anybody, into Redis: neither whole nor UTF-8. */
static void a_hostile_event_is_cut_or_shown_in_hex(void **state)
{
    struct scene *scene = *state;
    char event[200];
    memset(event, 'e', sizeof event);
    memcpy(event + 62, "\xe2\x82\xac", 3); /* would be cut in two */
    event[sizeof event - 1] = 0;
    struct mill *mill = mill_new(scene, "threads", "2", NULL);
    mill->is_shut = true;
    mill_on(mill, &(quern_handler){.event = "*", .run = run_and_tell});
    mill_start(mill);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "id", "1", "event", event, "data", "0");
    wait_for(mill->started == 1);
    event[62] = 0;
    json_t *job = only_one(mill);
    text_is(job, "event", event);
    json_decref(job);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "id", "2", "event", "\xff\x1b", "data", "0");
    wait_for(mill->started == 2);
    json_t *jobs = seen_of(mill), *other = json_array_get(jobs, 0);
    if (strcmp(json_string_value(json_object_get(other, "id")), "2") != 0) other = json_array_get(jobs, 1);
    text_is(other, "event_hex", "ff1b");
    json_decref(jobs);
    atomic_store(&mill->is_shut, false);
    mill_stop(mill);
}

/* ── jobs that a ticket ends ─────────────────────────────────────────────────────────────────────────────────────── */

static void a_pending_job_is_told_of_by_its_ticket(void **state)
{
    struct mill *mill = telling(*state, NULL);
    uint64_t ticket = atomic_load(&told.ticket);
    assert_int_equal(quern_pool_progress(mill->pool, ticket, 1, "before it returned"), QUERN_OK);
    assert_true(note_is(mill, "before it returned"));
    atomic_store(&told.verdict, QUERN_PENDING);
    atomic_store(&mill->is_shut, false);
    wait_for(is_pending(mill));
    assert_int_equal(quern_pool_progress(mill->pool, ticket, 70, "sent"), QUERN_OK);
    assert_true(percent_is(mill, 70) && note_is(mill, "sent"));
    json_t *job = only_one(mill);
    assert_true(json_is_null(json_object_get(job, "thread")) && json_is_null(json_object_get(job, "cpu_ms")));
    json_decref(job);
    assert_int_equal(quern_pool_progress(mill->pool, ticket + 1, 70, NULL), QUERN_E_GONE);
    assert_int_equal(quern_pool_progress(mill->pool, 0, 70, NULL), QUERN_E_GONE);
    assert_int_equal(quern_pool_progress(NULL, ticket, 70, NULL), QUERN_E_ARGUMENT);
    assert_int_equal(quern_pool_finish(mill->pool, ticket, QUERN_DONE, NULL), QUERN_OK);
    assert_int_equal(quern_pool_progress(mill->pool, ticket, 80, "too late"), QUERN_E_GONE);
    goes_on_and_is_gone(mill);
}

static void a_pulled_job_is_seen_with_the_thread_that_has_it(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "1", NULL);
    quern_job *pulled;
    mill_on(mill, &(quern_handler){.event = "*", .run = quern_pulled});
    mill_start(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "held") == 1);
    assert_int_equal(count_seen(mill), 0); /* it waits to be pulled */
    assert_int_equal(quern_pull(mill->pool, PATIENCE_MS, &pulled, &mill->error), QUERN_OK);
    quern_job_progress(pulled, 40, "by the host");
    assert_true(percent_is(mill, 40) && note_is(mill, "by the host"));
    json_t *job = only_one(mill);
    assert_int_equal(json_integer_value(json_object_get(job, "thread")), gettid());
    json_decref(job);
    uint64_t ticket = quern_job_ticket(pulled);
    assert_int_equal(quern_pool_progress(mill->pool, ticket, 41, NULL), QUERN_OK);
    assert_true(percent_is(mill, 41));
    assert_int_equal(quern_pool_finish(mill->pool, ticket, QUERN_DONE, NULL), QUERN_OK);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(count_seen(mill), 0);
    mill_stop(mill);
}

/* ── many ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Tells its own id, twice, so that what belongs to two jobs is seen. */
static quern_verdict tell_id(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    char id[40] = "";
    (void)thread;
    memcpy(id, quern_job_id(job).at, quern_job_id(job).len < 39 ? quern_job_id(job).len : 39);
    for (int i = 0; i <= 100; i += 50) {
        quern_job_progress(job, i, id);
        burn_us(20);
    }
    atomic_fetch_add(&mill->ended, 1);
    return QUERN_DONE;
}

static void what_is_seen_is_of_one_job_while_jobs_start_and_end(void **state)
{
    enum { JOBS = 10000 };
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "4", "prefetch_max", "1", NULL); /* few slots: each is used often */
    size_t rows = 0;
    mill_on(mill, &(quern_handler){.event = "*", .run = tell_id});
    scene_publish(scene, 0, JOBS);
    mill_start(mill);
    while (mill->ended < JOBS) {
        json_t *jobs = seen_of(mill), *job;
        size_t i;
        json_array_foreach(jobs, i, job)
        {
            const char *note = json_string_value(json_object_get(job, "note"));
            if (*note) text_is(job, "id", note);
            text_is(job, "event", "job");
            rows++;
        }
        json_decref(jobs);
    }
    wait_for(mill_stat(mill, "jobs", "done") == JOBS);
    assert_int_equal(count_seen(mill), 0);
    assert_true(rows > 0);
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_job_is_seen_while_it_runs_with_what_it_tells),
        SCENE(it_is_seen_as_well_where_a_journal_is_kept),
        SCENE(percent_is_kept_within_its_bounds),
        SCENE(a_hostile_note_is_made_harmless_and_cut),
        SCENE(a_hostile_event_is_cut_or_shown_in_hex),
        SCENE(a_pending_job_is_told_of_by_its_ticket),
        SCENE(a_pulled_job_is_seen_with_the_thread_that_has_it),
        SCENE(what_is_seen_is_of_one_job_while_jobs_start_and_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
