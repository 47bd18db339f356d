/* SPDX-License-Identifier: MIT */

/* bench/measure: one figure of quern's, in a process of its own, as a line of JSON. tests/bench/run calls it in turn with the yardstick.
 *
 *     measure publish URL STREAM JOBS BYTES plain|raw|marked|unique|later [AT_ONCE]    messages per second, 1024 in a quern_publish()
 *     measure drain URL STREAM JOBS THREADS [KEY VALUE …]           jobs per second, from the first handler to the last acknowledgement
 *     measure work URL STREAM JOBS THREADS MICROSECONDS             the share of THREADS × time that is spent in the handler
 *     measure burn JOBS THREADS MICROSECONDS                        the same of bare threads, without jobs: what the machine gives
 *     measure latency URL STREAM JOBS EVERY_US                      from quern_publish()'s call to the handler's first line
 *     measure flat URL STREAM JOBS                                  memory at the end in relation to that after a fifth, both ends in one process
 *     measure idle URL STREAM MILLISECONDS                          CPU of a pool with nothing to do
 *     measure start URL STREAM TIMES                                from quern_pool_start() to the first job; and a stop with nothing running
 *
 * cpu_us is our process's, per job, user and system. Of the middle of a drain, without start and stop: mallocs per job, and cost_us, the CPU of
 * both our process and the server whose pid is in BENCH_SERVER. More may be waiting than JOBS. */
#include "allocations.h"

#include <poll.h>
#include <pthread.h>
#include <quern.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { BATCH = 1024, LATENCIES_MAX = 1000000, THREADS_MAX = 64 };

static _Atomic int64_t handled, first_ns, last_ns;
static int64_t work_ns;
static int64_t *latencies_ns;
static sem_t has_come;

static void die(const char *what)
{
    fprintf(stderr, "measure: %s\n", what);
    exit(1);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* User and system, in microseconds. */
static double cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* Now, unlike rss_mb(). */
static double rss_pages(void)
{
    long all, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &all, &resident) != 2) die("/proc/self/statm");
    fclose(file);
    return (double)resident;
}

/* The most that it ever was. */
static double rss_mb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

static quern_config *configure(const char *url, const char *stream)
{
    quern_error error;
    quern_config *config = quern_config_new();
    if (!config || quern_config_set(config, "redis", url, &error) || quern_config_set(config, "stream", stream, &error))
        die("no configuration");
    return config;
}

static void set(quern_config *config, const char *key, const char *value)
{
    quern_error error;
    if (quern_config_set(config, key, value, &error)) die(error.text);
}

/* ── handlers ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static quern_verdict count_it(quern_job *job, void *thread, void *user)
{
    (void)job, (void)thread, (void)user;
    if (atomic_fetch_add_explicit(&handled, 1, memory_order_relaxed) == 0) atomic_store(&first_ns, now_ns());
    return QUERN_DONE;
}

/* Its data is when it was published. */
static quern_verdict time_it(quern_job *job, void *thread, void *user)
{
    int64_t at_ns = now_ns(), place = atomic_fetch_add(&handled, 1);
    (void)thread, (void)user;
    if (place < LATENCIES_MAX) latencies_ns[place] = at_ns - strtoll(quern_job_data(job).at, NULL, 10);
    sem_post(&has_come);
    return QUERN_DONE;
}

static quern_pool *start(quern_config *config, quern_verdict (*run)(quern_job *, void *, void *))
{
    quern_error error;
    const quern_handler handler = {.size = sizeof handler, .event = "*", .run = run};
    if (quern_config_on(config, &handler, &error)) die(error.text);
    quern_pool *pool = quern_pool_start(config, &error);
    if (!pool) die(error.text);
    return pool;
}

static void stop(quern_pool *pool)
{
    quern_error error;
    quern_pool_stop(pool);
    if (quern_pool_join(pool, -1, &error) || quern_pool_free(pool)) die(error.text);
}

/* ── publishing ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static void publish(int argc, char **argv)
{
    int64_t jobs = atoll(argv[0]), at_once = argc > 3 ? atoll(argv[3]) : BATCH;
    size_t bytes = (size_t)atol(argv[1]);
    if (at_once < 1 || at_once > BATCH) die("AT_ONCE is a number from 1 to 1024");
    quern_config *config = configure(argv[-2], argv[-1]);
    set(config, "publish_marked", strcmp(argv[2], "plain") && strcmp(argv[2], "raw") ? "true" : "false");
    set(config, "batch_size", "128");
    quern_error error;
    quern_publisher *publisher = quern_publisher_open(config, &error);
    char *data = malloc(bytes + 1), (*keys)[24] = malloc(BATCH * sizeof *keys);
    quern_message *messages = calloc(BATCH, sizeof *messages);
    if (!publisher || !data || !keys || !messages) die("no publisher");
    memset(data, 'x', bytes);
    data[0] = data[bytes - 1] = '"';
    double cpu = cpu_us();
    int64_t from_ns = now_ns();
    for (int64_t done = 0; done < jobs;) {
        size_t n = (size_t)(jobs - done < at_once ? jobs - done : at_once);
        for (size_t i = 0; i < n; i++) {
            messages[i] = (quern_message){.size = sizeof *messages, .event = "bench.noop", .data = {data, bytes}};
            messages[i].is_raw = strcmp(argv[2], "raw") == 0; /* nothing to be checked for JSON */
            if (strcmp(argv[2], "later") == 0) messages[i].delay_ms = 3600000;
            if (strcmp(argv[2], "unique") != 0) continue;
            snprintf(keys[i], sizeof keys[i], "%lld", (long long)(done + (int64_t)i));
            messages[i].unique = keys[i];
        }
        if (quern_publish(publisher, messages, n, NULL, &error)) die(error.text);
        done += (int64_t)n;
    }
    double seconds = (double)(now_ns() - from_ns) / 1e9;
    printf("{\"per_s\":%.0f,\"cpu_us\":%.3f}\n", (double)jobs / seconds, (cpu_us() - cpu) / (double)jobs);
}

/* ── draining ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int64_t stat_of(quern_pool *pool, const char *name)
{
    char *text = quern_pool_stats(pool), wanted[32];
    snprintf(wanted, sizeof wanted, "\"%s\":", name);
    const char *found = text ? strstr(text, wanted) : NULL;
    int64_t number = found ? strtoll(found + strlen(wanted), NULL, 10) : -1;
    quern_free(text);
    return number;
}

static void wait_until_done(quern_pool *pool, int64_t jobs)
{
    while (atomic_load_explicit(&handled, memory_order_relaxed) < jobs) poll(NULL, 0, 5); /* cheaper than to ask the pool */
    while (stat_of(pool, "done") < jobs) poll(NULL, 0, 2);
}

/* What has been used so far. */
struct usage {
    int64_t jobs, mallocs;
    double cpu_us, server_us;
};

/* CPU of the server whose pid is in BENCH_SERVER; 0: none is. */
static double server_us(void)
{
    const char *pid = getenv("BENCH_SERVER");
    char path[64];
    long long ns = 0;
    if (!pid) return 0;
    snprintf(path, sizeof path, "/proc/%s/schedstat", pid);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%lld", &ns) != 1) die(path);
    fclose(file);
    return (double)ns / 1e3;
}

static struct usage usage_once(int64_t jobs)
{
    while (atomic_load(&handled) < jobs) poll(NULL, 0, 5);
    return (struct usage){atomic_load(&handled), allocations_count(), cpu_us(), server_us()};
}

static void drain(int argc, char **argv)
{
    int64_t jobs = atoll(argv[0]);
    quern_config *config = configure(argv[-2], argv[-1]);
    set(config, "threads", argv[1]);
    for (int i = 2; i + 1 < argc; i += 2) set(config, argv[i], argv[i + 1]);
    double cpu = cpu_us();
    quern_pool *pool = start(config, count_it);
    struct usage from = usage_once(jobs / 5), to = usage_once(jobs / 5 * 4); /* without start and stop */
    wait_until_done(pool, jobs);
    double seconds = (double)(now_ns() - atomic_load(&first_ns)) / 1e9, taken = (cpu_us() - cpu) / (double)jobs;
    stop(pool);
    double ran = (double)(to.jobs > from.jobs ? to.jobs - from.jobs : 1);
    printf("{\"per_s\":%.0f,\"cpu_us\":%.3f,\"rss_mb\":%.1f,\"mallocs\":%.4f,\"cost_us\":%.4f}\n", (double)jobs / seconds,
           taken, rss_mb(), (double)(to.mallocs - from.mallocs) / ran,
           (to.cpu_us - from.cpu_us + to.server_us - from.server_us) / ran);
}

static void burn_once(void)
{
    int64_t end_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + work_ns;
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns) continue;
}

static quern_verdict burn_it(quern_job *job, void *thread, void *user)
{
    quern_verdict verdict = count_it(job, thread, user);
    burn_once();
    atomic_store(&last_ns, now_ns());
    return verdict;
}

static void *burn_all(void *jobs)
{
    while (atomic_fetch_sub((_Atomic int64_t *)jobs, 1) > 0) burn_once();
    return NULL;
}

static void burn(char **argv)
{
    _Atomic int64_t left = atoll(argv[0]);
    double jobs = atof(argv[0]);
    int threads = atoi(argv[1]);
    pthread_t at[THREADS_MAX];
    work_ns = atoll(argv[2]) * 1000;
    if (threads < 1 || threads > THREADS_MAX) die("THREADS is a number from 1 to 64");
    int64_t from_ns = now_ns();
    for (int i = 0; i < threads; i++)
        if (pthread_create(&at[i], NULL, burn_all, &left)) die("no thread");
    for (int i = 0; i < threads; i++) pthread_join(at[i], NULL);
    printf("{\"share\":%.4f}\n", jobs * (double)work_ns / ((double)(now_ns() - from_ns) * threads));
}

static void work(char **argv)
{
    int64_t jobs = atoll(argv[0]);
    quern_config *config = configure(argv[-2], argv[-1]);
    set(config, "threads", argv[1]);
    work_ns = atoll(argv[2]) * 1000;
    quern_pool *pool = start(config, burn_it);
    while (atomic_load(&handled) < jobs) poll(NULL, 0, 100); /* takes none of the time that is measured */
    wait_until_done(pool, jobs);
    double wall_ns = (double)(atomic_load(&last_ns) - atomic_load(&first_ns));
    stop(pool);
    printf("{\"share\":%.4f}\n", (double)jobs * (double)work_ns / (wall_ns * atof(argv[1])));
}

/* ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

/* every_us 0: the next as soon as the last one has been handled. */
static void latency(char **argv)
{
    int64_t jobs = atoll(argv[0]), every_ns = atoll(argv[1]) * 1000;
    quern_error error;
    quern_config *config = configure(argv[-2], argv[-1]);
    set(config, "publish_marked", "false"); /* a plain XADD, as what it is compared with sends */
    quern_publisher *publisher = quern_publisher_open(config, &error);
    sem_init(&has_come, 0, 0);
    latencies_ns = calloc(LATENCIES_MAX, sizeof *latencies_ns);
    if (!publisher || !latencies_ns || jobs > LATENCIES_MAX) die("too many jobs, or no publisher");
    quern_pool *pool = start(config, time_it);
    int64_t next_ns = now_ns();
    for (int64_t i = 0; i < jobs; i++) {
        char data[24];
        for (next_ns += every_ns; every_ns && now_ns() < next_ns;) {
            struct timespec until = {next_ns / 1000000000, next_ns % 1000000000};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        }
        int n = snprintf(data, sizeof data, "%lld", (long long)now_ns());
        const quern_message message = {.size = sizeof message, .event = "bench.noop", .data = {data, (size_t)n}};
        if (quern_publish(publisher, &message, 1, NULL, &error)) die(error.text);
        if (!every_ns) sem_wait(&has_come); /* who spun for it would take the time of who brings it */
    }
    wait_until_done(pool, jobs);
    stop(pool);
    qsort(latencies_ns, (size_t)jobs, sizeof *latencies_ns, compare);
    printf("{\"p50_us\":%.1f,\"p99_us\":%.1f}\n", (double)latencies_ns[jobs / 2] / 1e3,
           (double)latencies_ns[jobs * 99 / 100] / 1e3);
}

static double mean_of(const double *figures, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += figures[i];
    return sum / (double)n;
}

/* Jobs of 1 KiB are published as fast as they are worked off, so that the server's memory stays small, too. The process's own
 * is looked at FIGURES times: the mean of the last fifth in relation to the mean of the first, for it goes up and down a little. */
static void flat(char **argv)
{
    enum { BYTES = 1024, AHEAD = 20 * BATCH, FIGURES = 500, FIFTH = FIGURES / 5 };
    static double pages[FIGURES];
    int64_t looks = 0;
    int64_t jobs = atoll(argv[0]), published = 0;
    static char data[BYTES];
    static quern_message messages[BATCH];
    quern_error error;
    quern_config *config = configure(argv[-2], argv[-1]);
    quern_publisher *publisher = quern_publisher_open(config, &error);
    if (!publisher) die(error.text);
    memset(data, 'x', sizeof data);
    for (int i = 0; i < BATCH; i++)
        messages[i] =
            (quern_message){.size = sizeof *messages, .event = "bench.noop", .data = {data, sizeof data}, .is_raw = 1};
    quern_pool *pool = start(config, count_it);
    while (published < jobs) {
        if (quern_publish(publisher, messages, BATCH, NULL, &error)) die(error.text);
        published += BATCH;
        while (published - atomic_load(&handled) > AHEAD) poll(NULL, 0, 1);
        while (looks < FIGURES && published >= jobs * (looks + 1) / FIGURES) pages[looks++] = rss_pages();
    }
    wait_until_done(pool, published);
    stop(pool);
    printf("{\"grown\":%.4f,\"rss_mb\":%.1f}\n", mean_of(pages + FIGURES - FIFTH, FIFTH) / mean_of(pages, FIFTH), rss_mb());
}

static void idle(char **argv)
{
    quern_pool *pool = start(configure(argv[-2], argv[-1]), count_it);
    poll(NULL, 0, 1000);
    double cpu = cpu_us(), ms = atof(argv[0]);
    poll(NULL, 0, (int)ms);
    double taken = cpu_us() - cpu;
    printf("{\"cpu_share\":%.5f,\"rss_mb\":%.1f}\n", taken / (ms * 1000), rss_mb());
    fflush(stdout);
    stop(pool);
}

static void starts(char **argv)
{
    int times = atoi(argv[0]);
    quern_error error;
    double start_ms = 0, stop_ms = 0;
    quern_config *publishing = configure(argv[-2], argv[-1]);
    quern_publisher *publisher = quern_publisher_open(publishing, &error);
    const quern_message message = {.size = sizeof message, .event = "bench.noop", .data = {"1", 1}};
    for (int i = 0; i < times; i++) {
        if (!publisher || quern_publish(publisher, &message, 1, NULL, &error)) die(error.text);
        atomic_store(&handled, 0);
        quern_config *config = configure(argv[-2], argv[-1]);
        int64_t from_ns = now_ns();
        quern_pool *pool = start(config, count_it);
        while (!atomic_load(&handled)) poll(NULL, 0, 0);
        int64_t first = now_ns();
        wait_until_done(pool, 1);
        int64_t stopping_ns = now_ns();
        stop(pool);
        if ((double)(first - from_ns) / 1e6 > start_ms) start_ms = (double)(first - from_ns) / 1e6;
        if ((double)(now_ns() - stopping_ns) / 1e6 > stop_ms) stop_ms = (double)(now_ns() - stopping_ns) / 1e6;
        quern_config_free(config);
    }
    printf("{\"start_ms\":%.2f,\"stop_ms\":%.2f}\n", start_ms, stop_ms);
}

int main(int argc, char **argv)
{
    static const char *const words[] = {"publish", "drain", "work", "latency", "idle", "start", "burn", "flat"};
    static const int least[] = {7, 6, 7, 6, 5, 5, 5, 5};
    enum { KINDS = sizeof least / sizeof *least };
    int kind = 0;
    while (kind < KINDS && (argc < 2 || strcmp(argv[1], words[kind]) != 0)) kind++;
    if (kind == KINDS || argc < least[kind]) die("see the first comment of tests/bench/measure.c");
    char **rest = argv + 4;
    if (kind == 0) publish(argc - 4, rest);
    if (kind == 1) drain(argc - 4, rest);
    if (kind == 2) work(rest);
    if (kind == 3) latency(rest);
    if (kind == 4) idle(rest);
    if (kind == 5) starts(rest);
    if (kind == 6) burn(argv + 2);
    if (kind == 7) flat(rest);
    return 0;
}
