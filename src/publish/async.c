/* SPDX-License-Identifier: MIT */
#include "publish/async.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/futex.h"
#include "base/thread.h"
#include "publish/check.h"
#include "publish/unique.h"

enum { BATCH = 256 };

/* One message, with all it points to behind it. */
struct letterbox {
    struct letterbox *next;
    quern_message message;
    quern_receipt receipt;
    void (*done)(void *user, const quern_receipt *receipt);
    void *user;
    char *window; /* the key of its dedup window, malloc'd, or NULL */
    size_t bytes;
    char texts[];
};

struct list {
    struct letterbox *first, **end;
};

struct async {
    quern_publisher *publisher;
    pthread_t thread;
    pthread_mutex_t lock;        /* guards what follows */
    struct list queue, answered; /* answered: for the host to dispatch */
    size_t unanswered, bytes;
    int fd; /* -1: callbacks run on the thread */
    bool is_closing;
    _Atomic uint32_t changes; /* for those who sleep; goes up under the lock */
};

/* ── lists and texts ─────────────────────────────────────────────────────────────────────────────────────────────── */

static void list_open(struct list *list)
{
    *list = (struct list){NULL, &list->first};
}

static void list_put(struct list *list, struct letterbox *box)
{
    box->next = NULL;
    *list->end = box;
    list->end = &box->next;
}

static struct letterbox *list_take(struct list *list)
{
    struct letterbox *box = list->first;
    if (box && !(list->first = box->next)) list->end = &list->first;
    return box;
}

static const char *keep_text(char **at, const char *text)
{
    size_t size = text ? strlen(text) + 1 : 0;
    char *kept = *at;
    if (!text) return NULL;
    memcpy(kept, text, size);
    *at += size;
    return kept;
}

static size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static void letterbox_close(struct letterbox *box)
{
    free(box->window);
    free(box);
}

static struct letterbox *letterbox_open(const quern_message *message)
{
    size_t bytes = size_of(message->event) + size_of(message->unique) + size_of(message->key) + message->data.len + 1;
    struct letterbox *box = malloc(sizeof *box + bytes);
    if (!box) return NULL;
    *box = (struct letterbox){.message = *message, .bytes = bytes};
    char *at = box->texts;
    box->message.event = keep_text(&at, message->event);
    box->message.unique = keep_text(&at, message->unique);
    box->message.key = keep_text(&at, message->key);
    if (!message->data.at) return box;
    if (message->data.len) memcpy(at, message->data.at, message->data.len);
    box->message.data.at = at;
    return box;
}

/* ── waiting for each other ──────────────────────────────────────────────────────────────────────────────────────── */

/* Under the lock. */
static void changed(struct async *async)
{
    atomic_fetch_add(&async->changes, 1);
    futex_wake(&async->changes, INT32_MAX);
}

/* Under the lock, which is given up meanwhile. */
static void wait_for_change(struct async *async, int64_t deadline_ns)
{
    uint32_t seen = atomic_load(&async->changes);
    pthread_mutex_unlock(&async->lock);
    futex_wait(&async->changes, seen, deadline_ns);
    pthread_mutex_lock(&async->lock);
}

/* ── answering ───────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Whose callbacks this thread is in: the host's, while it dispatches; a publisher's own always, since an observer is told on it, too.
 * One may dispatch another's. */
struct telling {
    const struct async *async;
    const struct telling *outer;
};
static _Thread_local const struct telling *telling;

static bool is_in_callback(const struct async *async)
{
    const struct telling *at = telling;
    while (at && at->async != async) at = at->outer;
    return at != NULL;
}

static void answer(struct async *async, struct letterbox *box)
{
    struct telling own = {async, telling};
    telling = &own;
    if (box->done) box->done(box->user, &box->receipt);
    telling = own.outer;
    pthread_mutex_lock(&async->lock);
    async->unanswered--;
    async->bytes -= box->bytes;
    changed(async);
    pthread_mutex_unlock(&async->lock);
    letterbox_close(box);
}

/* For the host to dispatch. false: the host does not. */
static bool hand_over(struct async *async, struct letterbox *box)
{
    pthread_mutex_lock(&async->lock);
    bool is_handed = async->fd >= 0;
    if (is_handed) {
        list_put(&async->answered, box);
        eventfd_write(async->fd, 1);
        changed(async); /* who flushes learns that it is the host's turn */
    }
    pthread_mutex_unlock(&async->lock);
    return is_handed;
}

/* ── the thread ──────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Takes what is there; waits for something. 0: it is time to end. */
static size_t take(struct async *async, struct letterbox *boxes[BATCH])
{
    size_t count = 0;
    pthread_mutex_lock(&async->lock);
    while (!async->queue.first && !async->is_closing) wait_for_change(async, CLOCK_NEVER);
    while (count < BATCH && async->queue.first) boxes[count++] = list_take(&async->queue);
    pthread_mutex_unlock(&async->lock);
    return count;
}

static void publish_boxes(struct async *async, struct letterbox *boxes[BATCH], size_t count)
{
    static const quern_receipt none = {.code = QUERN_E_TIMEOUT};
    quern_message messages[BATCH] = {0};
    char *windows[BATCH] = {0};
    quern_receipt receipts[BATCH];
    quern_error why;
    for (size_t i = 0; i < count; i++) messages[i] = boxes[i]->message;
    for (size_t i = 0; i < count; i++) windows[i] = boxes[i]->window;
    for (size_t i = 0; i < count; i++) receipts[i] = none;
    int code = publisher_publish(async->publisher, messages, windows, count, receipts, &why);
    for (size_t i = 0; i < count; i++) {
        boxes[i]->receipt = receipts[i];
        /* It has not come to this one: what has ended the call is why. */
        if (code && receipts[i].code == QUERN_E_TIMEOUT)
            boxes[i]->receipt.code = code == QUERN_E_UNKNOWN ? QUERN_E_CONNECT : code;
        if (!hand_over(async, boxes[i])) answer(async, boxes[i]);
    }
}

static void run(void *given)
{
    struct async *async = given;
    struct letterbox *boxes[BATCH];
    const struct telling own = {async, NULL};
    telling = &own;
    for (size_t count; (count = take(async, boxes));) publish_boxes(async, boxes, count);
}

static struct async *async_open(quern_publisher *publisher, quern_error *err)
{
    struct async *async = calloc(1, sizeof *async);
    if (async) {
        *async = (struct async){.publisher = publisher, .fd = -1};
        list_open(&async->queue);
        list_open(&async->answered);
        pthread_mutex_init(&async->lock, NULL);
        if (!thread_start(&async->thread, ROLE_HOST, "quern-publish", run, async)) return async;
        pthread_mutex_destroy(&async->lock);
        free(async);
    }
    err_set(err, QUERN_E_MEMORY, "no memory or no thread to publish without waiting");
    return NULL;
}

/* Made at the first use. NULL: err says why. */
static struct async *async_of(quern_publisher *publisher, quern_error *err)
{
    struct async *async = atomic_load(&publisher->async);
    if (async) return async;
    pthread_mutex_lock(&publisher->async_lock);
    async = atomic_load(&publisher->async);
    if (!async) async = async_open(publisher, err);
    atomic_store(&publisher->async, async);
    pthread_mutex_unlock(&publisher->async_lock);
    return async;
}

int async_close(struct async *async)
{
    if (!async) return QUERN_OK;
    pthread_mutex_lock(&async->lock);
    bool is_busy = async->unanswered || is_in_callback(async);
    if (!is_busy) async->is_closing = true;
    if (!is_busy) changed(async);
    pthread_mutex_unlock(&async->lock);
    if (is_busy) return QUERN_E_BUSY;
    pthread_join(async->thread, NULL);
    if (async->fd >= 0) close(async->fd);
    pthread_mutex_destroy(&async->lock);
    free(async);
    return QUERN_OK;
}

/* ── for the host ────────────────────────────────────────────────────────────────────────────────────────────────── */

static int put(struct async *async, struct letterbox *box, quern_error *err)
{
    const quern_config *config = async->publisher->config;
    int code = QUERN_OK;
    pthread_mutex_lock(&async->lock);
    if ((int64_t)async->unanswered >= config->publish_queue_max)
        code = err_set(err, QUERN_E_FULL, "%zu messages are unanswered; publish_queue_max is %lld", async->unanswered,
                       (long long)config->publish_queue_max);
    else if (async->unanswered && (int64_t)(async->bytes + box->bytes) > config->publish_queue_bytes)
        code = err_set(err, QUERN_E_FULL, "%zu bytes of messages are unanswered; publish_queue_bytes is %lld", async->bytes,
                       (long long)config->publish_queue_bytes);
    if (!code) {
        list_put(&async->queue, box);
        async->unanswered++;
        async->bytes += box->bytes;
        changed(async);
    }
    pthread_mutex_unlock(&async->lock);
    if (code && err) err->is_retriable = 1; /* it empties by itself */
    return code;
}

static int publish_async(quern_publisher *publisher, const quern_message *message,
                         void (*done)(void *user, const quern_receipt *receipt), void *user, quern_error *err)
{
    int code = check_message(message, publisher->config, err);
    struct async *async = code ? NULL : async_of(publisher, err);
    if (!async) return code ? code : QUERN_E_MEMORY;
    struct letterbox *box = letterbox_open(message);
    if (!box) return err_set(err, QUERN_E_MEMORY, "no memory for a message");
    box->done = done;
    box->user = user;
    code = unique_key(publisher->config, message, &box->window, err);
    if (!code) code = put(async, box, err);
    if (code) letterbox_close(box);
    return code;
}

int quern_publish_async(quern_publisher *publisher, const quern_message *message,
                        void (*done)(void *user, const quern_receipt *receipt), void *user, quern_error *err)
{
    if (!publisher || !message) return err_set(err, QUERN_E_ARGUMENT, "no publisher or no message was given");
    atomic_fetch_add(&publisher->inside, 1);
    int code = publish_async(publisher, message, done, user, err);
    atomic_fetch_sub(&publisher->inside, 1);
    return code;
}

static int flush(struct async *async, int64_t timeout_ms, quern_error *err)
{
    int64_t deadline_ns = timeout_ms < 0 ? CLOCK_NEVER : clock_deadline_ns(clock_now_ns(), timeout_ms);
    if (is_in_callback(async)) return err_set(err, QUERN_E_ARGUMENT, "a callback cannot wait for the callbacks behind it");
    pthread_mutex_lock(&async->lock);
    while (async->unanswered && !async->answered.first && clock_now_ns() < deadline_ns) wait_for_change(async, deadline_ns);
    size_t left = async->unanswered;
    bool is_host_due = async->answered.first;
    pthread_mutex_unlock(&async->lock);
    if (!left) return QUERN_OK;
    return err_set(err, is_host_due ? QUERN_E_BUSY : QUERN_E_TIMEOUT,
                   is_host_due ? "%zu messages are left, and answers wait for quern_publisher_dispatch()"
                               : "%zu messages are not answered yet",
                   left);
}

int quern_publisher_flush(quern_publisher *publisher, int64_t timeout_ms, quern_error *err)
{
    if (!publisher) return err_set(err, QUERN_E_ARGUMENT, "no publisher was given");
    struct async *async = atomic_load(&publisher->async);
    if (!async) return QUERN_OK;
    atomic_fetch_add(&publisher->inside, 1);
    int code = flush(async, timeout_ms, err);
    atomic_fetch_sub(&publisher->inside, 1);
    return code;
}

int quern_publisher_fd(quern_publisher *publisher)
{
    struct async *async = publisher ? async_of(publisher, NULL) : NULL;
    if (!async) return -1;
    pthread_mutex_lock(&async->lock);
    if (async->fd < 0) async->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int fd = async->fd;
    pthread_mutex_unlock(&async->lock);
    return fd;
}

size_t quern_publisher_dispatch(quern_publisher *publisher)
{
    struct async *async = publisher ? atomic_load(&publisher->async) : NULL;
    struct letterbox *box = NULL;
    size_t count = 0;
    if (!async) return 0;
    pthread_mutex_lock(&async->lock);
    eventfd_t seen;
    if (async->fd >= 0 && eventfd_read(async->fd, &seen) && errno != EAGAIN) seen = 0;
    box = async->answered.first;
    list_open(&async->answered);
    pthread_mutex_unlock(&async->lock);
    for (struct letterbox *next; box; box = next, count++) {
        next = box->next;
        answer(async, box);
    }
    return count;
}
