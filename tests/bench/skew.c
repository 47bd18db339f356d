/* SPDX-License-Identifier: MIT */

/* bench/skew: a long job among short ones, two processes of one thread each: does one of the short ones wait behind it, read ahead?
 *
 *     skew URL STREAM SHORT_JOBS
 *
 * Publishes half of the short jobs (10 ms each), the long one (2 s), the other half; then starts two processes, which run until all is done.
 * Handlers wait instead of working: how busy the machine is does not matter. Prints {"makespan":…}: from the first handler to the end of the
 * last one, in relation to half of all the work, or the long job, whichever is longer. */
#include <poll.h>
#include <quern.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SHORT_MS = 10, LONG_MS = 2000 };

/* What both processes see. */
static struct {
    _Atomic int64_t handled, first_ns, last_ns;
} * shared;

static void die(const char *what)
{
    fprintf(stderr, "skew: %s\n", what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static quern_verdict wait_for_it(quern_job *job, void *thread, void *user)
{
    int64_t none = 0;
    (void)thread, (void)user;
    atomic_compare_exchange_strong(&shared->first_ns, &none, now_ns());
    poll(NULL, 0, atoi(quern_job_data(job).at));
    atomic_store(&shared->last_ns, now_ns());
    atomic_fetch_add(&shared->handled, 1);
    return QUERN_DONE;
}

static quern_config *configure(const char *url, const char *stream)
{
    quern_error error;
    quern_config *config = quern_config_new();
    if (!config || quern_config_set(config, "redis", url, &error) || quern_config_set(config, "stream", stream, &error) ||
        quern_config_set(config, "threads", "1", &error))
        die("no configuration");
    return config;
}

static void publish(quern_config *config, int jobs)
{
    quern_error error;
    quern_publisher *publisher = quern_publisher_open(config, &error);
    if (!publisher) die(error.text);
    for (int i = 0; i <= jobs; i++) {
        char ms[16];
        int n = snprintf(ms, sizeof ms, "%d", i == jobs / 2 ? LONG_MS : SHORT_MS);
        const quern_message message = {.size = sizeof message, .event = "bench.wait", .data = {ms, (size_t)n}};
        if (quern_publish(publisher, &message, 1, NULL, &error)) die(error.text);
    }
    quern_publisher_close(publisher);
}

static void run(quern_config *config, int jobs)
{
    quern_error error;
    const quern_handler handler = {.size = sizeof handler, .event = "*", .run = wait_for_it};
    if (quern_config_on(config, &handler, &error)) die(error.text);
    quern_pool *pool = quern_pool_start(config, &error);
    if (!pool) die(error.text);
    while (atomic_load(&shared->handled) <= jobs) poll(NULL, 0, 2);
    quern_pool_stop(pool);
    if (quern_pool_join(pool, -1, &error)) die(error.text);
    quern_pool_free(pool);
}

int main(int argc, char **argv)
{
    if (argc != 4 || atoi(argv[3]) < 2) die("skew URL STREAM SHORT_JOBS");
    int jobs = atoi(argv[3]), status, failed = 0;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) die("no memory");
    quern_config *config = configure(argv[1], argv[2]);
    publish(config, jobs);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child < 0) die("no process");
        if (child) continue;
        run(config, jobs);
        _exit(0);
    }
    while (wait(&status) > 0) failed |= status;
    if (failed) die("a process has failed");
    double work_ms = (double)jobs * SHORT_MS + LONG_MS, ideal_ms = work_ms / 2 > LONG_MS ? work_ms / 2 : LONG_MS;
    printf("{\"makespan\":%.4f}\n", (double)(shared->last_ns - shared->first_ns) / 1e6 / ideal_ms);
    quern_config_free(config);
    return 0;
}
