/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"

enum { RECENT = 8, REPEAT_MS = 5000, VALUE_MAX = 400, NAME_MAX_BYTES = 40, END_BYTES = sizeof ",\"repeated\":4294967295}" };

struct recent {
    uint64_t hash;
    int64_t written_ns;
    unsigned repeated; /* held back since then */
    enum log_level level;
    char name[NAME_MAX_BYTES];
};

struct log {
    struct log_options options; /* its level is that of the beginning */
    _Atomic int level;
    pthread_mutex_t lock; /* guards recent */
    struct recent recent[RECENT];
};

struct line {
    char text[LOG_LINE_MAX];
    size_t len, max; /* max: what fields may fill; the end has its place behind it */
    enum log_format format;
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

/* What every line begins with. */
static void put_head(struct line *line, enum log_level level, const char *name, size_t *same_from)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    char when[CLOCK_ISO_SIZE];
    clock_iso(clock_unix_us(), when);
    put_field(line, &(struct log_field){.key = "time", .text = bytes_of(when)});
    *same_from = line->len;
    put_field(line, &(struct log_field){.key = "level", .text = bytes_of(levels[level])});
    put_field(line, &(struct log_field){.key = "event", .text = bytes_of(name)});
}

static void write_out(struct log *log, enum log_level level, struct line *line, unsigned repeated)
{
    line->max = LOG_LINE_MAX - 2; /* } and NUL */
    if (repeated) put_field(line, &(struct log_field){.key = "repeated", .number = repeated, .is_number = 1});
    if (line->format == LOG_FORMAT_JSON) line->text[line->len++] = '}';
    line->text[line->len] = 0;
    log->options.sink(log->options.user, (int)level, line->text);
}

/* Those that no line of their kind has counted, and that none may come to count. */
static void tell_held_back(struct log *log, const struct recent *held, int count)
{
    for (int i = 0; i < count; i++) {
        struct line line = {.format = log->options.format, .max = LOG_LINE_MAX - END_BYTES};
        size_t same_from;
        put_head(&line, held[i].level, "held_back", &same_from);
        put_field(&line, &(struct log_field){.key = "of", .text = bytes_of(held[i].name)});
        put_field(&line, &LOG_TEXT("why", "lines were equal to the last of that name"));
        write_out(log, held[i].level, &line, held[i].repeated);
    }
}

/* Takes out what the log will forget, or has kept long enough. */
static int take_held_back(struct log *log, const struct recent *but, const struct recent *forgotten, int64_t now_ns,
                          struct recent *held)
{
    int count = 0;
    for (struct recent *recent = log->recent; recent < log->recent + RECENT; recent++) {
        if (recent == but || !recent->repeated) continue;
        if (recent != forgotten && now_ns - recent->written_ns < REPEAT_MS * NS_PER_MS) continue;
        held[count++] = *recent;
        recent->repeated = 0;
    }
    return count;
}

struct look {
    bool is_due;       /* the line is to be written */
    unsigned repeated; /* so many like it were held back */
    struct recent held[RECENT];
    int held_count;
};

static void look_back(struct log *log, enum log_level level, const char *name, uint64_t hash, struct look *look)
{
    pthread_mutex_lock(&log->lock);
    int64_t now_ns = log->options.now_ns();
    struct recent *oldest = log->recent, *found = NULL;
    for (int i = 0; i < RECENT; i++) {
        if (log->recent[i].written_ns && log->recent[i].hash == hash) found = &log->recent[i];
        if (log->recent[i].written_ns < oldest->written_ns) oldest = &log->recent[i];
    }
    look->is_due = !found || now_ns - found->written_ns >= REPEAT_MS * NS_PER_MS;
    look->held_count = take_held_back(log, found, found ? NULL : oldest, now_ns, look->held);
    if (look->is_due) {
        look->repeated = found ? found->repeated : 0;
        struct recent *recent = found ? found : oldest;
        *recent = (struct recent){.hash = hash, .written_ns = now_ns, .level = level};
        snprintf(recent->name, sizeof recent->name, "%s", name);
    } else {
        found->repeated++;
    }
    pthread_mutex_unlock(&log->lock);
}

void log_write(struct log *log, enum log_level level, const char *name, const struct log_field *fields)
{
    if (!log || (int)level > atomic_load_explicit(&log->level, memory_order_relaxed) || !log->options.sink) return;
    struct line line = {.format = log->options.format, .max = LOG_LINE_MAX - END_BYTES};
    struct look look = {0};
    size_t same_from;
    put_head(&line, level, name, &same_from);
    for (; fields->key; fields++) put_field(&line, fields);
    look_back(log, level, name, hash_of(line.text + same_from, line.len - same_from), &look);
    tell_held_back(log, look.held, look.held_count);
    if (look.is_due) write_out(log, level, &line, look.repeated);
}

void log_flush(struct log *log)
{
    struct recent held[RECENT];
    if (!log || !log->options.sink) return;
    pthread_mutex_lock(&log->lock);
    int count = take_held_back(log, NULL, NULL, CLOCK_NEVER, held);
    pthread_mutex_unlock(&log->lock);
    tell_held_back(log, held, count);
}
