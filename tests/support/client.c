/* SPDX-License-Identifier: MIT */
#include "support/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORDS_MAX = 64, LINE_SIZE = 512 };

struct resp {
    int fd;
    FILE *in;
    struct answer last;
};

static const struct answer nil = {.kind = '_'};

struct resp *resp_open(const char *socket_path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = RESP_PATIENCE_S};
    struct resp *resp = calloc(1, sizeof *resp);
    assert_non_null(resp);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", socket_path);
    resp->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(resp->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(resp->fd, (struct sockaddr *)&to, sizeof to) == 0 && (resp->in = fdopen(resp->fd, "r"))) return resp;
    close(resp->fd);
    free(resp);
    return NULL;
}

static void answer_clear(struct answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) answer_clear(&answer->items[i]);
    free(answer->items);
    free(answer->text);
    *answer = nil;
}

void resp_close(struct resp *resp)
{
    if (!resp) return;
    answer_clear(&resp->last);
    fclose(resp->in);
    free(resp);
}

static void resp_write(struct resp *resp, const char *bytes, size_t len)
{
    for (ssize_t n; len; bytes += n, len -= (size_t)n)
        if ((n = send(resp->fd, bytes, len, MSG_NOSIGNAL)) <= 0) fail_msg("Redis closed the test's own connection");
}

static char *read_bytes(struct resp *resp, size_t len)
{
    char *text = malloc(len + 2);
    assert_non_null(text);
    if (fread(text, 1, len + 2, resp->in) != len + 2) fail_msg("half an answer");
    text[len] = 0;
    return text;
}

static void read_answer(struct resp *resp, struct answer *answer)
{
    char line[LINE_SIZE];
    if (!fgets(line, sizeof line, resp->in)) fail_msg("no answer from Redis");
    line[strcspn(line, "\r\n")] = 0;
    long long number = strtoll(line + 1, NULL, 10);
    *answer = (struct answer){.kind = line[0]};
    if ((line[0] == '$' || line[0] == '*') && number < 0) {
        *answer = nil;
    } else if (line[0] == ':') {
        answer->number = number;
    } else if (line[0] == '$') {
        answer->len = (size_t)number;
        answer->text = read_bytes(resp, answer->len);
    } else if (line[0] == '*') {
        answer->items = calloc((size_t)number + 1, sizeof *answer->items);
        for (; answer->count < (size_t)number; answer->count++) read_answer(resp, &answer->items[answer->count]);
    } else {
        answer->text = strdup(line + 1);
        answer->len = strlen(line + 1);
    }
}

/* In one piece: a server that is asked in pieces wakes for each. */
static void say_words(struct resp *resp, size_t count, const char *const *words, const size_t *lens)
{
    char *bytes = NULL;
    size_t size = 0;
    assert_non_null(resp);
    FILE *out = open_memstream(&bytes, &size);
    assert_non_null(out);
    fprintf(out, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        size_t len = lens ? lens[i] : strlen(words[i]);
        fprintf(out, "$%zu\r\n", len);
        fwrite(words[i], 1, len, out);
        fputs("\r\n", out);
    }
    fclose(out);
    resp_write(resp, bytes, size);
    free(bytes);
}

const struct answer *resp_hear(struct resp *resp)
{
    answer_clear(&resp->last);
    read_answer(resp, &resp->last);
    return &resp->last;
}

const struct answer *resp_ask_words(struct resp *resp, size_t count, const char *const *words, const size_t *lens)
{
    say_words(resp, count, words, lens);
    return resp_hear(resp);
}

static void say_all(struct resp *resp, va_list args)
{
    const char *words[WORDS_MAX];
    size_t count = 0;
    for (const char *word; (word = va_arg(args, const char *));) {
        assert_true(count < WORDS_MAX);
        words[count++] = word;
    }
    say_words(resp, count, words, NULL);
}

void resp_say(struct resp *resp, ...)
{
    va_list args;
    va_start(args, resp);
    say_all(resp, args);
    va_end(args);
}

const struct answer *resp_ask(struct resp *resp, ...)
{
    va_list args;
    va_start(args, resp);
    say_all(resp, args);
    va_end(args);
    return resp_hear(resp);
}

const struct answer *answer_at(const struct answer *list, size_t i)
{
    return list->kind == '*' && i < list->count ? &list->items[i] : &nil;
}

const struct answer *answer_of(const struct answer *list, const char *name)
{
    for (size_t i = 0; i + 1 < list->count; i += 2)
        if (answer_is(&list->items[i], name)) return &list->items[i + 1];
    return &nil;
}

bool answer_is(const struct answer *answer, const char *text)
{
    return answer->text && answer->len == strlen(text) && !memcmp(answer->text, text, answer->len);
}
