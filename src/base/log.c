/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"

enum { RECENT = 8, REPEAT_MS = 5000, VALUE_MAX = 400, END_BYTES = sizeof ",\"repeated\":4294967295}" };

struct line {
    char text[LOG_LINE_MAX];
    size_t len, max; /* max: what fields may fill; the end has its place behind it */
    enum log_format format;
};

/* One of the last lines that were written, and the last one like it that was not. */
struct recent {
    uint64_t hash;
    int64_t written_ns;
    unsigned held_back; /* so many since then */
    enum log_level level;
    struct line line;
};

struct log {
    struct log_options options; /* its level is that of the beginning */
    _Atomic int level;
    pthread_mutex_t lock; /* guards recent */
    struct recent recent[RECENT];
};

struct log *log_open(const struct log_options *options)
{
    struct log *log = calloc(1, sizeof *log);
    if (!log) return NULL;
    log->options = *options;
    if (!log->options.now_ns) log->options.now_ns = clock_now_ns;
    atomic_init(&log->level, (int)options->level);
    pthread_mutex_init(&log->lock, NULL);
    return log;
}

void log_close(struct log *log)
{
    if (!log) return;
    pthread_mutex_destroy(&log->lock);
    free(log);
}

void log_set_level(struct log *log, enum log_level level)
{
    atomic_store_explicit(&log->level, (int)level, memory_order_relaxed); /* nothing hangs on when it is seen */
}

/* All of it or nothing: half a key, number or escape would break the line. */
static bool put(struct line *line, const char *text, size_t n)
{
    if (line->len + n > line->max) return false;
    memcpy(line->text + line->len, text, n);
    line->len += n;
    return true;
}

/* What could leave its place: controls, DEL, the C1 controls, separators of lines, marks and overrides of direction. */
static bool is_harmful(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static bool is_plain(quern_bytes text)
{
    for (size_t i = 0, n; i < text.len; i += n) {
        uint32_t c;
        n = bytes_character((quern_bytes){text.at + i, text.len - i}, &c);
        if (!n || is_harmful(c) || c == '"' || c == '\\' || c == ' ' || c == '=') return false;
    }
    return text.len > 0;
}

/* As many characters as there is room for. A byte that is not UTF-8 is shown by its number. */
static void put_escaped(struct line *line, quern_bytes text)
{
    bool fits = true;
    for (size_t i = 0, n; i < text.len && fits; i += n) {
        uint32_t c = 0;
        char escape[16];
        n = bytes_character((quern_bytes){text.at + i, text.len - i}, &c);
        if (c == '"' || c == '\\')
            fits = put(line, (char[]){'\\', (char)c}, 2);
        else if (n && !is_harmful(c))
            fits = put(line, text.at + i, n);
        else
            fits = put(line, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", n ? c : (unsigned char)text.at[i]));
        if (!n) n = 1;
    }
}

static quern_bytes shorten(quern_bytes text)
{
    if (text.len <= VALUE_MAX) return text;
    text.len = VALUE_MAX;
    for (int i = 0; i < 3 && (text.at[text.len] & 0xc0) == 0x80; i++) text.len--; /* not within a character */
    return text;
}

static bool put_text(struct line *line, quern_bytes text)
{
    text = shorten(text);
    size_t quote = line->format == LOG_FORMAT_JSON || !is_plain(text);
    if (!put(line, "\"", quote)) return false;
    line->max -= quote; /* keeps a place for the closing one */
    put_escaped(line, text);
    line->max += quote;
    return put(line, "\"", quote);
}

static bool put_key(struct line *line, const char *key)
{
    if (line->format == LOG_FORMAT_TEXT)
        return put(line, " ", line->len > 0) && put(line, key, strlen(key)) && put(line, "=", 1);
    return put(line, line->len ? ",\"" : "{\"", 2) && put(line, key, strlen(key)) && put(line, "\":", 2);
}

static bool put_number(struct line *line, int64_t number)
{
    char text[24];
    return put(line, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)number));
}

/* A field that has no place is left out whole; a long text is cut. */
static void put_field(struct line *line, const struct log_field *field)
{
    size_t before = line->len;
    if (!put_key(line, field->key) || !(field->is_number ? put_number(line, field->number) : put_text(line, field->text)))
        line->len = before;
}

static uint64_t hash_of(const char *text, size_t len)
{
    uint64_t hash = UINT64_C(1469598103934665603);
    for (size_t i = 0; i < len; i++) hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
    return hash;
}

static void write_out(struct log *log, enum log_level level, struct line *line, unsigned repeated)
{
    line->max = LOG_LINE_MAX - 2; /* } and NUL */
    if (repeated) put_field(line, &(struct log_field){.key = "repeated", .number = repeated, .is_number = 1});
    if (line->format == LOG_FORMAT_JSON) line->text[line->len++] = '}';
    line->text[line->len] = 0;
    log->options.sink(log->options.user, (int)level, line->text);
}

/* The last of them, for all. */
static void write_held_back(struct log *log, struct recent *held, int count)
{
    for (int i = 0; i < count; i++)
        if ((int)held[i].level <= atomic_load_explicit(&log->level, memory_order_relaxed))
            write_out(log, held[i].level, &held[i].line, held[i].held_back - 1);
}

static bool is_over(const struct recent *recent, int64_t now_ns)
{
    return now_ns - recent->written_ns >= REPEAT_MS * NS_PER_MS;
}

/* What is held back for long enough, or all of it; but for one place, and of another one in any case (either may be NULL). */
static int take_held_back(struct log *log, bool all, const struct recent *but, const struct recent *at_once, int64_t now_ns,
                          struct recent *held)
{
    int count = 0;
    for (struct recent *recent = log->recent; recent < log->recent + RECENT; recent++) {
        bool is_taken = recent->held_back && recent != but && (all || recent == at_once || is_over(recent, now_ns));
        if (!is_taken) continue;
        held[count++] = *recent;
        recent->held_back = 0;
        recent->written_ns = now_ns;
    }
    return count;
}

struct look {
    bool is_due;       /* the line is to be written */
    unsigned repeated; /* so many like it were held back */
    struct recent held[RECENT];
    int held_count;
};

static struct recent *place_of(struct log *log, uint64_t hash, bool *is_known)
{
    struct recent *oldest = log->recent;
    *is_known = true;
    for (int i = 0; i < RECENT; i++) {
        if (log->recent[i].written_ns && log->recent[i].hash == hash) return &log->recent[i];
        if (log->recent[i].written_ns < oldest->written_ns) oldest = &log->recent[i];
    }
    *is_known = false;
    return oldest;
}

static void look_back(struct log *log, enum log_level level, const struct line *line, uint64_t hash, struct look *look)
{
    bool is_known;
    pthread_mutex_lock(&log->lock);
    int64_t now_ns = log->options.now_ns();
    struct recent *place = place_of(log, hash, &is_known);
    look->is_due = !is_known || is_over(place, now_ns);
    look->held_count = take_held_back(log, false, is_known ? place : NULL, is_known ? NULL : place, now_ns, look->held);
    if (look->is_due) {
        look->repeated = place->held_back; /* 0 where it was another's place: that is taken */
        place->hash = hash;
        place->level = level;
        place->written_ns = now_ns;
        place->held_back = 0;
    } else {
        place->held_back++;
        place->line = *line;
    }
    pthread_mutex_unlock(&log->lock);
}

void log_write(struct log *log, enum log_level level, const char *name, const struct log_field *fields)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    if (!log || (int)level > atomic_load_explicit(&log->level, memory_order_relaxed) || !log->options.sink) return;
    struct line line = {.format = log->options.format, .max = LOG_LINE_MAX - END_BYTES};
    char when[CLOCK_ISO_SIZE];
    clock_iso(clock_unix_us(), when);
    put_field(&line, &(struct log_field){.key = "time", .text = bytes_of(when)});
    size_t same_from = line.len;
    put_field(&line, &(struct log_field){.key = "level", .text = bytes_of(levels[level])});
    put_field(&line, &(struct log_field){.key = "event", .text = bytes_of(name)});
    for (; fields->key; fields++) put_field(&line, fields);
    struct look look = {0};
    look_back(log, level, &line, hash_of(line.text + same_from, line.len - same_from), &look);
    write_held_back(log, look.held, look.held_count);
    if (look.is_due) write_out(log, level, &line, look.repeated);
}

void log_flush(struct log *log)
{
    struct recent held[RECENT];
    if (!log || !log->options.sink) return;
    pthread_mutex_lock(&log->lock);
    int count = take_held_back(log, true, NULL, NULL, log->options.now_ns(), held);
    pthread_mutex_unlock(&log->lock);
    write_held_back(log, held, count);
}
