/* SPDX-License-Identifier: MIT */
#include "config/table.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "config/config.h"
#include "config/policy.h"

#define KEY(member)    .name = #member, .at = offsetof(struct quern_config, member)
#define PER_EVENT(key) .flags = CONFIG_PER_EVENT | CONFIG_PER_QUEUE | CONFIG_LIVE, .policy_at = offsetof(struct policy, key)

enum { DAY_MS = 86400000, HOUR_MS = 3600000, MINUTE_MS = 60000 };
static const int64_t MIB = 1048576;

/* A lease shorter than 100 ms would be lost to a busy scheduler; 256 ids are what one script takes (longer ones keep others
 * waiting), and 3,900 fields what one can put back; half a GiB is what Redis itself takes as one value; JSON is not parsed
 * deeper than 2,048. */
static const struct config_row rows[] = {
    {KEY(redis), .alias = "redis_url", .type = CONFIG_TEXT, .flags = CONFIG_SECRET, .min = 1, .max = 4096,
     .sentence =
         "the server: redis://[user:password@]host[:port][/db], rediss:// for TLS, sentinel://host[:port][,host...]/name, "
         "unix:///path, or, in the program, embedded:[folder], which it takes where none is set"},
    {KEY(redis_password_file), .type = CONFIG_TEXT, .min = 1, .max = 4095,
     .sentence = "a file, not for others to read, that holds the password of the server's user; null: redis_password in "
                 "$CREDENTIALS_DIRECTORY, if it is there; one in the URL goes before it"},
    {KEY(sentinel_password_file), .type = CONFIG_TEXT, .min = 1, .max = 4095,
     .sentence = "the same for the sentinels: sentinel_password in $CREDENTIALS_DIRECTORY"},
    {KEY(tls_ca), .type = CONFIG_TEXT, .min = 1, .max = 4095,
     .sentence = "whom rediss:// trusts: a PEM file of authorities, or a folder of them; null: the system's"},
    {KEY(tls_cert), .type = CONFIG_TEXT, .min = 1, .max = 4095,
     .sentence = "our own certificate, with those between it and the authority, for a server that asks for one: a PEM file"},
    {KEY(tls_key), .type = CONFIG_TEXT, .min = 1, .max = 4095,
     .sentence = "its private key, without a passphrase, in a file that others may not read; null: it is in tls_cert"},
    {KEY(tls_name), .type = CONFIG_NAME, .min = 1, .max = 253,
     .sentence = "the name or address that the server's certificate must have; null: the host of the URL"},
    {KEY(stream), .flags = CONFIG_PER_QUEUE, .type = CONFIG_NAME, .min = 1, .max = 512, .fallback = "app.events",
     .sentence = "the stream that jobs are published to and taken from"},
    {KEY(group), .flags = CONFIG_PER_QUEUE, .type = CONFIG_GROUP, .min = 1, .max = 256, .fallback = "app.workers",
     .sentence = "the consumer group: each group gets every job, the processes of one group share them"},
    {KEY(start), .flags = CONFIG_PER_QUEUE, .type = CONFIG_START, .min = 1, .max = 41, .fallback = "0",
     .sentence = "where a new group begins: 0 the oldest entry, $ what comes from now on, or behind an entry id"},
    {KEY(queues), .type = CONFIG_QUEUES, .min = 1, .max = 32,
     .sentence = "several queues: a list of streams, or of {\"stream\", \"group\", \"weight\", keys for this queue}; without "
                 "weights in order: one "
                 "is served while those before it are empty; null: the one of stream and group"},
    {KEY(consumer), .type = CONFIG_NAME, .min = 1, .max = 128,
     .sentence = "how the consumer's name begins; its end is always random"},
    {KEY(threads), .type = CONFIG_THREADS, .flags = CONFIG_LIVE, .min = 1, .max = 1024, .fallback = "auto",
     .sentence = "worker threads; auto: as many as cores may be used"},
    {KEY(lease_ms), .alias = "claim_idle_ms", .type = CONFIG_NUMBER, .min = 100, .max = DAY_MS, .fallback = "30000",
     .sentence = "how long a job is ours without renewal"},
    {KEY(heartbeat_ms), .type = CONFIG_NUMBER, .min = 10, .max = DAY_MS / 2,
     .sentence = "how often leases are looked after; null: a sixth of the lease"},
    {KEY(reap_ms), .type = CONFIG_NUMBER, .min = 10, .max = HOUR_MS, .fallback = "5000",
     .sentence = "how often the reaper looks for jobs whose lease is over and for what is to be trimmed"},
    {KEY(timeout_ms), PER_EVENT(timeout_ms), .type = CONFIG_NUMBER, .min = 0, .max = 7 * DAY_MS, .fallback = "0",
     .sentence = "how long a handler may take until its job counts as cancelled; 0: no limit"},
    {KEY(timeout_grace_ms), PER_EVENT(timeout_grace_ms), .type = CONFIG_NUMBER, .min = 0, .max = 7 * DAY_MS, .fallback = "5000",
     .sentence =
         "how long after that a handler may still return; then its job is taken from it as failed, its thread replaced"},
    {KEY(delivery), .type = CONFIG_CHOICE, .choices = "at-least-once|at-most-once", .fallback = "at-least-once",
     .sentence = "at-most-once: a job is given up when it is read, and lost with a process that dies"},
    {KEY(retry_limit), PER_EVENT(retry_limit), .type = CONFIG_NUMBER, .min = -1, .max = 1000000, .fallback = "3",
     .sentence = "how often a failed job is tried again before it is dead; -1: for ever"},
    {KEY(retry_base_ms), PER_EVENT(retry_base_ms), .type = CONFIG_NUMBER, .min = 0, .max = 7 * DAY_MS, .fallback = "15000",
     .sentence = "how long the first retry waits, half of it at random; 0: not at all"},
    {KEY(retry_factor), PER_EVENT(retry_factor), .type = CONFIG_NUMBER, .min = 1, .max = 1000, .fallback = "4",
     .sentence = "by how much each further retry waits longer"},
    {KEY(retry_max_ms), PER_EVENT(retry_max_ms), .type = CONFIG_NUMBER, .min = 0, .max = 7 * DAY_MS, .fallback = "3600000",
     .sentence = "how long a retry waits at most"},
    {KEY(max_running), .flags = CONFIG_PER_EVENT | CONFIG_LIVE, .policy_at = offsetof(struct policy, max_running),
     .type = CONFIG_NUMBER, .min = 0, .max = 1024, .fallback = "0",
     .sentence =
         "how many jobs of one handler run at once in this process; 0: any number; the others wait, or go back at no cost"},
    {KEY(unhandled), .type = CONFIG_CHOICE, .flags = CONFIG_PER_QUEUE | CONFIG_LIVE, .choices = "retry|dead|ack",
     .fallback = "retry",
     .sentence = "what becomes of a job whose event has no handler here: retried and then dead, dead at once, or acknowledged"},
    {KEY(dead_letter_stream), .flags = CONFIG_PER_QUEUE, .type = CONFIG_NAME, .min = 1, .max = 512,
     .sentence = "the stream of dead letters; null: <stream>:failed"},
    {KEY(max_deliveries), .type = CONFIG_NUMBER, .min = 0, .max = 1000000, .fallback = "5",
     .sentence = "after so many deliveries without an outcome a job is taken for dangerous; 0: never"},
    {KEY(on_max_deliveries), .type = CONFIG_CHOICE, .choices = "alone|dead", .fallback = "alone",
     .sentence = "what becomes of it then: it runs with nothing else beside it, or a dead letter (poison)"},
    {KEY(max_crashes), .type = CONFIG_NUMBER, .min = 1, .max = 1000000, .fallback = "3",
     .sentence = "a job that has ended so many processes is dead (poison)"},
    {KEY(journal_dir), .type = CONFIG_TEXT, .min = 1, .max = 3000,
     .sentence = "folder of the crash journals; null: none is kept; quern run: below state_dir"},
    {KEY(crash_hook), .type = CONFIG_BOOL, .fallback = "false",
     .sentence = "note fatal signals and exit() of a handler in the journal, for the whole process; quern run always does"},
    {KEY(dead_letter_max), .flags = CONFIG_PER_QUEUE, .type = CONFIG_NUMBER, .min = 0, .max = 1000000000, .fallback = "0",
     .sentence = "how many dead letters are kept, older ones are deleted; 0: all of them"},
    {KEY(batch_size), .type = CONFIG_NUMBER, .min = 1, .max = 256, .fallback = "128",
     .sentence = "most jobs of one read, acknowledgement or publication"},
    {KEY(block_ms), .type = CONFIG_NUMBER, .min = 10, .max = MINUTE_MS, .fallback = "2000",
     .sentence = "longest wait of one read; never over a quarter of the lease"},
    {KEY(prefetch_ms), .type = CONFIG_NUMBER, .min = 0, .max = MINUTE_MS, .fallback = "50",
     .sentence = "how long a fetched job should wait here for a thread at most"},
    {KEY(prefetch_max), .type = CONFIG_NUMBER, .min = 1, .max = 65536, .fallback = "1024",
     .sentence = "most fetched jobs that wait here for a thread"},
    {KEY(prefetch_bytes), .type = CONFIG_NUMBER, .min = 65536, .max = 65536 * MIB, .fallback = "67108864",
     .sentence = "most bytes of jobs held at once"},
    {KEY(payload_max_bytes), .type = CONFIG_NUMBER, .min = 1, .max = 512 * MIB, .fallback = "1048576",
     .sentence = "largest data of one job: larger ones are refused by a publisher, and dead when they are read"},
    {.name = "json_depth_max",
     .at = offsetof(struct quern_config, depth_max),
     .type = CONFIG_NUMBER,
     .min = 1,
     .max = 2048,
     .fallback = "64",
     .sentence = "how deep lists and objects may lie in each other in the data: a publisher refuses deeper data, and a handler "
                 "that asks for "
                 "JSON finds it malformed"},
    {KEY(fields_max), .type = CONFIG_NUMBER, .min = 8, .max = 3900, .fallback = "512", .sentence = "most fields of one entry"},
    {KEY(completed_max), .flags = CONFIG_PER_QUEUE, .type = CONFIG_NUMBER, .min = 0, .max = 1000000000, .fallback = "0",
     .sentence = "how many finished jobs the completed log keeps; 0: there is no log"},
    {KEY(trim), .flags = CONFIG_PER_QUEUE, .type = CONFIG_BOOL, .fallback = "true",
     .sentence = "remove what every group has settled from the stream"},
    {KEY(required_groups), .flags = CONFIG_PER_QUEUE, .type = CONFIG_GROUPS, .max = 64, .fallback = "[]",
     .sentence = "nothing is trimmed while one of these groups is missing"},
    {KEY(ignored_groups), .flags = CONFIG_PER_QUEUE, .type = CONFIG_GROUPS, .max = 64, .fallback = "[]",
     .sentence = "groups that trimming does not wait for"},
    {KEY(drain_ms), .type = CONFIG_NUMBER, .flags = CONFIG_LIVE, .min = 0, .max = DAY_MS, .fallback = "25000",
     .sentence = "how long a stop waits for the jobs that run"},
    {KEY(connect_ms), .type = CONFIG_NUMBER, .min = 0, .max = HOUR_MS, .fallback = "5000",
     .sentence = "how long a start waits for Redis; 0: one attempt; quern run waits until it is there"},
    {KEY(allow_eviction), .type = CONFIG_BOOL, .fallback = "false",
     .sentence = "start although the server's maxmemory-policy is not noeviction, so that it deletes jobs when it is full"},
    {KEY(publish_ms), .flags = CONFIG_PUBLISHER | CONFIG_PER_QUEUE, .type = CONFIG_NUMBER, .min = 0, .max = HOUR_MS,
     .fallback = "5000", .sentence = "how long one publish call may take, further tries included; 0: one attempt"},
    {KEY(backoff_ms), .type = CONFIG_NUMBER, .min = 1, .max = MINUTE_MS, .fallback = "50",
     .sentence =
         "the first pause before a broken connection is tried again, half of it at random; each further one is twice as long"},
    {KEY(backoff_max_ms), .type = CONFIG_NUMBER, .min = 1, .max = HOUR_MS, .fallback = "10000",
     .sentence = "the longest such pause"},
    {KEY(publish_marked), .flags = CONFIG_PUBLISHER | CONFIG_PER_QUEUE, .type = CONFIG_BOOL, .fallback = "true",
     .sentence = "leave a marker with each published batch, so that none is published twice when an answer is lost"},
    {KEY(publish_shape), .flags = CONFIG_PUBLISHER | CONFIG_PER_QUEUE, .type = CONFIG_CHOICE, .choices = "fields|object",
     .fallback = "fields",
     .sentence = "how a published job is written: a field for each of its parts, or one field with all of it as a JSON object"},
    {KEY(publish_queue_max), .flags = CONFIG_PUBLISHER, .type = CONFIG_NUMBER, .min = 1, .max = 100000000, .fallback = "10000",
     .sentence = "most messages that wait unanswered in a publisher (quern_publish_async)"},
    {KEY(publish_queue_bytes), .flags = CONFIG_PUBLISHER, .type = CONFIG_NUMBER, .min = 1, .max = 65536 * MIB,
     .fallback = "67108864", .sentence = "and most bytes of them; one message is taken whatever it has"},
    {KEY(unique_by), .flags = CONFIG_PUBLISHER | CONFIG_PER_QUEUE, .type = CONFIG_CHOICE, .choices = "key|content",
     .fallback = "key",
     .sentence =
         "which jobs are published once per unique_ms: those with a key of their own, or each event with the same data"},
    {KEY(unique_ms), .flags = CONFIG_PUBLISHER | CONFIG_PER_QUEUE, .type = CONFIG_NUMBER, .min = 1, .max = 365LL * DAY_MS,
     .fallback = "3600000", .sentence = "how long such a job is not published once more, whatever becomes of it"},
    {KEY(batch_ms), .flags = CONFIG_PUBLISHER | CONFIG_PER_QUEUE, .type = CONFIG_NUMBER, .min = 1000, .max = 365LL * DAY_MS,
     .fallback = "86400000",
     .sentence = "how long a batch waits for its jobs once it is sealed; then its closing job is published whatever is still "
                 "open"},
    {KEY(max_pending), .flags = CONFIG_PUBLISHER | CONFIG_PER_QUEUE, .type = CONFIG_NUMBER, .min = 0, .max = 1000000000,
     .fallback = "0", .sentence = "how many jobs may wait for the group when more are published; 0: any number"},
    {KEY(on_max_pending), .flags = CONFIG_PUBLISHER | CONFIG_PER_QUEUE, .type = CONFIG_CHOICE,
     .choices = "refuse|block|drop_oldest", .fallback = "refuse",
     .sentence = "what publishing does then: fails, tries until publish_ms is over, or buries the oldest that wait (dropped)"},
    {KEY(until_empty), .type = CONFIG_BOOL, .fallback = "false", .sentence = "stop when nothing is left to take"},
    {KEY(state_dir), .type = CONFIG_TEXT, .flags = CONFIG_PROGRAM, .min = 1, .max = 4095,
     .sentence = "folder of the embedded server and other state; null: $STATE_DIRECTORY, else below the XDG state folder"},
    {KEY(supervise), .type = CONFIG_BOOL, .flags = CONFIG_PROGRAM, .fallback = "true",
     .sentence = "quern run: a parent process restarts the one that works when it crashes, and gives back what it held"},
    {KEY(module_path), .type = CONFIG_TEXT, .flags = CONFIG_PROGRAM | CONFIG_LIVE, .min = 1, .max = 4095,
     .sentence = "folder of the worker modules; null: the one that came with the program"},
    {KEY(log_level), .type = CONFIG_CHOICE, .flags = CONFIG_LIVE, .choices = "error|warning|info|debug", .fallback = "info",
     .sentence = "the least important lines that are still logged"},
    {KEY(log_format), .type = CONFIG_CHOICE, .choices = "text|json", .fallback = "text", .sentence = "what a log line is"},
    {KEY(workers), .type = CONFIG_WORKERS, .flags = CONFIG_PROGRAM | CONFIG_LIVE, .min = 1, .max = 1024,
     .sentence = "which module handles which event: a list of {\"event\", \"module\", \"options\", keys for this event}"},
};

_Static_assert(LOG_ERROR == 0 && LOG_WARNING == 1 && LOG_INFO == 2 && LOG_DEBUG == 3, "the order of log_level's choices");
_Static_assert(ON_MAX_ALONE == 0 && ON_MAX_DEAD == 1, "the order of on_max_deliveries's choices");
_Static_assert(DELIVERY_AT_MOST_ONCE == 1, "the order of delivery's choices");
_Static_assert(UNHANDLED_RETRY == 0 && UNHANDLED_DEAD == 1 && UNHANDLED_ACK == 2, "the order of unhandled's choices");
_Static_assert(SHAPE_FIELDS == 0 && SHAPE_OBJECT == 1, "the order of publish_shape's choices");
_Static_assert(UNIQUE_BY_KEY == 0 && UNIQUE_BY_CONTENT == 1, "the order of unique_by's choices");
_Static_assert(PENDING_REFUSE == 0 && PENDING_BLOCK == 1 && PENDING_DROP_OLDEST == 2, "the order of on_max_pending's choices");
_Static_assert(LOG_FORMAT_TEXT == 0 && LOG_FORMAT_JSON == 1, "the order of log_format's choices");

const struct config_row *config_rows(size_t *count)
{
    *count = COUNT_OF(rows);
    return rows;
}

const struct config_row *config_find(const char *key)
{
    for (const struct config_row *row = rows; row < rows + COUNT_OF(rows); row++)
        if (!strcmp(row->name, key) || (row->alias && !strcmp(row->alias, key))) return row;
    return NULL;
}

int config_choice(const struct config_row *row, const char *word)
{
    const char *at = row->choices;
    size_t len = strlen(word);
    for (int place = 0; *at; place++) {
        size_t n = strcspn(at, "|");
        if (n == len && !memcmp(at, word, n)) return place;
        at += n + (at[n] == '|');
    }
    return -1;
}

enum { NAME_MAX_LEN = 40 }; /* longer than any name of the table, by more than a typo */

/* A name as it should have been typed: small letters, '_' for '-'. false: too long to be one of ours. */
static bool fold(const char *name, char folded[NAME_MAX_LEN + 1])
{
    size_t len = strlen(name);
    if (len > NAME_MAX_LEN) return false;
    for (size_t i = 0; i <= len; i++) folded[i] = name[i] == '-' ? '_' : (char)tolower((unsigned char)name[i]);
    return true;
}

const struct config_row *config_find_option(const char *option)
{
    char key[NAME_MAX_LEN + 1];
    size_t len = strlen(option);
    if (len > NAME_MAX_LEN) return NULL;
    for (size_t i = 0; i <= len; i++) key[i] = option[i] == '-' ? '_' : option[i];
    return config_find(key);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many characters were forgotten, added, replaced or swapped with a neighbour. Both at most NAME_MAX_LEN long. */
static size_t distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b), cost[NAME_MAX_LEN + 1][NAME_MAX_LEN + 1];
    for (size_t i = 0; i <= a_len; i++) {
        for (size_t j = 0; j <= b_len; j++) {
            if (i == 0 || j == 0) {
                cost[i][j] = i + j;
                continue;
            }
            cost[i][j] = least(cost[i - 1][j], cost[i][j - 1]) + 1;
            cost[i][j] = least(cost[i][j], cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = least(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[a_len][b_len];
}

struct nearest {
    const char *name;
    size_t distance;
};

static void nearest_offer(struct nearest *nearest, const char *folded, const char *spelling, const char *name)
{
    size_t len = strlen(folded), wrong = distance(folded, spelling);
    if (len && !strncmp(folded, spelling, len) && spelling[len] == '_') wrong = 1; /* lease for lease_ms: a word forgotten */
    if (wrong < nearest->distance) *nearest = (struct nearest){name, wrong};
}

const char *config_nearest(const char *wrong, unsigned flags, const char *const *names, size_t at_most)
{
    char folded[NAME_MAX_LEN + 1];
    struct nearest nearest = {NULL, at_most + 1};
    if (!fold(wrong, folded)) return NULL;
    for (const struct config_row *row = rows; row < rows + COUNT_OF(rows); row++) {
        if ((row->flags & flags) != flags) continue;
        nearest_offer(&nearest, folded, row->name, row->name);
        if (row->alias) nearest_offer(&nearest, folded, row->alias, row->name);
    }
    for (; names && *names; names++) nearest_offer(&nearest, folded, *names, *names);
    return nearest.name;
}

size_t config_typos(const char *wrong)
{
    size_t third = strlen(wrong) / 3;
    return third ? third : 1;
}

/* ── What a value looks like, in words ───────────────────────────────────────────────────────────────────────────── */

static const struct {
    const char *word;  /* behind --key */
    const char *right; /* what would be right */
    const char *unit;  /* behind min and max; NULL: they mean nothing */
} forms[CONFIG_TYPES] = {
    [CONFIG_TEXT] = {"TEXT", "a text of UTF-8 without control characters", " bytes"},
    [CONFIG_NAME] = {"NAME", "a name of UTF-8 without spaces and control characters", " bytes"},
    [CONFIG_GROUP] = {"NAME",
                      "a name without spaces, control characters and ':', not failed, scheduled, unique, published or bell",
                      " bytes"},
    [CONFIG_START] = {"ID", "0, $, or an entry id such as 1700000000000-0", NULL},
    [CONFIG_NUMBER] = {"N", "a whole number", ""},
    [CONFIG_THREADS] = {"N|auto", "auto, or a whole number", ""},
    [CONFIG_BOOL] = {"true|false", "true or false", NULL},
    [CONFIG_CHOICE] = {NULL, "one of ", NULL},
    [CONFIG_GROUPS] = {"JSON", "a JSON list of group names", " of them"},
    [CONFIG_QUEUES] = {"JSON", "a JSON list such as [\"urgent\", {\"stream\": \"daily\", \"retry_limit\": 9}]", " of them"},
    [CONFIG_WORKERS] = {"JSON", "a JSON list such as [{\"event\": \"file.deflate\", \"module\": \"deflate\"}]", " of them"},
};

enum { RANGE_SIZE = 64 };

static void range_words(const struct config_row *row, char text[RANGE_SIZE])
{
    const char *unit = forms[row->type].unit;
    text[0] = 0;
    if (unit) snprintf(text, RANGE_SIZE, "%lld to %lld%s", (long long)row->min, (long long)row->max, unit);
}

void config_right(const struct config_row *row, char text[CONFIG_RIGHT_SIZE])
{
    char range[RANGE_SIZE];
    range_words(row, range);
    const char *comma = *range ? ", " : "", *or_null = row->type == CONFIG_NUMBER && !row->fallback ? ", or null" : "";
    snprintf(text, CONFIG_RIGHT_SIZE, "%s%s%s%s%s", forms[row->type].right, row->choices ? row->choices : "", comma, range,
             or_null);
}

void config_help(void (*line)(void *user, const char *text), void *user)
{
    for (const struct config_row *row = rows; row < rows + COUNT_OF(rows); row++) {
        char option[64], range[RANGE_SIZE], text[512];
        const char *word = row->choices ? row->choices : forms[row->type].word;
        range_words(row, range);
        snprintf(option, sizeof option, "--%s %s", row->name, word);
        snprintf(text, sizeof text, "%-37s %s (%s%s%s%s%s%s)", option, row->sentence, row->fallback ? "default " : "not set",
                 row->fallback ? row->fallback : "", *range ? "; " : "", range, row->alias ? "; also --" : "",
                 row->alias ? row->alias : "");
        line(user, text);
    }
}
