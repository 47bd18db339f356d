/* SPDX-License-Identifier: MIT */
#include "tell/notices.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/log.h"
#include "base/thread.h"

enum { RECORDS = 2048, NAME_MAX_BYTES = 128 };

struct record {
    bool is_line;
    int level;
    quern_notice notice;
    char event[NAME_MAX_BYTES + 1], id[NAME_MAX_BYTES + 1];
    size_t text_len;
    char text[LOG_LINE_MAX]; /* the line, or the notice's text; only so much of it is copied */
};

struct notices {
    struct notices_options options;
    pthread_t thread;
    pthread_mutex_t lock; /* guards head and tail and the records between; a leaf */
    struct record *records;
    uint32_t head, tail;
    _Atomic uint32_t signal;
    _Atomic uint64_t dropped;
    _Atomic bool is_finishing;
    void (*ended)(void *user);
    void *ended_user;
};

static bool take(struct notices *notices, struct record *record)
{
    pthread_mutex_lock(&notices->lock);
    bool has = notices->head != notices->tail;
    if (has) {
        const struct record *from = &notices->records[notices->head++ % RECORDS];
        memcpy(record, from, offsetof(struct record, text) + from->text_len + 1);
    }
    pthread_mutex_unlock(&notices->lock);
    return has;
}

static void deliver(struct notices *notices, struct record *record)
{
    if (record->is_line) {
        if (notices->options.logger) notices->options.logger(notices->options.logger_user, record->level, record->text);
        return;
    }
    record->notice.event.at = record->event;
    record->notice.id.at = record->id;
    record->notice.text = record->text;
    notices->options.observer(notices->options.observer_user, &record->notice);
}

static void run(void *given)
{
    struct notices *notices = given;
    struct record record;
    for (;;) {
        uint32_t seen = atomic_load(&notices->signal);
        bool is_finishing = atomic_load(&notices->is_finishing);
        if (take(notices, &record))
            deliver(notices, &record);
        else if (is_finishing)
            break;
        else
            futex_wait(&notices->signal, seen, CLOCK_NEVER);
    }
    notices->ended(notices->ended_user);
}

struct notices *notices_open(const struct notices_options *options)
{
    struct notices *notices = calloc(1, sizeof *notices);
    if (!notices) return NULL;
    notices->options = *options;
    pthread_mutex_init(&notices->lock, NULL);
    notices->records = calloc(RECORDS, sizeof *notices->records);
    if (notices->records && !thread_start(&notices->thread, ROLE_NOTICES, "quern-notices", run, notices)) return notices;
    free(notices->records);
    free(notices);
    return NULL;
}

bool notices_wants(const struct notices *notices, int what)
{
    return (notices->options.observed & (unsigned)what) != 0;
}

static quern_bytes copy_name(char *to, quern_bytes from)
{
    size_t len = from.len > NAME_MAX_BYTES ? NAME_MAX_BYTES : from.len;
    if (len) memcpy(to, from.at, len);
    to[len] = 0;
    return (quern_bytes){to, len};
}

static void copy_text(struct record *record, const char *from)
{
    record->text_len = from ? strnlen(from, LOG_LINE_MAX - 1) : 0;
    if (record->text_len) memcpy(record->text, from, record->text_len);
    record->text[record->text_len] = 0;
}

/* A free record to fill, with the lock held; NULL (without it): full, counted. */
static struct record *begin(struct notices *notices)
{
    pthread_mutex_lock(&notices->lock);
    if (notices->tail - notices->head < RECORDS) return &notices->records[notices->tail % RECORDS];
    pthread_mutex_unlock(&notices->lock);
    atomic_fetch_add(&notices->dropped, 1);
    return NULL;
}

static void commit(struct notices *notices)
{
    bool was_empty = notices->tail++ == notices->head;
    pthread_mutex_unlock(&notices->lock);
    if (!was_empty) return;
    atomic_fetch_add(&notices->signal, 1);
    futex_wake(&notices->signal, 1);
}

void notices_post(struct notices *notices, const quern_notice *notice)
{
    if (!notices_wants(notices, notice->what)) return;
    struct record *record = begin(notices);
    if (!record) return;
    record->is_line = false;
    record->notice = *notice;
    record->notice.size = sizeof *notice;
    record->notice.event = copy_name(record->event, notice->event);
    record->notice.id = copy_name(record->id, notice->id);
    copy_text(record, notice->text);
    commit(notices);
}

void notices_line(void *given, int level, const char *line)
{
    struct notices *notices = given;
    if (!notices->options.logger) return;
    struct record *record = begin(notices);
    if (!record) return;
    record->is_line = true;
    record->level = level;
    copy_text(record, line);
    commit(notices);
}

uint64_t notices_dropped(const struct notices *notices)
{
    return atomic_load(&notices->dropped);
}

void notices_finish(struct notices *notices, void (*ended)(void *user), void *user)
{
    notices->ended = ended;
    notices->ended_user = user;
    atomic_store(&notices->is_finishing, true);
    atomic_fetch_add(&notices->signal, 1);
    futex_wake(&notices->signal, 1);
}

void notices_close(struct notices *notices)
{
    if (!notices) return;
    pthread_join(notices->thread, NULL);
    pthread_mutex_destroy(&notices->lock);
    free(notices->records);
    free(notices);
}
