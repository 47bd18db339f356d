/* SPDX-License-Identifier: MIT */
#include "support/mill.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/acl.h"

/* ── the handler ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static int64_t thread_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void burn_us(int64_t us)
{
    for (int64_t end_us = thread_us() + us; thread_us() < end_us;) {}
}

quern_verdict mill_grind(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    int number = atoi(quern_job_data(job).at), work_us = atomic_load(&mill->work_us);
    (void)thread;
    if (atomic_load(&mill->verdict) == QUERN_PENDING) atomic_store(&mill->ticket, quern_job_ticket(job));
    atomic_fetch_add(&mill->started, 1);
    atomic_fetch_add(&mill->inside, 1);
    if (work_us) burn_us(work_us);
    while (atomic_load(&mill->is_shut)) wait_breathe();
    if (number >= 0 && number < MILL_IDS) atomic_fetch_add(&mill->seen[number], 1);
    atomic_fetch_sub(&mill->inside, 1);
    atomic_fetch_add(&mill->ended, 1);
    return (quern_verdict)atomic_load(&mill->verdict);
}

/* ── what the pool tells ─────────────────────────────────────────────────────────────────────────────────────────── */

static void take_line(void *user, int level, const char *line)
{
    struct mill *mill = user;
    size_t len = strlen(line);
    (void)level;
    pthread_mutex_lock(&mill->lock);
    char *lines = realloc(mill->lines, mill->lines_len + len + 2);
    if (lines) {
        memcpy(lines + mill->lines_len, line, len);
        memcpy(lines + mill->lines_len + len, "\n", 2);
        mill->lines = lines;
        mill->lines_len += len + 1;
    }
    pthread_mutex_unlock(&mill->lock);
}

static void take_notice(void *user, const quern_notice *notice)
{
    struct mill *mill = user;
    pthread_mutex_lock(&mill->lock);
    if (notice->what == QUERN_NOTICE_JOB) mill->last_job = *notice;
    pthread_mutex_unlock(&mill->lock);
    atomic_fetch_add(&mill->told[notice->what], 1);
}

void mill_forget_lines(struct mill *mill)
{
    pthread_mutex_lock(&mill->lock);
    free(mill->lines);
    mill->lines = NULL;
    mill->lines_len = 0;
    pthread_mutex_unlock(&mill->lock);
}

int mill_lines(struct mill *mill, const char *words)
{
    int found = 0;
    pthread_mutex_lock(&mill->lock);
    for (const char *at = mill->lines; at && (at = strstr(at, words)); at = strchr(at, '\n')) found++;
    pthread_mutex_unlock(&mill->lock);
    return found;
}

long long mill_stat(struct mill *mill, const char *part, const char *name)
{
    char *text = quern_pool_stats(mill->pool);
    assert_non_null(text);
    json_t *stats = json_loads(text, 0, NULL), *in = part ? json_object_get(stats, part) : stats;
    json_t *value = json_object_get(in, name);
    if (!json_is_integer(value)) fail_msg("no %s.%s in %s", part ? part : "", name, text);
    long long number = json_integer_value(value);
    json_decref(stats);
    quern_free(text);
    return number;
}

static bool seen_between(const struct mill *mill, int from, int n, int least, int most)
{
    for (int i = from; i < from + n; i++) {
        int seen = atomic_load(&mill->seen[i]);
        if (seen < least || seen > most) return false;
    }
    return true;
}

bool mill_has_seen(const struct mill *mill, int from, int n)
{
    return seen_between(mill, from, n, 1, 255);
}

bool mill_has_seen_once(const struct mill *mill, int from, int n)
{
    return seen_between(mill, from, n, 1, 1);
}

/* ── starting and stopping ───────────────────────────────────────────────────────────────────────────────────────── */

void mill_set(struct mill *mill, const char *key, const char *value)
{
    if (quern_config_set(mill->config, key, value, &mill->error)) fail_msg("%s", mill->error.text);
}

void mill_on(struct mill *mill, const quern_handler *handler)
{
    quern_handler whole = *handler;
    whole.size = sizeof whole;
    if (!whole.user) whole.user = mill;
    if (quern_config_on(mill->config, &whole, &mill->error)) fail_msg("%s", mill->error.text);
}

/* is_of_many: the key queues says which streams it serves. */
static struct mill *mill_make(struct scene *scene, bool is_of_many)
{
    struct mill *mill = calloc(1, sizeof *mill);
    assert_non_null(mill);
    pthread_mutex_init(&mill->lock, NULL);
    mill->redis = &scene->redis;
    mill->verdict = QUERN_DONE;
    mill->config = quern_config_new();
    assert_non_null(mill->config);
    mill_set(mill, "redis", scene->redis.url);
    if (!is_of_many) mill_set(mill, "stream", "jobs");
    mill_set(mill, "group", "g");
    mill_set(mill, "threads", "2");
    quern_config_log(mill->config, take_line, mill);
    quern_config_observe(mill->config, QUERN_NOTICE_ALL, take_notice, mill);
    return mill;
}

struct mill *mill_new(struct scene *scene, ...)
{
    va_list keys;
    bool is_of_many = false;
    va_start(keys, scene);
    for (const char *key; (key = va_arg(keys, const char *)); va_arg(keys, const char *))
        is_of_many |= strcmp(key, "queues") == 0;
    va_end(keys);
    struct mill *mill = mill_make(scene, is_of_many);
    size_t place = 0;
    while (place < MILLS - 1 && scene->mills[place]) place++;
    assert_null(scene->mills[place]);
    scene->mills[place] = mill;
    va_list args;
    va_start(args, scene);
    for (const char *key; (key = va_arg(args, const char *));) mill_set(mill, key, va_arg(args, const char *));
    va_end(args);
    return mill;
}

void mill_start(struct mill *mill)
{
    mill->pool = quern_pool_start(mill->config, &mill->error);
    if (!mill->pool) fail_msg("%s", mill->error.text);
}

struct mill *mill_started(struct mill *mill)
{
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    mill_start(mill);
    return mill;
}

void mill_stop(struct mill *mill)
{
    quern_pool_stop(mill->pool);
    if (quern_pool_join(mill->pool, PATIENCE_MS, &mill->error)) fail_msg("%s", mill->error.text);
    assert_int_equal(quern_pool_free(mill->pool), QUERN_OK);
    mill->pool = NULL;
}

/* Of a test that failed, perhaps: what does not end is left to the process. */
static void mill_free(struct mill *mill)
{
    atomic_store(&mill->is_shut, false);
    quern_pool_stop(mill->pool);
    if (mill->pool && quern_pool_join(mill->pool, PATIENCE_MS, NULL)) return;
    if (quern_pool_free(mill->pool)) return;
    quern_config_free(mill->config);
    pthread_mutex_destroy(&mill->lock);
    free(mill->lines);
    free(mill);
}

/* ── a test that waits in vain ───────────────────────────────────────────────────────────────────────────────────────── */

enum { TOLD_BYTES = 8000 };

static struct scene *watched; /* the one whose test runs */

/* The statistics and the end of the log of each pool. */
static void tell_of_mill(struct mill *mill, size_t number)
{
    char *stats = quern_pool_stats(mill->pool);
    print_error("mill %zu: started %d, ended %d, inside %d; %s\n", number, mill->started, mill->ended, mill->inside,
                stats ? stats : "stopped");
    quern_free(stats);
    pthread_mutex_lock(&mill->lock);
    const char *end = mill->lines ? mill->lines + mill->lines_len : "";
    for (size_t from = mill->lines_len > TOLD_BYTES ? mill->lines_len - TOLD_BYTES : 0; from < mill->lines_len; from += 500)
        print_error("%.500s", end - (mill->lines_len - from));
    pthread_mutex_unlock(&mill->lock);
}

static void tell_of_scene(void)
{
    for (size_t i = 0; watched && i < MILLS && watched->mills[i]; i++) tell_of_mill(watched->mills[i], i);
}

/* ── the scene ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void *nothing(void *given)
{
    return given;
}

/* A sanitizer starts a thread of its own with the first one of ours: before anybody counts threads. */
static void start_first_thread(void)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, nothing, NULL), 0);
    pthread_join(thread, NULL);
}

int scene_open_with(void **state, const struct redis_options *options)
{
    start_first_thread();
    acl_set_aside(false);
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    redis_start(&scene->redis, options);
    wait_witness = tell_of_scene;
    watched = *state = scene;
    return 0;
}

int scene_open(void **state)
{
    return scene_open_with(state, NULL);
}

int scene_open_aof(void **state)
{
    return scene_open_with(state, &(struct redis_options){.has_aof = true});
}

int scene_open_password(void **state)
{
    return scene_open_with(state, &(struct redis_options){.password = "swordfish"});
}

int scene_close(void **state)
{
    struct scene *scene = *state;
    watched = NULL;
    for (size_t i = 0; i < MILLS && scene->mills[i]; i++) mill_free(scene->mills[i]);
    quern_publisher_close(scene->publisher);
    quern_config_free(scene->publishing);
    redis_end(&scene->redis);
    free(scene);
    return 0;
}

static void open_publisher(struct scene *scene)
{
    quern_error error = {0};
    scene->publishing = quern_config_new();
    if (quern_config_set(scene->publishing, "redis", scene->redis.url, &error) ||
        quern_config_set(scene->publishing, "stream", "jobs", &error) ||
        !(scene->publisher = quern_publisher_open(scene->publishing, &error)))
        fail_msg("%s", error.text);
}

void scene_publish(struct scene *scene, int from, int n)
{
    enum { NUMBER_SIZE = 8 };
    quern_error error = {0};
    quern_message *messages = calloc((size_t)n, sizeof *messages);
    char(*numbers)[NUMBER_SIZE] = calloc((size_t)n, sizeof *numbers);
    assert_true(messages && numbers);
    for (int i = 0; i < n; i++) {
        int len = snprintf(numbers[i], NUMBER_SIZE, "%d", (from + i) % 1000000);
        messages[i] = (quern_message){.size = sizeof *messages, .event = "job", .data = {numbers[i], (size_t)len}};
    }
    if (!scene->publisher) open_publisher(scene);
    if (quern_publish(scene->publisher, messages, (size_t)n, NULL, &error)) fail_msg("%s", error.text);
    free(messages);
    free(numbers);
}
