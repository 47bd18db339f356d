/* SPDX-License-Identifier: MIT */

/* bench/delayed: how late retries start that have waited for their time, and what their waiting costs others.
 *
 *     bench_delayed URL [JOBS [FROM_MS [TO_MS]]]
 *
 * JOBS jobs fail once and ask for another try after FROM_MS to TO_MS, evenly spread. Before they fail, and while all of them wait, as
 * many jobs are drained that do nothing. Prints jobs per second of both drains and the lateness of the retries in ms. */
#include <quern.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 1000 };

static struct {
    int jobs, from_ms, to_ms;
    int64_t *due_ms, *late_ms;
    _Atomic int failed, retried, drained;
} bench;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static quern_verdict fail_once(quern_job *job, void *thread, void *user)
{
    int i = atoi(quern_job_data(job).at);
    (void)thread, (void)user;
    if (quern_job_retries(job) == 0) {
        int64_t after_ms = bench.from_ms + (int64_t)(bench.to_ms - bench.from_ms) * i / bench.jobs;
        bench.due_ms[i] = now_ms() + after_ms;
        quern_job_retry_after(job, after_ms);
        atomic_fetch_add(&bench.failed, 1);
        return QUERN_RETRY;
    }
    bench.late_ms[i] = now_ms() - bench.due_ms[i];
    atomic_fetch_add(&bench.retried, 1);
    return QUERN_DONE;
}

static quern_verdict do_nothing(quern_job *job, void *thread, void *user)
{
    (void)job, (void)thread, (void)user;
    atomic_fetch_add(&bench.drained, 1);
    return QUERN_DONE;
}

static void give_up(const quern_error *error)
{
    fprintf(stderr, "%s\n", error->text);
    exit(1);
}

static void wait_for(_Atomic int *count, int n)
{
    while (atomic_load(count) < n) nanosleep(&(struct timespec){0, 1000000}, NULL);
}

static void publish(quern_publisher *publisher, const char *event)
{
    static quern_message messages[BATCH];
    static char numbers[BATCH][16];
    quern_error error;
    for (int from = 0; from < bench.jobs; from += BATCH) {
        int n = bench.jobs - from < BATCH ? bench.jobs - from : BATCH;
        for (int i = 0; i < n; i++) {
            int len = snprintf(numbers[i], sizeof numbers[i], "%d", from + i);
            messages[i] = (quern_message){.size = sizeof *messages, .event = event, .data = {numbers[i], (size_t)len}};
        }
        if (quern_publish(publisher, messages, (size_t)n, NULL, &error)) give_up(&error);
    }
}

/* Publishes and drains; jobs per second. */
static double drain(quern_publisher *publisher)
{
    int before = atomic_load(&bench.drained);
    int64_t from_ms = now_ms();
    publish(publisher, "nothing");
    wait_for(&bench.drained, before + bench.jobs);
    return bench.jobs * 1000.0 / (double)(now_ms() - from_ms);
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
    quern_error error = {0};
    if (argc < 2) return fprintf(stderr, "usage: bench_delayed URL [JOBS [FROM_MS [TO_MS]]]\n"), 2;
    bench.jobs = argc > 2 ? atoi(argv[2]) : 100000;
    bench.from_ms = argc > 3 ? atoi(argv[3]) : 8000;
    bench.to_ms = argc > 4 ? atoi(argv[4]) : 18000;
    bench.due_ms = calloc((size_t)bench.jobs, sizeof *bench.due_ms);
    bench.late_ms = calloc((size_t)bench.jobs, sizeof *bench.late_ms);
    quern_config *config = quern_config_new();
    quern_handler fails = {.size = sizeof fails, .event = "fails", .run = fail_once};
    quern_handler nothing = {.size = sizeof nothing, .event = "nothing", .run = do_nothing};
    if (quern_config_set(config, "redis", argv[1], &error) || quern_config_set(config, "stream", "bench", &error) ||
        quern_config_on(config, &fails, &error) || quern_config_on(config, &nothing, &error))
        give_up(&error);
    quern_publisher *publisher = quern_publisher_open(config, &error);
    quern_pool *pool = publisher ? quern_pool_start(config, &error) : NULL;
    if (!pool) give_up(&error);
    double alone = drain(publisher);
    publish(publisher, "fails");
    wait_for(&bench.failed, bench.jobs);
    double beside = drain(publisher);
    int early = atomic_load(&bench.retried);
    wait_for(&bench.retried, bench.jobs);
    qsort(bench.late_ms, (size_t)bench.jobs, sizeof *bench.late_ms, compare);
    printf("published and done per second: %.0f alone, %.0f while retries wait (%d of %d retried meanwhile)\n", alone, beside,
           early, bench.jobs);
    printf("retries late by ms: p0 %lld p50 %lld p99 %lld most %lld of %d\n", (long long)bench.late_ms[0],
           (long long)bench.late_ms[bench.jobs / 2], (long long)bench.late_ms[bench.jobs - 1 - bench.jobs / 100],
           (long long)bench.late_ms[bench.jobs - 1], bench.jobs);
    quern_pool_stop(pool);
    if (quern_pool_join(pool, 30000, &error)) give_up(&error);
    quern_pool_free(pool);
    quern_publisher_close(publisher);
    quern_config_free(config);
    free(bench.due_ms);
    free(bench.late_ms);
    return 0;
}
