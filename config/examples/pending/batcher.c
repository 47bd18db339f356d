/* SPDX-License-Identifier: MIT */

/* A handler that says QUERN_PENDING, and a thread that finishes its jobs together: lines are appended to a file, sixteen at a
 * time.
 *
 *      workers: line_append() ──ticket, line──▶ [list] ──16, or 20 ms since the first──▶ batcher: write, fsync, finish each
 *
 * Idea       what costs the same for one as for many (an fsync, a call to a database, a run of a model on a GPU) is done once
 *            for all that has come. A job's data is lent until it is finished, so nothing is copied; its lease is renewed
 *            meanwhile; and a job counts as done only after its line is on the disk. Who is killed in between has acknowledged
 *            nothing: the jobs come again, and a line may then be there twice, as at-least-once says.
 * Threads    the list: workers and the batcher, under lock · the file: the batcher.
 * Ends       on SIGTERM or SIGINT: the pool waits for its pending jobs, so the batcher goes on until the pool has been joined.
 * Needs      QUERN_REDIS, and the name of the file as its argument. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <quern.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { BATCH_MAX = 16, BATCH_MS = 20, DRAIN_MS = 25000 };

struct item {
    struct item *next;
    uint64_t ticket;
    quern_bytes line; /* lent until the job is finished */
};

struct batcher {
    quern_pool *pool;
    int file;
    pthread_mutex_t lock;
    pthread_cond_t has_some; /* by CLOCK_MONOTONIC */
    struct item *first, **last;
    size_t count;
    int is_closed;
    struct timespec due; /* of the batch that the first item begins */
    long lines, batches; /* the batcher's own, until it has been joined */
};

/* ── on the workers ──────────────────────────────────────────────────────────────────────────────────────────────── */

static struct timespec after_ms(long ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += ms * 1000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

static quern_verdict line_append(quern_job *job, void *thread, void *user)
{
    struct batcher *batcher = user;
    struct item *item = malloc(sizeof *item);
    (void)thread;
    if (!item) return QUERN_RETRY;
    *item = (struct item){.ticket = quern_job_ticket(job), .line = quern_job_data(job)};
    pthread_mutex_lock(&batcher->lock);
    if (!batcher->count++) batcher->due = after_ms(BATCH_MS);
    *batcher->last = item;
    batcher->last = &item->next;
    if (batcher->count == 1 || batcher->count == BATCH_MAX) pthread_cond_signal(&batcher->has_some);
    pthread_mutex_unlock(&batcher->lock);
    return QUERN_PENDING; /* it may have been finished by now: the job is not touched any more */
}

/* ── the batcher ─────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Waits for a batch, whole or due. Returns how many items it gives; 0: closed, and there are none. */
static size_t take_batch(struct batcher *batcher, struct item *batch[BATCH_MAX])
{
    size_t n = 0;
    pthread_mutex_lock(&batcher->lock);
    while (!batcher->count && !batcher->is_closed) pthread_cond_wait(&batcher->has_some, &batcher->lock);
    while (batcher->count && batcher->count < BATCH_MAX && !batcher->is_closed)
        if (pthread_cond_timedwait(&batcher->has_some, &batcher->lock, &batcher->due) == ETIMEDOUT) break;
    for (; batcher->first && n < BATCH_MAX; n++) {
        batch[n] = batcher->first;
        batcher->first = batch[n]->next;
    }
    batcher->count -= n;
    if (!batcher->first) batcher->last = &batcher->first;
    pthread_mutex_unlock(&batcher->lock); /* what is left was due no later than now: due stays */
    return n;
}

/* All lines in one call, and on the disk. 0, or an errno; a part may be there then. */
static int append(int file, struct item *const *batch, size_t n)
{
    static char newline[] = "\n";
    struct iovec parts[2 * BATCH_MAX];
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        parts[2 * i] = (struct iovec){(void *)(uintptr_t)batch[i]->line.at, batch[i]->line.len};
        parts[2 * i + 1] = (struct iovec){newline, 1};
        bytes += batch[i]->line.len + 1;
    }
    ssize_t written = writev(file, parts, 2 * (int)n);
    if (written < 0) return errno;
    if ((size_t)written < bytes) return ENOSPC;
    return fsync(file) ? errno : 0;
}

static void *batcher_main(void *given)
{
    struct batcher *batcher = given;
    struct item *batch[BATCH_MAX];
    for (size_t n; (n = take_batch(batcher, batch));) {
        int failed = append(batcher->file, batch, n);
        for (size_t i = 0; i < n; i++) {
            int code = quern_pool_finish(batcher->pool, batch[i]->ticket, failed ? QUERN_RETRY : QUERN_DONE,
                                         failed ? strerror(failed) : NULL);
            batcher->lines += !failed && code == QUERN_OK; /* QUERN_E_GONE: its time was over before */
            free(batch[i]);
        }
        batcher->batches++;
    }
    return NULL;
}

static void batcher_close(struct batcher *batcher)
{
    pthread_mutex_lock(&batcher->lock);
    batcher->is_closed = 1;
    pthread_cond_signal(&batcher->has_some);
    pthread_mutex_unlock(&batcher->lock);
}

/* ── the host ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void log_line(void *user, int level, const char *line)
{
    (void)user, (void)level;
    fprintf(stderr, "%s\n", line);
}

static int start(struct batcher *batcher, quern_config *config, quern_error *error)
{
    quern_handler handler = {.size = sizeof handler, .event = "line.append", .run = line_append, .user = batcher};
    handler.policy = "{\"timeout_ms\": 0}"; /* one whose time is over has ended, and its line is not lent any more */
    int code = quern_config_environment(config, error);
    if (!code) code = quern_config_on(config, &handler, error);
    if (code) return code;
    quern_config_log(config, log_line, NULL);
    batcher->pool = quern_pool_start(config, error);
    return batcher->pool ? QUERN_OK : error->code;
}

/* Until a signal comes; the handler may have been at work since quern_pool_start() began: its items wait for the thread. */
static int serve(struct batcher *batcher, const sigset_t *signals, quern_error *error)
{
    pthread_t thread;
    int signal, status = pthread_create(&thread, NULL, batcher_main, batcher) != 0;
    if (!status) sigwait(signals, &signal);
    quern_pool_stop(batcher->pool);
    if (status) return status; /* without its thread nothing finishes what is pending: leave it to others */
    status = quern_pool_join(batcher->pool, DRAIN_MS, error) != QUERN_OK;
    batcher_close(batcher);
    pthread_join(thread, NULL);
    if (!status && quern_pool_free(batcher->pool)) status = 1;
    return status;
}

int main(int argc, char **argv)
{
    static struct batcher batcher = {.lock = PTHREAD_MUTEX_INITIALIZER, .last = &batcher.first};
    quern_error error = {.text = "no thread to be had"};
    pthread_condattr_t monotonic;
    sigset_t signals;
    if (argc != 2 || (batcher.file = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) < 0) {
        fprintf(stderr, "batcher: %s; right would be: batcher FILE\n", argc == 2 ? strerror(errno) : "which file?");
        return 2;
    }
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&batcher.has_some, &monotonic);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread is there, so that only sigwait() takes them */
    quern_config *config = quern_config_new();
    int status = !config || start(&batcher, config, &error) || serve(&batcher, &signals, &error);
    if (status) fprintf(stderr, "batcher: %s\n", error.text);
    quern_config_free(config);
    printf("%ld lines in %ld batches\n", batcher.lines, batcher.batches);
    return status;
}
