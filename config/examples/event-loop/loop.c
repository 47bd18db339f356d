/* SPDX-License-Identifier: MIT */

/* A host with an event loop of its own, poll(2), that publishes jobs and runs them, and never waits anywhere else.
 *
 *      standard input ──a line──▶ quern_publish_async ──▶ Redis ──▶ the pool's threads ──▶ hash_line()
 *                                       │ answered                        │ counted
 *                                       ▼                                 ▼
 *              poll():  quern_publisher_fd ──▶ dispatch                eventfd ──▶ on_news()
 *
 * Idea       what comes from quern's threads is only counted there, and an eventfd wakes the loop: all of the host's own state
 *            belongs to one thread. When the publisher's queue is full, the loop stops reading until answers have come: that is
 *            how backpressure reaches whoever writes the lines.
 * Ends       with its input, once each job that it has published has ended (if it is the only process of its group), or on
 *            SIGTERM or SIGINT: it stops the pool, and goes on serving the loop until the pool has told that it has stopped.
 * Counts     in the handler: a notice of each job would be dropped where they come faster than they are told (QUERN_NOTICE_JOB
 *            is for looking on). That the pool has stopped comes as a notice, with none to crowd it out.
 * Needs      QUERN_REDIS; further QUERN_… as ever. */
#include <errno.h>
#include <poll.h>
#include <quern.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { AT_INPUT, AT_ANSWERS, AT_NEWS, AT_SIGNAL, PLACES };

struct host {
    quern_pool *pool;
    quern_publisher *publisher;
    struct pollfd at[PLACES];
    /* the loop's own */
    long published, failed, waiting; /* waiting: for an answer */
    int has_input, is_stopping, is_full;
    size_t len;
    char line[65536];
    /* written by quern's threads */
    _Atomic long ended;
    _Atomic int has_stopped;
};

/* ── on quern's threads ──────────────────────────────────────────────────────────────────────────────────────────── */

static void wake(struct host *host)
{
    const uint64_t one = 1;
    if (write(host->at[AT_NEWS].fd, &one, sizeof one) < 0) return; /* it is full: the loop is awake already */
}

static quern_verdict hash_line(quern_job *job, void *thread, void *user)
{
    struct host *host = user;
    quern_bytes line = quern_job_data(job);
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a: stands for whatever costs CPU */
    char text[32];
    (void)thread;
    for (size_t i = 0; i < line.len; i++) hash = (hash ^ (unsigned char)line.at[i]) * UINT64_C(1099511628211);
    int len = snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    if (quern_job_result(job, text, (size_t)len)) return QUERN_RETRY;
    atomic_fetch_add(&host->ended, 1); /* a stop waits until it is settled, too */
    wake(host);
    return QUERN_DONE;
}

static void observe(void *user, const quern_notice *notice)
{
    struct host *host = user;
    if (notice->what == QUERN_NOTICE_STOPPED) atomic_store(&host->has_stopped, 1);
    wake(host);
}

/* ── on the loop's thread ────────────────────────────────────────────────────────────────────────────────────────── */

static void on_answer(void *user, const quern_receipt *receipt)
{
    struct host *host = user;
    host->waiting--;
    if (receipt->code)
        host->failed++;
    else
        host->published++;
}

static void stop(struct host *host)
{
    host->has_input = 0;
    host->is_stopping = 1;
    quern_pool_stop(host->pool);
}

/* 0: the queue is full, the same line again later. */
static int publish(struct host *host, const char *line, size_t len)
{
    quern_error error;
    quern_message message = {.size = sizeof message, .event = "line.hash", .data = {line, len}, .is_raw = 1};
    int code = quern_publish_async(host->publisher, &message, on_answer, host, &error);
    host->is_full = code == QUERN_E_FULL && host->waiting > 0;
    if (code == QUERN_OK)
        host->waiting++;
    else if (!host->is_full)
        fprintf(stderr, "loop: a line was not published: %s\n", error.text);
    host->failed += code != QUERN_OK && !host->is_full;
    return !host->is_full;
}

/* Publishes the whole lines that are there, and keeps the beginning of the next one. */
static void publish_lines(struct host *host)
{
    char *from = host->line, *end = host->line + host->len, *newline;
    host->is_full = 0; /* until it says so again */
    while ((newline = memchr(from, '\n', (size_t)(end - from))) && publish(host, from, (size_t)(newline - from)))
        from = newline + 1;
    int is_too_long = from == host->line && !newline && host->len == sizeof host->line;
    if (is_too_long) fprintf(stderr, "loop: a line of more than %zu bytes is parted\n", sizeof host->line);
    if (!host->is_full && from < end && (is_too_long || !host->has_input) && publish(host, from, (size_t)(end - from)))
        from = end;
    host->len = (size_t)(end - from);
    memmove(host->line, from, host->len);
}

static void on_input(struct host *host)
{
    ssize_t n = read(STDIN_FILENO, host->line + host->len, sizeof host->line - host->len);
    if (n > 0) host->len += (size_t)n;
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) host->has_input = 0;
    publish_lines(host);
}

static void on_answers(struct host *host)
{
    quern_publisher_dispatch(host->publisher);
    if (host->is_full) publish_lines(host);
}

static void on_news(struct host *host)
{
    uint64_t count;
    if (read(host->at[AT_NEWS].fd, &count, sizeof count) < 0) return;
}

static void on_signal(struct host *host)
{
    struct signalfd_siginfo signal;
    if (read(host->at[AT_SIGNAL].fd, &signal, sizeof signal) == sizeof signal) stop(host);
}

static int is_through(const struct host *host)
{
    return !host->has_input && !host->len && !host->waiting && atomic_load(&host->ended) >= host->published;
}

static void run_loop(struct host *host)
{
    static void (*const on[PLACES])(struct host * host) = {on_input, on_answers, on_news, on_signal};
    while (!atomic_load(&host->has_stopped) || host->waiting) {
        if (!host->is_stopping && is_through(host)) stop(host);
        host->at[AT_INPUT].fd = host->has_input && !host->is_full ? STDIN_FILENO : -1; /* poll() passes over -1 */
        if (poll(host->at, PLACES, -1) < 0 && errno != EINTR) break;
        for (int i = 0; i < PLACES; i++)
            if (host->at[i].fd >= 0 && host->at[i].revents) on[i](host);
    }
}

/* ── opening and closing ─────────────────────────────────────────────────────────────────────────────────────────── */

/* The signals are taken by the loop, and by no thread: they are blocked before quern starts any. */
static int open_descriptors(struct host *host)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    host->at[AT_NEWS].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    host->at[AT_SIGNAL].fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return host->at[AT_NEWS].fd < 0 || host->at[AT_SIGNAL].fd < 0;
}

static int open_quern(struct host *host, quern_config *config, quern_error *error)
{
    quern_handler handler = {.size = sizeof handler, .event = "line.hash", .run = hash_line, .user = host};
    int code = quern_config_environment(config, error);
    if (!code) code = quern_config_on(config, &handler, error);
    if (code) return code;
    quern_config_observe(config, QUERN_NOTICE_STOPPED, observe, host);
    if (!(host->publisher = quern_publisher_open(config, error))) return error->code;
    host->at[AT_ANSWERS].fd = quern_publisher_fd(host->publisher);
    host->pool = quern_pool_start(config, error);
    return host->pool ? QUERN_OK : error->code;
}

int main(void)
{
    static struct host host = {.has_input = 1};
    quern_error error = {.text = "no descriptor to be had"};
    quern_config *config = quern_config_new();
    for (int i = 0; i < PLACES; i++) host.at[i].events = POLLIN;
    int status = !config || open_descriptors(&host) || open_quern(&host, config, &error);
    if (!status) run_loop(&host);
    if (host.pool && (quern_pool_join(host.pool, 1000, &error) || quern_pool_free(host.pool))) status = 1;
    if (quern_publisher_close(host.publisher)) status = 1;
    quern_config_free(config);
    if (status) fprintf(stderr, "loop: %s\n", error.text);
    printf("%ld published, %ld not, %ld ended\n", host.published, host.failed, atomic_load(&host.ended));
    return status;
}
