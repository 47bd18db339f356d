/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/input.h"
#include "cli/waiting.h"
#include "config/config.h"
#include "embed/embed.h"

enum { LINES = 512, LINES_BYTES = 4 * 1024 * 1024, LATE_MS = 5 };

struct publish {
    quern_config *config;
    struct embed *embed;
    quern_publisher *publisher;
    quern_message like; /* what each message has, but for its data */
    bool is_raw;
    struct waiting waiting;
    quern_message then; /* the closing job of all lines; event NULL: none */
    const char *then_data;
    quern_batch *batch;
    char batch_id[40];
};

static quern_message message_of(const struct publish *publish, const char *data, size_t len)
{
    quern_message message = publish->like;
    message.data = (quern_bytes){data, len};
    return message;
}

/* The server, the publisher and, before anything is published, who waits. EXIT_DONE, or the reason has been said. */
static int publisher_open(struct publish *publish)
{
    quern_error err;
    int code = server_open(publish->config, &(struct server_options){0}, &publish->embed);
    if (code) return code == QUERN_E_CONFIG ? EXIT_USAGE : EXIT_FAILED;
    if ((publish->publisher = quern_publisher_open(publish->config, &err)))
        return waiting_open(&publish->waiting, publish->config);
    say("%s", err.text);
    return err.code == QUERN_E_CONFIG ? EXIT_USAGE : EXIT_FAILED;
}

/* ── one job ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The whole file. Gives; NULL: said why. */
static char *read_file(const char *path, size_t max, size_t *len)
{
    FILE *file = fopen(path, "re");
    char *bytes = file ? malloc(max + 2) : NULL;
    if (bytes) *len = fread(bytes, 1, max + 1, file);
    bool failed = !bytes || ferror(file);
    if (failed) say("%s: %s", path, strerror(errno));
    if (file) fclose(file);
    if (!failed) return bytes;
    free(bytes);
    return NULL;
}

/* Checked before any server is looked for. */
static int publish_one(struct publish *publish, const char *data, size_t len)
{
    quern_error err;
    quern_receipt receipt;
    quern_message message = message_of(publish, data, len);
    if (quern_message_check(publish->config, &message, &err)) {
        say("not published: %s", err.text);
        return EXIT_USAGE;
    }
    int status = publisher_open(publish);
    if (status) return status;
    int code = quern_publish(publish->publisher, &message, 1, &receipt, &err);
    if (code == QUERN_E_UNKNOWN)
        say("the job %s: %s", receipt.id, err.text); /* it may be there: by its id it can be looked for */
    else if (code)
        say("not published: %s", err.text);
    if (code) return EXIT_FAILED;
    if (receipt.is_duplicate) say("not published once more: its window is open, this is the job that opened it");
    if (receipt.dropped) say("%d older made room for it: they are dead letters (dropped)", receipt.dropped);
    if (publish->waiting.waiter) return waiting_show_result(&publish->waiting, &receipt);
    if (printf("%s\n", receipt.id) > 0 && fflush(stdout) == 0) return EXIT_DONE;
    say("published as %s, but standard output: %s", receipt.id, strerror(errno));
    return EXIT_FAILED;
}

static int publish_argument(struct publish *publish, const char *data)
{
    size_t len = data ? strlen(data) : 0;
    if (!data || data[0] != '@') return publish_one(publish, data, len);
    char *bytes = read_file(data + 1, (size_t)publish->config->payload_max_bytes, &len);
    int status = bytes ? publish_one(publish, bytes, len) : EXIT_USAGE;
    free(bytes);
    return status;
}

/* ── one job per line ────────────────────────────────────────────────────────────────────────────────────────────── */

struct lines {
    struct publish *publish;
    struct input input;
    char *text[LINES];
    size_t capacity[LINES];
    quern_message messages[LINES];
    uint64_t at[LINES]; /* the number of each line */
    quern_receipt receipts[LINES];
    size_t count;
    uint64_t line, published, duplicates, dropped;
    bool has_terminal;
};

static void show_progress(const struct lines *lines)
{
    if (lines->has_terminal) fprintf(stderr, "\r%llu published", (unsigned long long)lines->published);
}

/* Reads lines until the batch is full, or the next one keeps it waiting, or there are no more. false: standard input failed.
 * Empty lines are passed over. */
static bool fill(struct lines *lines)
{
    size_t bytes = 0;
    lines->count = 0;
    while (lines->count < LINES && bytes < LINES_BYTES) {
        size_t i = lines->count;
        if (i && input_is_late(&lines->input, LATE_MS)) break;
        ssize_t n = input_line(&lines->input, &lines->text[i], &lines->capacity[i]);
        if (n < 0) break;
        lines->line++;
        if (n == 0) continue;
        lines->messages[i] = message_of(lines->publish, lines->text[i], (size_t)n);
        lines->at[i] = lines->line;
        lines->count++;
        bytes += (size_t)n;
    }
    return !lines->input.error;
}

/* The first line that Redis did not confirm. */
static uint64_t first_open(const struct lines *lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (lines->receipts[i].code) return lines->at[i];
    return lines->at[0];
}

/* What may be there was on its way when the answers ceased: up to two batches. */
static void say_unconfirmed(const struct lines *lines, size_t count, const quern_error *err)
{
    uint64_t first = first_open(lines, count), last = first;
    for (size_t i = 0; i < count; i++)
        if (lines->receipts[i].code == QUERN_E_UNKNOWN || lines->receipts[i].code == QUERN_OK) last = lines->at[i];
    if (last > first)
        say("line %llu is the first that was not confirmed; of it and those up to line %llu some or all may be there, none "
            "behind: %s",
            (unsigned long long)first, (unsigned long long)last, err->text);
    else
        say("line %llu is the first that was not confirmed: %s", (unsigned long long)first, err->text);
}

static bool is_any_wrong(const struct lines *lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (quern_message_check(lines->publish->config, &lines->messages[i], NULL)) return true;
    return false;
}

static int send_lines(struct lines *lines, size_t count)
{
    quern_error err;
    const struct publish *publish = lines->publish;
    int code = publish->batch ? quern_batch_add(publish->batch, lines->messages, count, lines->receipts, &err)
                              : quern_publish(publish->publisher, lines->messages, count, lines->receipts, &err);
    if (code == QUERN_E_ARGUMENT || (code == QUERN_E_FULL && is_any_wrong(lines, count))) return QUERN_E_ARGUMENT;
    for (size_t i = 0; i < count; i++) {
        const quern_receipt *receipt = &lines->receipts[i];
        lines->published += receipt->code == QUERN_OK && !receipt->is_duplicate;
        lines->duplicates += receipt->code == QUERN_OK && receipt->is_duplicate;
        lines->dropped += (uint64_t)receipt->dropped;
        if (receipt->code == QUERN_OK) waiting_add(&lines->publish->waiting, receipt);
    }
    if (!code) return QUERN_OK;
    say_unconfirmed(lines, count, &err);
    return code;
}

/* One of the lines is wrong: finds it, publishes those before it, and says where to go on. */
static int stop_at_wrong(struct lines *lines)
{
    quern_error err;
    for (size_t i = 0; i < lines->count; i++) {
        if (!quern_message_check(lines->publish->config, &lines->messages[i], &err)) continue;
        if (i && send_lines(lines, i)) return QUERN_E_CONNECT;
        say("line %llu: %s; the lines before it are published, it and those behind it are not",
            (unsigned long long)lines->at[i], err.text);
        return QUERN_E_ARGUMENT;
    }
    return QUERN_E_ARGUMENT;
}

/* Is there anything that no line could mend? */
static int check_event(struct publish *publish)
{
    quern_error err;
    quern_message message = message_of(publish, NULL, 0);
    message.is_raw = 1;
    if (!quern_message_check(publish->config, &message, &err)) return EXIT_DONE;
    say("not published: %s", err.text);
    return EXIT_USAGE;
}

/* The batch of all lines, if they are one. EXIT_DONE, or the reason has been said. */
static int open_batch(struct publish *publish)
{
    quern_error err;
    if (!publish->then.event) return EXIT_DONE;
    if (publish->then_data) publish->then.data = (quern_bytes){publish->then_data, strlen(publish->then_data)};
    publish->batch = quern_batch_open(publish->publisher, &publish->then, publish->batch_id, &err);
    if (publish->batch) return EXIT_DONE;
    say("not published: %s", err.text);
    return err.code == QUERN_E_MEMORY ? EXIT_FAILED : EXIT_USAGE;
}

/* Its id goes where those of jobs go, but for a wait, which has standard output. */
static int seal_batch(struct publish *publish)
{
    quern_error err;
    int code = quern_batch_seal(publish->batch, &err);
    if (code) {
        say("the batch %s: it may not be sealed: %s", publish->batch_id, err.text);
        return code;
    }
    if (publish->waiting.waiter) {
        say("the batch is %s", publish->batch_id);
        return QUERN_OK;
    }
    if (printf("%s\n", publish->batch_id) > 0 && fflush(stdout) == 0) return QUERN_OK;
    say("the batch is %s, but standard output: %s", publish->batch_id, strerror(errno));
    return QUERN_E_CONNECT;
}

static int publish_lines(struct publish *publish)
{
    int status = check_event(publish);
    if (!status) status = publisher_open(publish);
    if (!status) status = open_batch(publish);
    if (status) return status;
    struct lines *lines = calloc(1, sizeof *lines);
    int code = lines ? QUERN_OK : QUERN_E_MEMORY;
    if (lines)
        *lines = (struct lines){.publish = publish, .input = {.fd = STDIN_FILENO}, .has_terminal = isatty(STDERR_FILENO)};
    while (!code) {
        bool is_fine = fill(lines);
        if (!is_fine) say("standard input: %s", strerror(lines->input.error));
        if (!is_fine) code = QUERN_E_ARGUMENT;
        if (!lines->count) break;
        if (!code) code = send_lines(lines, lines->count);
        if (code == QUERN_E_ARGUMENT) code = stop_at_wrong(lines);
        show_progress(lines);
    }
    if (lines && lines->has_terminal) fputc('\n', stderr);
    if (lines) say("%llu published", (unsigned long long)lines->published);
    if (lines && lines->duplicates) say("%llu more were not: their windows were open", (unsigned long long)lines->duplicates);
    if (lines && lines->dropped)
        say("%llu older made room: they are dead letters (dropped)", (unsigned long long)lines->dropped);
    if (code && publish->batch)
        say("the batch %s is not complete: its closing job says so, ten minutes after the last of its lines or later",
            publish->batch_id);
    if (!code && publish->batch) code = seal_batch(publish);
    for (size_t i = 0; lines && i < LINES; i++) free(lines->text[i]);
    if (lines) input_close(&lines->input);
    free(lines);
    status = publish->waiting.waiter ? waiting_show_all(&publish->waiting) : EXIT_DONE;
    return code ? EXIT_FAILED : status;
}

/* ── the verb ────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* --timeout: publish_ms in seconds. */
static int take_timeout(const struct verb_option *option, const char *seconds)
{
    quern_error err;
    char *end, ms[32];
    double value = strtod(seconds, &end);
    if (end == seconds || *end || !(value >= 0.001 && value <= 86400)) {
        say("--timeout: '%s' is not a number of seconds from 0.001 to 86400", seconds);
        return QUERN_E_CONFIG;
    }
    snprintf(ms, sizeof ms, "%.0f", value * 1000);
    return quern_config_set(option->into, "publish_ms", ms, &err);
}

static int take_text(const struct verb_option *option, const char *text)
{
    *(const char **)option->into = text;
    return QUERN_OK;
}

static int publish_all(struct publish *publish, int argc, char **argv)
{
    const struct verb_option own[] = {
        {"timeout", .take = take_timeout, .into = publish->config},
        {"delay_ms", .take = option_number, .into = &publish->like.delay_ms, .max = INT64_MAX},
        {"at_ms", .take = option_number, .into = &publish->like.at_ms, .max = INT64_MAX},
        {"expire_at_ms", .take = option_number, .into = &publish->like.expire_at_ms, .max = INT64_MAX},
        {"unique", .take = take_text, .into = &publish->like.unique},
        {"key", .take = take_text, .into = &publish->like.key},
        {"then", .take = take_text, .into = &publish->then.event},
        {"then_data", .take = take_text, .into = &publish->then_data},
        {"raw", true, option_switch, &publish->is_raw, 0, 0},
        {"wait", true, option_switch, &publish->waiting.is_asked, 0, 0},
        {"wait_ms", .take = waiting_take_ms, .into = &publish->waiting, .max = INT64_MAX},
        {NULL}};
    int rest, code = options_read(publish->config, &(struct verb_options){.own = own, .may_mix = true}, argc, argv, &rest);
    if (code) return code == QUERN_E_GONE ? EXIT_DONE : EXIT_USAGE;
    if (rest < argc && !strcmp(argv[rest], "-")) {
        say("the event is missing before \"-\", which stands for the lines of standard input: right would be quern publish "
            "EVENT -");
        return EXIT_USAGE;
    }
    if (rest >= argc || argc - rest > 2) {
        bool is_long = rest < argc;
        say("%s%s%sright would be: quern publish [options] EVENT [JSON | @FILE | -]", is_long ? "'" : "",
            is_long ? argv[rest + 2] : "", is_long ? "' is one argument too many: " : "");
        return EXIT_USAGE;
    }
    if (publish->like.unique && argv[rest + 1] && !strcmp(argv[rest + 1], "-")) {
        say("--unique: with one key for all lines only the first would be published; --unique_by content tells them by their "
            "data");
        return EXIT_USAGE;
    }
    if ((publish->then.event || publish->then_data) &&
        !(publish->then.event && argv[rest + 1] && !strcmp(argv[rest + 1], "-"))) {
        say("--then names the closing job of all lines of standard input, --then_data its data: right would be quern publish "
            "EVENT - --then EVENT");
        return EXIT_USAGE;
    }
    publish->like.event = argv[rest];
    publish->like.is_raw = publish->is_raw;
    const char *data = argv[rest + 1];
    return data && strcmp(data, "-") == 0 ? publish_lines(publish) : publish_argument(publish, data);
}

int verb_publish(int argc, char **argv)
{
    struct publish publish = {.config = quern_config_new(),
                              .like = {.size = sizeof(quern_message)},
                              .then = {.size = sizeof(quern_message)},
                              .waiting = {.ms = -1}};
    if (!publish.config) {
        say("no memory");
        return EXIT_FAILED;
    }
    int status = publish_all(&publish, argc, argv);
    quern_batch_free(publish.batch);
    waiting_close(&publish.waiting);
    quern_publisher_close(publish.publisher);
    embed_close(publish.embed);
    quern_config_free(publish.config);
    return status;
}
