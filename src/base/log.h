/* SPDX-License-Identifier: MIT */

/* base/log: one event, one line.
 * Idea       an event has a name and typed fields; it becomes key=value text or JSON, escaped so that no field can forge a
 *            line or move a terminal's cursor. Payloads and credentials are never fields.
 * Invariant  a line has no control characters. A line equal to one of the last few (time aside) is counted, not written; the
 *            count goes out as repeated=N with the next of its kind after five seconds. Where none comes, the last of them is
 *            written after all: once five seconds are over and another line is written, or its place is taken, or at log_flush().
 * Threads    log_event: any. It takes a short lock and hands the line to the sink, which must not wait.
 * Never      writes to a file or a terminal itself. */
#ifndef QUERN_BASE_LOG_H
#define QUERN_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "quern.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum { LOG_LINE_MAX = 1024 };

struct log;

struct log_options {
    enum log_level level; /* what is less important is not even formatted */
    enum log_format format;
    void (*sink)(void *user, int level, const char *line);
    void *user;
    int64_t (*now_ns)(void); /* for what repeats; NULL: clock_now_ns() */
};

/* Gives; NULL: no memory. options is copied. */
struct log *log_open(const struct log_options *options);
/* Writes nothing: what is still held back is lost without a log_flush(). */
void log_close(struct log *log);
/* Writes what is held back. Any thread. */
void log_flush(struct log *log);
/* From now on. Any thread. */
void log_set_level(struct log *log, enum log_level level);

/* One field of an event. */
struct log_field {
    const char *key; /* NULL ends the list */
    quern_bytes text;
    int64_t number;
    int is_number;
};
#define LOG_TEXT(k, t)  ((struct log_field){.key = (k), .text = bytes_of(t)})
#define LOG_BYTES(k, b) ((struct log_field){.key = (k), .text = (b)})
#define LOG_INT(k, n)   ((struct log_field){.key = (k), .number = (int64_t)(n), .is_number = 1})

/* log_event(log, LOG_INFO, "settle_lost", LOG_BYTES("entry", id), LOG_INT("count", n)); log may be NULL: nothing happens. */
#define log_event(log, level, ...)        LOG_EVENT_(log, level, __VA_ARGS__, (struct log_field){0})
#define LOG_EVENT_(log, level, name, ...) log_write((log), (level), (name), (struct log_field[]){__VA_ARGS__})
void log_write(struct log *log, enum log_level level, const char *name, const struct log_field *fields);

#endif
