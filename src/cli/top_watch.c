/* SPDX-License-Identifier: MIT */
#include "cli/top_watch.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/thread.h"

struct watch {
    struct served served;
    int64_t every_ms;
    int fd;
    pthread_mutex_t lock; /* guards what follows */
    int users;            /* main and the thread: the last one frees it */
    size_t wanted;        /* which of them is asked for */
    bool has_news;        /* about that one */
    char *text;
    quern_error err;
};

static void release(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    bool is_last = --watch->users == 0;
    pthread_mutex_unlock(&watch->lock);
    if (!is_last) return;
    if (watch->fd >= 0) close(watch->fd);
    pthread_mutex_destroy(&watch->lock);
    served_close(&watch->served);
    quern_free(watch->text);
    free(watch);
}

static size_t read_wanted(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    size_t wanted = watch->wanted;
    pthread_mutex_unlock(&watch->lock);
    return wanted;
}

/* An answer about that queue. false: nobody wants any more. */
static bool put(struct watch *watch, size_t which, char *text, const quern_error *err)
{
    pthread_mutex_lock(&watch->lock);
    quern_free(watch->text);
    watch->text = text;
    if (!text) watch->err = *err;
    watch->has_news = watch->wanted == which;
    bool is_wanted = watch->users > 1;
    pthread_mutex_unlock(&watch->lock);
    eventfd_write(watch->fd, 1);
    return is_wanted;
}

static void watch_run(void *given)
{
    struct watch *watch = given;
    size_t before = SIZE_MAX;
    for (;;) {
        quern_error err;
        size_t which = read_wanted(watch);
        int64_t sample_ms = which == before ? watch->every_ms : 0; /* the first look is shown at once, without rates */
        char *text = quern_queue_stats(watch->served.at[which], sample_ms, &err);
        bool has_failed = !text;
        if (!put(watch, which, text, &err)) break;
        if (has_failed) poll(NULL, 0, (int)watch->every_ms);
        before = which;
    }
    release(watch);
}

struct watch *watch_start(const struct served *served, int64_t every_ms, quern_error *err)
{
    pthread_t thread;
    struct served taken = *served;
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch) {
        err_set(err, QUERN_E_MEMORY, "no memory to watch the queue");
        served_close(&taken);
        return NULL;
    }
    watch->served = taken;
    pthread_mutex_init(&watch->lock, NULL);
    watch->users = 2;
    watch->every_ms = every_ms;
    watch->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool is_started = watch->fd >= 0 && !thread_start(&thread, ROLE_HOST, "quern-watch", watch_run, watch);
    if (is_started) {
        pthread_detach(thread);
        return watch;
    }
    watch->users = 1;
    release(watch);
    err_set(err, QUERN_E_MEMORY, "no descriptor or thread to watch the queue");
    return NULL;
}

/* Only main writes it. */
const quern_config *watch_queue(const struct watch *watch)
{
    return watch->served.at[watch->wanted];
}

void watch_next(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->wanted = (watch->wanted + 1) % watch->served.count;
    watch->has_news = false;
    pthread_mutex_unlock(&watch->lock);
}

int watch_fd(const struct watch *watch)
{
    return watch->fd;
}

bool watch_take(struct watch *watch, char **text, quern_error *err)
{
    eventfd_t count;
    pthread_mutex_lock(&watch->lock);
    bool has_news = watch->has_news;
    eventfd_read(watch->fd, &count);
    if (has_news) *text = watch->text;
    if (has_news) *err = watch->err;
    if (has_news) watch->text = NULL;
    watch->has_news = false;
    pthread_mutex_unlock(&watch->lock);
    return has_news;
}

void watch_leave(struct watch *watch)
{
    if (watch) release(watch);
}
