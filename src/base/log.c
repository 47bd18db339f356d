/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"

enum { RECENT = 8, REPEAT_MS = 5000, VALUE_MAX = 400 };

struct recent {
    uint64_t hash;
    int64_t written_ns;
    unsigned repeated;
};

struct log {
    struct log_options options;
    pthread_mutex_t lock; /* guards recent */
    struct recent recent[RECENT];
};

struct line {
    char text[LOG_LINE_MAX];
    size_t len;
    enum log_format format;
};

struct log *log_open(const struct log_options *options)
{
    struct log *log = calloc(1, sizeof *log);
    if (!log) return NULL;
    log->options = *options;
    pthread_mutex_init(&log->lock, NULL);
    return log;
}

void log_close(struct log *log)
{
    if (!log) return;
    pthread_mutex_destroy(&log->lock);
    free(log);
}

static void put(struct line *line, const char *text, size_t n)
{
    size_t room = sizeof line->text - 2 - line->len; /* one for the closing brace, one for the NUL */
    if (n > room) n = room;
    memcpy(line->text + line->len, text, n);
    line->len += n;
}

/* What could leave its place: controls, DEL, the C1 controls and bidirectional overrides of UTF-8, bytes that are not UTF-8. */
static bool is_plain(quern_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c < 0x20 || c == 0x7f || c == '"' || c == '\\' || c >= 0x80) return false;
    }
    return true;
}

static void put_escaped(struct line *line, quern_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        char escape[8];
        if (c == '"' || c == '\\')
            put(line, (char[]){'\\', (char)c}, 2);
        else if (c < 0x20 || c >= 0x7f)
            put(line, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c));
        else
            put(line, (const char *)&c, 1);
    }
}

static void put_text(struct line *line, quern_bytes text)
{
    if (text.len > VALUE_MAX) text.len = VALUE_MAX;
    bool quote = line->format == LOG_FORMAT_JSON || text.len == 0 || !is_plain(text) || memchr(text.at, ' ', text.len) ||
                 memchr(text.at, '=', text.len);
    if (!quote) {
        put(line, text.at, text.len);
        return;
    }
    put(line, "\"", 1);
    put_escaped(line, text);
    put(line, "\"", 1);
}

static void put_key(struct line *line, const char *key)
{
    if (line->format == LOG_FORMAT_TEXT) {
        if (line->len) put(line, " ", 1);
        put(line, key, strlen(key));
        put(line, "=", 1);
        return;
    }
    put(line, line->len ? ",\"" : "{\"", 2);
    put(line, key, strlen(key));
    put(line, "\":", 2);
}

static void put_field(struct line *line, const struct log_field *field)
{
    char number[24];
    put_key(line, field->key);
    if (!field->is_number)
        put_text(line, field->text);
    else
        put(line, number, (size_t)snprintf(number, sizeof number, "%lld", (long long)field->number));
}

static uint64_t hash_of(const char *text, size_t len)
{
    uint64_t hash = UINT64_C(1469598103934665603);
    for (size_t i = 0; i < len; i++) hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
    return hash;
}

/* Is the line to be written? Then *repeated says how many like it were held back. */
static bool is_due(struct log *log, uint64_t hash, unsigned *repeated)
{
    int64_t now_ns = clock_now_ns();
    bool due = true;
    pthread_mutex_lock(&log->lock);
    struct recent *oldest = log->recent, *found = NULL;
    for (int i = 0; i < RECENT; i++) {
        if (log->recent[i].written_ns && log->recent[i].hash == hash) found = &log->recent[i];
        if (log->recent[i].written_ns < oldest->written_ns) oldest = &log->recent[i];
    }
    if (found && now_ns - found->written_ns < REPEAT_MS * NS_PER_MS) {
        found->repeated++;
        due = false;
    } else {
        *repeated = found ? found->repeated : 0;
        *(found ? found : oldest) = (struct recent){.hash = hash, .written_ns = now_ns};
    }
    pthread_mutex_unlock(&log->lock);
    return due;
}

void log_write(struct log *log, enum log_level level, const char *name, const struct log_field *fields)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    if (!log || level > log->options.level || !log->options.sink) return;
    struct line line = {.format = log->options.format};
    char when[CLOCK_ISO_SIZE];
    clock_iso(clock_unix_us(), when);
    put_field(&line, &(struct log_field){.key = "time", .text = bytes_of(when)});
    size_t same_from = line.len;
    put_field(&line, &(struct log_field){.key = "level", .text = bytes_of(levels[level])});
    put_field(&line, &(struct log_field){.key = "event", .text = bytes_of(name)});
    for (; fields->key; fields++) put_field(&line, fields);
    unsigned repeated = 0;
    if (!is_due(log, hash_of(line.text + same_from, line.len - same_from), &repeated)) return;
    if (repeated) put_field(&line, &(struct log_field){.key = "repeated", .number = repeated, .is_number = 1});
    if (line.format == LOG_FORMAT_JSON) line.text[line.len++] = '}';
    line.text[line.len] = 0;
    log->options.sink(log->options.user, (int)level, line.text);
}
