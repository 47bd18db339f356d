/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/bench.h"

enum { CALL = 1024 /* messages of one call */, CALL_BYTES = 4 * 1024 * 1024, PAUSE_MS = 3, LOOK_MS = 1 };

volatile sig_atomic_t bench_is_stopped;

static int stopped(void)
{
    say("stopped by a signal: nothing was measured to the end");
    return EXIT_FAILED;
}

/* ── the handlers ────────────────────────────────────────────────────────────────────────────────────────────────── */

static int lane_open(void **thread, void *user)
{
    struct bench *bench = user;
    unsigned number = atomic_fetch_add(&bench->lane_count, 1);
    *thread = &bench->lanes[number % BENCH_LANES];
    return 0;
}

static quern_verdict do_nothing(quern_job *job, void *thread, void *user)
{
    struct lane *lane = thread;
    (void)job, (void)user;
    if (!atomic_load_explicit(&lane->began_us, memory_order_relaxed)) atomic_store(&lane->began_us, gauge_now_us());
    return QUERN_DONE;
}

static quern_verdict say_heard(quern_job *job, void *thread, void *user)
{
    struct bench *bench = user;
    atomic_store(&bench->heard_us, gauge_now_us());
    (void)job, (void)thread;
    return write(bench->heard_fd, &(uint64_t){1}, sizeof(uint64_t)) == sizeof(uint64_t) ? QUERN_DONE : QUERN_RETRY;
}

int bench_add_handlers(struct bench *bench, quern_error *err)
{
    const quern_handler drained = {
        .size = sizeof drained, .event = BENCH_DRAIN, .run = do_nothing, .thread_open = lane_open, .user = bench};
    const quern_handler single = {.size = sizeof single, .event = BENCH_SINGLE, .run = say_heard, .user = bench};
    int code = quern_config_on(bench->config, &drained, err);
    return code ? code : quern_config_on(bench->config, &single, err);
}

/* ── fill ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

quern_message bench_message(const struct bench *bench, const char *event)
{
    return (quern_message){.size = sizeof(quern_message), .event = event, .data = {bench->data, (size_t)bench->bytes}};
}

static int publish_all(struct bench *bench, quern_message *messages, quern_error *err)
{
    int64_t call = CALL_BYTES / bench->bytes;
    call = call > CALL ? CALL : call ? call : 1;
    for (int64_t i = 0; i < call; i++) messages[i] = bench_message(bench, BENCH_DRAIN);
    for (int64_t left = bench->jobs; left > 0 && !bench_is_stopped; left -= call) {
        int code = quern_publish(bench->publisher, messages, (size_t)(left < call ? left : call), NULL, err);
        if (code) return code;
    }
    return QUERN_OK;
}

static int fill(struct bench *bench)
{
    quern_error err;
    quern_message *messages = calloc(CALL, sizeof *messages);
    int code = messages ? gauge_begin(bench->config, bench->reading, &err) : QUERN_E_MEMORY;
    if (!messages) err = (quern_error){.code = code, .text = "no memory for messages"};
    bench->has_keys = true;
    if (!code) code = publish_all(bench, messages, &err);
    if (!code && !bench_is_stopped) code = gauge_end(bench->config, &bench->server, bench->reading, 0, &bench->fill, &err);
    free(messages);
    if (code) return bench_failed(&err);
    return bench_is_stopped ? stopped() : EXIT_DONE;
}

/* ── drain ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Of the pool's statistics; part NULL: at the top. */
static int64_t stat_of(const struct bench *bench, const char *part, const char *name)
{
    char *text = quern_pool_stats(bench->pool);
    json_t *stats = text ? json_loads(text, 0, NULL) : NULL;
    int64_t number = json_integer_value(json_object_get(part ? json_object_get(stats, part) : stats, name));
    json_decref(stats);
    quern_free(text);
    return number;
}

static int64_t first_job_us(const struct bench *bench)
{
    int64_t first_us = 0;
    for (size_t i = 0; i < BENCH_LANES; i++) {
        int64_t began_us = atomic_load(&bench->lanes[i].began_us);
        if (began_us && (!first_us || began_us < first_us)) first_us = began_us;
    }
    return first_us;
}

/* Until all are settled. No deadline: as long as it goes on, however slowly. */
static int wait_drained(const struct bench *bench, quern_error *err)
{
    int64_t done = 0, since_us = gauge_now_us();
    while (done < bench->jobs && !bench_is_stopped) {
        poll(NULL, 0, LOOK_MS);
        int64_t now = stat_of(bench, "jobs", "done");
        if (now != done) since_us = gauge_now_us();
        done = now;
        if (gauge_now_us() - since_us < BENCH_PATIENCE_MS * INT64_C(1000)) continue;
        *err = (quern_error){.code = QUERN_E_TIMEOUT};
        snprintf(err->text, sizeof err->text, "no job was settled for %d s; %" PRId64 " of %" PRId64 " were before",
                 BENCH_PATIENCE_MS / 1000, done, bench->jobs);
        return QUERN_E_TIMEOUT;
    }
    return QUERN_OK;
}

static int drain(struct bench *bench)
{
    quern_error err;
    int code = gauge_begin(bench->config, bench->reading, &err);
    if (!code && !(bench->pool = quern_pool_start(bench->config, &err))) code = err.code;
    if (!code) code = wait_drained(bench, &err);
    if (!code && !bench_is_stopped)
        code = gauge_end(bench->config, &bench->server, bench->reading, first_job_us(bench), &bench->drain, &err);
    if (code) return bench_failed(&err);
    bench->threads = stat_of(bench, NULL, "threads");
    return bench_is_stopped ? stopped() : EXIT_DONE;
}

/* ── single jobs ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static int wait_heard(const struct bench *bench, quern_error *err)
{
    uint64_t count;
    struct pollfd at = {.fd = bench->heard_fd, .events = POLLIN};
    int n = poll(&at, 1, BENCH_PATIENCE_MS);
    if (n == 1 && read(bench->heard_fd, &count, sizeof count) == sizeof count) return QUERN_OK;
    if (bench_is_stopped) return QUERN_OK;
    *err = (quern_error){.code = QUERN_E_TIMEOUT};
    snprintf(err->text, sizeof err->text, "a single job was not begun within %d s", BENCH_PATIENCE_MS / 1000);
    return QUERN_E_TIMEOUT;
}

static int compare(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

/* One job at a time, with pauses of no fixed length: nothing that beats in the pool is always met at the same moment. */
static int pace(struct bench *bench)
{
    quern_error err;
    quern_message message = bench_message(bench, BENCH_SINGLE);
    int code = QUERN_OK;
    for (int i = 0; i < BENCH_PACED && !code && !bench_is_stopped; i++) {
        poll(NULL, 0, PAUSE_MS + i % PAUSE_MS);
        int64_t sent_us = gauge_now_us();
        code = quern_publish(bench->publisher, &message, 1, NULL, &err);
        if (!code) code = wait_heard(bench, &err);
        bench->latency_us[i] = atomic_load(&bench->heard_us) - sent_us;
    }
    if (code) return bench_failed(&err);
    if (bench_is_stopped) return stopped();
    qsort(bench->latency_us, BENCH_PACED, sizeof *bench->latency_us, compare);
    return EXIT_DONE;
}

int bench_run(struct bench *bench)
{
    int status = fill(bench);
    if (!status) status = drain(bench);
    return status ? status : pace(bench);
}
