/* SPDX-License-Identifier: MIT */

/* inspect/waiter: who publishes a job may wait for what it comes to.
 *
 *      open ── notes where the completed log and the dead letters end
 *                │
 *      (publish) │
 *                ▼
 *      wait ──▶ one XREAD blocks on both ──a record──▶ is it one of ours? ──all are told──▶ the answer
 *                ▲   └──a while without──▶ find: is it still anywhere before the group? ──no──▶ read to the end: told, or unknown
 *                └────────────────────────────────────────────────yes─────┘
 *
 * Idea       what ends is written in the step that ends it, so reading both streams from a place noted before publishing misses
 *            nothing. A group that keeps no log leaves no record: then the one sign of an end is that the job is nowhere any
 *            more, which is looked for now and then, less and less often.
 * Invariant  what is nowhere had its record, if it ever gets one, before it was looked for. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "config/queues.h"
#include "inspect/look.h"
#include "inspect/outcome.h"
#include "inspect/show.h"
#include "wire/script.h"

enum {
    PAGE = 64,      /* records of each stream, a letter may be as large as a job */
    FIND_MAX = 64,  /* jobs of one call */
    FIND_CALLS = 4, /* of one look: the next one goes on with the others */
    FIND_ENTRIES = 1000,
    FIND_BYTES = 262144, /* that a call looks through */
    FIRST_LOOK_MS = 250,
    LAST_LOOK_MS = 5000 /* less than an answer may take: half-open connections are noticed by it */
};

struct quern_waiter {
    quern_config *config; /* of the one queue that was published to */
    struct look look;     /* its conn NULL: the connection was lost */
    int64_t opened_ms;
    struct entry_id completed, dead; /* where both ended when it was opened */
};

/* One job while it is waited for. */
struct awaited {
    const quern_receipt *receipt;
    json_t *told; /* NULL: not yet */
    bool is_gone; /* it is nowhere before the group */
};

struct wait {
    struct quern_waiter *waiter;
    struct awaited *jobs;            /* in the caller's order */
    struct awaited **by_id;          /* the same, sorted */
    size_t count, open, next;        /* next: of whom the next look is */
    struct entry_id completed, dead; /* read up to there */
    int64_t look_ms, look_ns;        /* how long until the next look, and when that is */
};

/* ── opening ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int connect_anew(struct quern_waiter *waiter, quern_error *err)
{
    return waiter->look.conn ? QUERN_OK : look_open_as(&waiter->look, waiter->config, "quern:waiter", err);
}

static int note_end(struct look *look, const char *stream, struct entry_id *end, quern_error *err)
{
    struct entry entry;
    const struct reply *last;
    conn_command(look->conn, "XREVRANGE", stream, "+", "-", "COUNT", "1", NULL);
    int code = look_ask(look, &last, err);
    if (!code && entry_read(reply_item(last, 0), &entry)) *end = entry.id;
    return code;
}

static int waiter_fill(struct quern_waiter *waiter, const quern_config *config, quern_error *err)
{
    if (!config) return err_set(err, QUERN_E_ARGUMENT, "no configuration was given");
    if (!(waiter->config = served_one(config, err))) return err->code;
    int code = connect_anew(waiter, err);
    if (!code) code = note_end(&waiter->look, waiter->look.source.completed, &waiter->completed, err);
    if (!code) code = note_end(&waiter->look, waiter->look.source.dead, &waiter->dead, err);
    waiter->opened_ms = waiter->look.now_ms;
    return code;
}

quern_waiter *quern_waiter_open(const quern_config *config, quern_error *err)
{
    quern_error own;
    struct quern_waiter *waiter = calloc(1, sizeof *waiter);
    if (!err) err = &own;
    if (!waiter) {
        err_set(err, QUERN_E_MEMORY, "no memory for a waiter");
        return NULL;
    }
    if (!waiter_fill(waiter, config, err)) return waiter;
    quern_waiter_close(waiter);
    return NULL;
}

void quern_waiter_close(quern_waiter *waiter)
{
    if (!waiter) return;
    look_close(&waiter->look);
    quern_config_free(waiter->config);
    free(waiter);
}

/* ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────── */

static int no_memory(quern_error *err)
{
    return err_set(err, QUERN_E_MEMORY, "no memory for what jobs came to");
}

static int compare_ids(const void *one, const void *other)
{
    const struct awaited *const *a = one, *const *b = other;
    return strcmp((*a)->receipt->id, (*b)->receipt->id);
}

/* A record's id may be anything, with zeros inside. */
static int compare_key(const void *key, const void *job)
{
    const quern_bytes *id = key;
    quern_bytes its = bytes_of((*(const struct awaited *const *)job)->receipt->id);
    int order = memcmp(id->at, its.at, id->len < its.len ? id->len : its.len);
    return order ? order : (id->len > its.len) - (id->len < its.len);
}

/* Duplicates in one call have the same id: all of them are told. */
static int tell(struct wait *wait, const struct outcome *outcome, quern_error *err)
{
    if (!outcome->id.len) return QUERN_OK;
    struct awaited **found = bsearch(&outcome->id, wait->by_id, wait->count, sizeof *wait->by_id, compare_key);
    while (found && found > wait->by_id && !strcmp(found[-1]->receipt->id, (*found)->receipt->id)) found--;
    for (struct awaited **at = found;
         at && at < wait->by_id + wait->count && !strcmp((*at)->receipt->id, (*found)->receipt->id); at++) {
        if ((*at)->told) continue;
        if (!((*at)->told = outcome_object(outcome))) return no_memory(err);
        wait->open--;
    }
    return QUERN_OK;
}

/* ── reading both streams ────────────────────────────────────────────────────────────────────────────────────────── */

static int take_record(struct wait *wait, const struct reply *item, bool is_done, quern_error *err)
{
    struct entry entry;
    struct outcome outcome;
    if (!entry_read(item, &entry)) return err_set(err, QUERN_E_SERVER, "XREAD answered something that is no entry");
    if (is_done)
        outcome_read_done(&outcome, &entry);
    else
        outcome_read_dead(&outcome, &entry, wait->waiter->config->group);
    int code = tell(wait, &outcome, err);
    outcome_close(&outcome);
    if (!code) *(is_done ? &wait->completed : &wait->dead) = entry.id;
    return code;
}

static void put_read(struct wait *wait, int block_ms)
{
    const struct look *look = &wait->waiter->look;
    char completed[ENTRY_ID_SIZE], dead[ENTRY_ID_SIZE];
    entry_id_text(wait->completed, completed);
    entry_id_text(wait->dead, dead);
    conn_begin(look->conn, block_ms ? 10 : 8);
    conn_arg_text(look->conn, "XREAD");
    conn_arg_text(look->conn, "COUNT");
    conn_arg_number(look->conn, PAGE);
    if (block_ms) conn_arg_text(look->conn, "BLOCK");
    if (block_ms) conn_arg_number(look->conn, block_ms);
    for (const char *const *word =
             (const char *const[]){"STREAMS", look->source.completed, look->source.dead, completed, dead, NULL};
         *word; word++)
        conn_arg_text(look->conn, *word);
}

/* Waits at most block_ms for records, and takes them. *is_more: there may be more already. */
static int read_some(struct wait *wait, int block_ms, bool *is_more, quern_error *err)
{
    struct look *look = &wait->waiter->look;
    const struct reply *reply;
    put_read(wait, block_ms);
    int code = look_ask(look, &reply, err);
    *is_more = false;
    for (uint32_t i = 0; !code && reply->type == REPLY_ARRAY && i < reply->count; i++) {
        const struct reply *stream = reply_item(reply, i), *entries = reply_item(stream, 1);
        bool is_done = bytes_is(reply_bytes(reply_item(stream, 0)), look->source.completed);
        uint32_t n = entries->type == REPLY_ARRAY ? entries->count : 0;
        if (n == PAGE) *is_more = true;
        for (uint32_t k = 0; !code && k < n; k++) code = take_record(wait, reply_item(entries, k), is_done, err);
    }
    return code;
}

static int read_all(struct wait *wait, quern_error *err)
{
    bool is_more = true;
    int code = QUERN_OK;
    while (!code && is_more) code = read_some(wait, 0, &is_more, err);
    return code;
}

/* ── looking for what left no record ─────────────────────────────────────────────────────────────────────────────── */

/* Of a duplicate of a job that was to wait for its time nothing more is known than that its window is open. */
static int64_t since_ms(const struct quern_waiter *waiter, const quern_receipt *receipt)
{
    int64_t ms = receipt->due_ms ? receipt->due_ms : waiter->opened_ms - waiter->config->unique_ms;
    return ms > 0 ? ms : 0;
}

/* The next of those that are still open, at most max. */
static size_t pick(struct wait *wait, struct awaited **some, size_t max)
{
    size_t n = 0;
    for (size_t seen = 0; seen < wait->count && n < max; seen++) {
        struct awaited *job = &wait->jobs[wait->next++ % wait->count];
        if (!job->told) some[n++] = job;
    }
    wait->next %= wait->count;
    return n;
}

/* Which of these are nowhere any more? */
static int find(struct wait *wait, struct awaited *const *some, size_t n, quern_error *err)
{
    const struct quern_waiter *waiter = wait->waiter;
    const struct source *source = &waiter->look.source;
    struct conn *conn = waiter->look.conn;
    const struct reply *reply;
    script_begin(conn, &script_find, 5, 3 + 3 * n);
    for (const char *const *key = (const char *const[]){source->stream, source->retry, source->alone, source->waiting,
                                                        source->scheduled_jobs, source->group, NULL};
         *key; key++)
        conn_arg_text(conn, *key);
    conn_arg_number(conn, FIND_ENTRIES);
    conn_arg_number(conn, FIND_BYTES);
    for (size_t i = 0; i < n; i++) {
        conn_arg_text(conn, some[i]->receipt->id);
        conn_arg_text(conn, some[i]->receipt->entry);
        conn_arg_number(conn, since_ms(waiter, some[i]->receipt));
    }
    int code = script_ask(conn, &script_find, conn_answer_deadline(conn), &reply, NULL, err);
    quern_bytes letters = code ? (quern_bytes){0} : reply_bytes(reply);
    if (!code && letters.len != n) return err_set(err, QUERN_E_SERVER, "the find script told %zu of %zu jobs", letters.len, n);
    for (size_t i = 0; !code && i < n; i++) some[i]->is_gone = letters.at[i] == 'n';
    return code;
}

static int tell_unknown(struct wait *wait, struct awaited *job, bool has_log, quern_error *err)
{
    char text[512];
    if (has_log)
        snprintf(
            text, sizeof text,
            "it has ended, but what it came to is not known: its record is not in the completed log of group %.200s: trimmed "
            "(completed_max) before it was read, not kept, or the job was purged, cancelled or deleted",
            wait->waiter->config->group);
    else
        snprintf(text, sizeof text,
                 "it has ended, but what it came to is not known: group %.200s keeps no completed log; set completed_max above "
                 "0 where "
                 "its jobs run",
                 wait->waiter->config->group);
    if (!(job->told = outcome_without_record("unknown", job->receipt->id, text))) return no_memory(err);
    wait->open--;
    return QUERN_OK;
}

/* Those that are nowhere, and have no record now that all of both streams was read. */
static int tell_gone(struct wait *wait, struct awaited *const *some, size_t n, quern_error *err)
{
    int64_t has_log;
    struct look *look = &wait->waiter->look;
    conn_command(look->conn, "EXISTS", look->source.completed, NULL);
    int code = look_ask_number(look, &has_log, err);
    for (size_t i = 0; !code && i < n; i++)
        if (some[i]->is_gone && !some[i]->told) code = tell_unknown(wait, some[i], has_log, err);
    return code;
}

/* One look. Of a group that is handed its jobs at most once nobody knows what runs. */
static int look_for_gone(struct wait *wait, quern_error *err)
{
    struct awaited *some[FIND_CALLS * FIND_MAX];
    bool is_known = wait->waiter->config->delivery == DELIVERY_AT_LEAST_ONCE;
    size_t n = is_known ? pick(wait, some, COUNT_OF(some)) : 0, gone = 0;
    int code = QUERN_OK;
    for (size_t at = 0; !code && at < n; at += FIND_MAX)
        code = find(wait, some + at, n - at < FIND_MAX ? n - at : FIND_MAX, err);
    for (size_t i = 0; !code && i < n; i++) gone += some[i]->is_gone;
    if (!code) code = read_all(wait, err);
    if (!code && gone) code = tell_gone(wait, some, n, err);
    wait->look_ms = gone ? FIRST_LOOK_MS : wait->look_ms * 2 < LAST_LOOK_MS ? wait->look_ms * 2 : LAST_LOOK_MS;
    wait->look_ns = clock_deadline_ns(clock_now_ns(), wait->look_ms);
    return code;
}

/* ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Sleeps in Redis until there is a record, or it is time for a look or for the end, and then looks. */
static int step(struct wait *wait, int64_t deadline_ns, quern_error *err)
{
    int64_t now_ns = clock_now_ns(), until_ns = wait->look_ns < deadline_ns ? wait->look_ns : deadline_ns;
    bool is_more;
    int code = connect_anew(wait->waiter, err);
    if (code) return code;
    return now_ns < until_ns ? read_some(wait, clock_poll_ms(until_ns), &is_more, err) : look_for_gone(wait, err);
}

/* A connection that is lost is made again as long as there is time. */
static int wait_for_all(struct wait *wait, int64_t deadline_ns, quern_error *err)
{
    const quern_config *config = wait->waiter->config;
    struct backoff backoff = {.first_ms = config->backoff_ms, .max_ms = config->backoff_max_ms, .random = backoff_seed()};
    bool is_over = false;
    while (wait->open && !is_over) {
        is_over = clock_now_ns() >= deadline_ns;
        int code = step(wait, deadline_ns, err);
        if (!code) {
            backoff_reset(&backoff);
            continue;
        }
        look_close(&wait->waiter->look);
        if (!err->is_retriable || code == QUERN_E_MEMORY || is_over) return code;
        int64_t pause_ns = clock_deadline_ns(clock_now_ns(), backoff_next_ms(&backoff));
        poll(NULL, 0, clock_poll_ms(pause_ns < deadline_ns ? pause_ns : deadline_ns));
    }
    return QUERN_OK;
}

/* The end of a job that another had published may be long past: it is looked for from where that job began. */
static void begin_before(struct wait *wait, const quern_receipt *receipt)
{
    struct entry_id began = {.ms = (uint64_t)since_ms(wait->waiter, receipt)};
    if (!receipt->is_duplicate) return;
    if (receipt->entry[0] && !entry_id_read(bytes_of(receipt->entry), &began)) return;
    struct entry_id before = {.ms = began.ms ? began.ms - 1 : 0, .seq = began.ms ? UINT64_MAX : 0};
    if (entry_id_compare(before, wait->completed) < 0) wait->completed = before;
    if (entry_id_compare(before, wait->dead) < 0) wait->dead = before;
}

static int wait_open(struct wait *wait, const quern_receipt *receipts, quern_error *err)
{
    wait->jobs = calloc(wait->count + 1, sizeof *wait->jobs);
    wait->by_id = calloc(wait->count + 1, sizeof *wait->by_id);
    if (!wait->jobs || !wait->by_id) return no_memory(err);
    for (size_t i = 0; i < wait->count; i++) {
        if (receipts[i].code || !receipts[i].id[0])
            return err_set(err, QUERN_E_ARGUMENT, "receipt %zu of %zu: its message was not published", i + 1, wait->count);
        wait->jobs[i].receipt = &receipts[i];
        wait->by_id[i] = &wait->jobs[i];
        begin_before(wait, &receipts[i]);
    }
    qsort(wait->by_id, wait->count, sizeof *wait->by_id, compare_ids);
    return QUERN_OK;
}

static void wait_close(struct wait *wait)
{
    for (size_t i = 0; wait->jobs && i < wait->count; i++) json_decref(wait->jobs[i].told);
    free(wait->jobs);
    free(wait->by_id);
}

static char *report(struct wait *wait, quern_error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < wait->count; i++) {
        struct awaited *job = &wait->jobs[i];
        if (!job->told) job->told = outcome_without_record("open", job->receipt->id, NULL);
        if (!json_array_append(list, job->told)) continue;
        json_decref(list);
        list = NULL;
    }
    return show_text(list, err);
}

char *quern_waiter_wait(quern_waiter *waiter, const quern_receipt *receipts, size_t n, int64_t timeout_ms, quern_error *err)
{
    quern_error own;
    if (!err) err = &own;
    if (!waiter || (n && !receipts)) {
        err_set(err, QUERN_E_ARGUMENT, "no waiter or no receipts were given");
        return NULL;
    }
    struct wait wait = {.waiter = waiter,
                        .count = n,
                        .open = n,
                        .completed = waiter->completed,
                        .dead = waiter->dead,
                        .look_ms = FIRST_LOOK_MS,
                        .look_ns = clock_deadline_ns(clock_now_ns(), FIRST_LOOK_MS)};
    int code = wait_open(&wait, receipts, err);
    if (!code) code = wait_for_all(&wait, clock_deadline_ns(clock_now_ns(), timeout_ms), err);
    char *text = code ? NULL : report(&wait, err);
    wait_close(&wait);
    return text;
}
