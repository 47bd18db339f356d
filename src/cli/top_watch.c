/* SPDX-License-Identifier: MIT */
#include "cli/top_watch.h"

#include <pthread.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/thread.h"
#include "config/config.h"

struct watch {
    quern_config *config;
    int64_t every_ms;
    int fd;
    pthread_mutex_t lock; /* guards what follows */
    int users;            /* main and the thread: the last one frees it */
    bool has_news;
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
    quern_config_free(watch->config);
    quern_free(watch->text);
    free(watch);
}

/* false: nobody wants it. */
static bool put(struct watch *watch, char *text, const quern_error *err)
{
    pthread_mutex_lock(&watch->lock);
    quern_free(watch->text);
    watch->text = text;
    if (!text) watch->err = *err;
    watch->has_news = true;
    bool is_wanted = watch->users > 1;
    pthread_mutex_unlock(&watch->lock);
    eventfd_write(watch->fd, 1);
    return is_wanted;
}

static void watch_run(void *given)
{
    struct watch *watch = given;
    int64_t sample_ms = 0; /* the first look is shown at once, without rates */
    for (;;) {
        quern_error err;
        char *text = quern_queue_stats(watch->config, sample_ms, &err);
        sample_ms = watch->every_ms;
        if (!put(watch, text, &err)) break;
        if (!text) poll(NULL, 0, (int)watch->every_ms);
    }
    release(watch);
}

struct watch *watch_start(const quern_config *config, int64_t every_ms, quern_error *err)
{
    pthread_t thread;
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch) return err_set(err, QUERN_E_MEMORY, "no memory to watch the queue"), NULL;
    pthread_mutex_init(&watch->lock, NULL);
    watch->users = 2;
    watch->every_ms = every_ms;
    watch->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    watch->config = config_copy(config);
    bool is_started = watch->fd >= 0 && watch->config && !thread_start(&thread, ROLE_HOST, "quern-watch", watch_run, watch);
    if (is_started) {
        pthread_detach(thread);
        return watch;
    }
    watch->users = 1;
    release(watch);
    err_set(err, QUERN_E_MEMORY, "no memory, descriptor or thread to watch the queue");
    return NULL;
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
    watch->text = NULL;
    watch->has_news = false;
    pthread_mutex_unlock(&watch->lock);
    return has_news;
}

void watch_leave(struct watch *watch)
{
    if (watch) release(watch);
}
