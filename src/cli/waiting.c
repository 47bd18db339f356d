/* SPDX-License-Identifier: MIT */
#include "cli/waiting.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int waiting_take_ms(const struct verb_option *option, const char *value)
{
    struct waiting *waiting = option->into;
    struct verb_option number = *option;
    number.into = &waiting->ms;
    waiting->is_asked = true;
    return option_number(&number, value);
}

int waiting_open(struct waiting *waiting, const quern_config *config)
{
    quern_error err;
    if (!waiting->is_asked || (waiting->waiter = quern_waiter_open(config, &err))) return EXIT_DONE;
    say("not published: nobody could wait for it: %s", err.text);
    return err.code == QUERN_E_CONFIG ? EXIT_USAGE : EXIT_FAILED;
}

void waiting_close(struct waiting *waiting)
{
    quern_waiter_close(waiting->waiter);
    free(waiting->receipts);
}

void waiting_add(struct waiting *waiting, const quern_receipt *receipt)
{
    if (!waiting->waiter || waiting->has_failed) return;
    if (waiting->count == waiting->capacity) {
        size_t capacity = waiting->capacity ? 2 * waiting->capacity : 512;
        quern_receipt *more = realloc(waiting->receipts, capacity * sizeof *more);
        waiting->has_failed = !more;
        if (!more) return;
        waiting->receipts = more;
        waiting->capacity = capacity;
    }
    waiting->receipts[waiting->count++] = *receipt;
}

/* What they came to. NULL: the reason has been said. */
static json_t *wait_for(struct waiting *waiting, const quern_receipt *receipts, size_t count)
{
    quern_error err;
    char *text = quern_waiter_wait(waiting->waiter, receipts, count, waiting->ms, &err);
    json_t *list = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
    if (!text) say("published, but the wait for it has ended: %s", err.text);
    if (text && !list) say("no memory for what was told");
    quern_free(text);
    return list;
}

static bool is(const json_t *row, const char *outcome)
{
    return strcmp(json_string_value(json_object_get(row, "outcome")), outcome) == 0;
}

static int end_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return EXIT_DONE;
    say("standard output: %s", strerror(errno));
    return EXIT_FAILED;
}

/* ── one ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void put_hex(const char *hex)
{
    char pair[3] = {0};
    for (; hex[0] && hex[1]; hex += 2) {
        memcpy(pair, hex, 2);
        putchar((int)strtol(pair, NULL, 16));
    }
}

/* A terminal's next line begins at its left. */
static int put_result(const json_t *row)
{
    const json_t *result = json_object_get(row, "result"), *hex = json_object_get(row, "result_hex");
    size_t len = json_string_length(result);
    if (json_is_string(hex))
        put_hex(json_string_value(hex));
    else
        fwrite(json_string_value(result), 1, len, stdout);
    if (isatty(STDOUT_FILENO) && (!len || json_string_value(result)[len - 1] != '\n')) putchar('\n');
    return end_output();
}

/* A member that is a text; else what stands for it. */
static const char *text_of(const json_t *row, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : otherwise;
}

static int show_one(const struct waiting *waiting, const json_t *row)
{
    if (is(row, "done")) return put_result(row);
    if (is(row, "dead"))
        say("dead (%s): %s", text_of(row, "reason", "it does not say why"), text_of(row, "error", "-"));
    else if (is(row, "unknown"))
        say("%s", text_of(row, "error", "-"));
    else
        say("it has not ended within %lld ms, and goes on", (long long)waiting->ms);
    return EXIT_FAILED;
}

int waiting_show_result(struct waiting *waiting, const quern_receipt *receipt)
{
    say("published as %s; waiting for its end (Ctrl-C ends only the waiting)", receipt->id);
    json_t *list = wait_for(waiting, receipt, 1);
    int status = list ? show_one(waiting, json_array_get(list, 0)) : EXIT_FAILED;
    json_decref(list);
    return status;
}

/* ── several ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void put_row(const json_t *row)
{
    char *text = json_dumps(row, JSON_COMPACT | JSON_REAL_PRECISION(12));
    puts(text ? text : "null");
    free(text);
}

static int show_rows(const json_t *list)
{
    static const char *const outcomes[] = {"done", "dead", "unknown", "open"};
    size_t counts[4] = {0};
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        for (size_t k = 0; k < 4; k++) counts[k] += is(row, outcomes[k]);
        put_row(row);
    }
    say("%zu done, %zu dead, %zu not known, %zu not ended in time", counts[0], counts[1], counts[2], counts[3]);
    int status = end_output();
    return counts[0] == json_array_size(list) ? status : EXIT_FAILED;
}

int waiting_show_all(struct waiting *waiting)
{
    if (waiting->has_failed) {
        say("no memory to wait for so many");
        return EXIT_FAILED;
    }
    json_t *list = wait_for(waiting, waiting->receipts, waiting->count);
    int status = list ? show_rows(list) : EXIT_FAILED;
    json_decref(list);
    return status;
}
