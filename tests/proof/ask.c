/* SPDX-License-Identifier: MIT */
#include "proof/ask.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { WORDS_MAX = 32 };

static void said_clear(struct said *said)
{
    for (size_t i = 0; i < said->count; i++) said_clear(&said->items[i]);
    free(said->items);
    free(said->text);
    *said = (struct said){.kind = '_'};
}

void asker_open(struct asker *asker, const char *socket_path, int patience_s)
{
    *asker = (struct asker){.fd = -1, .patience_s = patience_s, .last = {.kind = '_'}};
    snprintf(asker->path, sizeof asker->path, "%s", socket_path);
}

static void hang_up(struct asker *asker)
{
    if (asker->fd >= 0) close(asker->fd);
    asker->fd = -1;
    asker->in_len = asker->in_at = 0;
}

void asker_close(struct asker *asker)
{
    hang_up(asker);
    free(asker->in);
    said_clear(&asker->last);
    asker->in = NULL;
}

static bool is_connected(struct asker *asker)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = asker->patience_s};
    if (asker->fd >= 0) return true;
    snprintf(to.sun_path, sizeof to.sun_path, "%s", asker->path);
    asker->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(asker->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(asker->fd, (struct sockaddr *)&to, sizeof to) == 0) return true;
    hang_up(asker);
    return false;
}

static bool send_all(struct asker *asker, const char *bytes, size_t len)
{
    for (ssize_t n; len; bytes += n, len -= (size_t)n)
        if ((n = send(asker->fd, bytes, len, MSG_NOSIGNAL)) <= 0) return false;
    return true;
}

static bool send_words(struct asker *asker, size_t count, const char *const *words)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out) return false;
    fprintf(out, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) fprintf(out, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    fclose(out);
    bool is_sent = send_all(asker, text, size);
    free(text);
    return is_sent;
}

/* Reads until there are len bytes at hand. */
static bool need(struct asker *asker, size_t len)
{
    while (asker->in_len - asker->in_at < len) {
        if (asker->in_at) memmove(asker->in, asker->in + asker->in_at, asker->in_len - asker->in_at);
        asker->in_len -= asker->in_at;
        asker->in_at = 0;
        if (asker->in_size - asker->in_len < 65536) {
            char *more = realloc(asker->in, asker->in_size * 2 + 131072);
            if (!more) return false;
            asker->in = more;
            asker->in_size = asker->in_size * 2 + 131072;
        }
        ssize_t n = recv(asker->fd, asker->in + asker->in_len, asker->in_size - asker->in_len, 0);
        if (n <= 0) return false;
        asker->in_len += (size_t)n;
    }
    return true;
}

/* Up to CRLF, which becomes a NUL. Lends until the next read. */
static char *read_line(struct asker *asker, size_t *len)
{
    for (size_t looked = 0;; looked++) {
        if (!need(asker, looked + 2)) return NULL;
        char *at = asker->in + asker->in_at;
        if (at[looked] != '\r') continue;
        at[looked] = 0;
        *len = looked;
        asker->in_at += looked + 2;
        return at;
    }
}

static bool keep_text(struct said *said, const char *bytes, size_t len)
{
    said->text = malloc(len + 1);
    if (!said->text) return false;
    memcpy(said->text, bytes, len);
    said->text[len] = 0;
    said->len = len;
    return true;
}

static bool hear(struct asker *asker, struct said *said)
{
    size_t len;
    char *line = read_line(asker, &len);
    if (!line || !len) return false;
    *said = (struct said){.kind = line[0], .number = atoll(line + 1)};
    if (said->kind == '+' || said->kind == '-') return keep_text(said, line + 1, len - 1);
    if ((said->kind == '$' || said->kind == '*') && said->number < 0) said->kind = '_';
    if (said->kind == '$') {
        size_t bytes = (size_t)said->number;
        if (!need(asker, bytes + 2) || !keep_text(said, asker->in + asker->in_at, bytes)) return false;
        asker->in_at += bytes + 2;
    }
    if (said->kind != '*') return true;
    said->items = calloc((size_t)said->number + 1, sizeof *said->items);
    for (long long i = 0; said->items && i < said->number; i++) {
        said->items[said->count].kind = '_';
        said->count++;
        if (!hear(asker, &said->items[i])) return false;
    }
    return said->items != NULL;
}

const struct said *ask_words(struct asker *asker, size_t count, const char *const *words)
{
    said_clear(&asker->last);
    if (is_connected(asker) && send_words(asker, count, words) && hear(asker, &asker->last)) return &asker->last;
    hang_up(asker);
    return NULL;
}

const struct said *ask(struct asker *asker, ...)
{
    const char *words[WORDS_MAX];
    size_t count = 0;
    va_list more;
    va_start(more, asker);
    while (count < WORDS_MAX && (words[count] = va_arg(more, const char *))) count++;
    va_end(more);
    return ask_words(asker, count, words);
}

long long said_number(const struct said *said)
{
    if (!said || said->kind == '-' || said->kind == '_') return -1;
    return said->kind == '*' ? (long long)said->count : said->kind == '$' ? atoll(said->text) : said->number;
}

const struct said *said_at(const struct said *list, size_t i)
{
    return list && list->kind == '*' && i < list->count ? &list->items[i] : NULL;
}

const struct said *said_of(const struct said *list, const char *name)
{
    for (size_t i = 0; list && i + 1 < list->count; i += 2)
        if (list->items[i].text && !strcmp(list->items[i].text, name)) return &list->items[i + 1];
    return NULL;
}
