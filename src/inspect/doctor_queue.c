/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "inspect/doctor.h"
#include "wire/cluster.h"

enum { LATE_MS = 10000 /* what is due is moved within a second, where anybody looks after it */ };

/* ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct key {
    const char *name, *type;
};

enum { KEYS = 17, KEY_STREAM = 0, KEY_DELAYED, KEY_SCHEDULED, KEY_DEAD, KEY_ALONE, KEY_RETRY, KEY_BATCHES, KEY_PAUSED };

static void list_keys(const struct source *source, struct key keys[KEYS])
{
    const struct key all[KEYS] = {
        [KEY_STREAM] = {source->stream, "stream"},
        [KEY_DELAYED] = {source->delayed, "zset"},
        [KEY_SCHEDULED] = {source->scheduled, "zset"},
        [KEY_DEAD] = {source->dead, "stream"},
        [KEY_ALONE] = {source->alone, "stream"},
        [KEY_RETRY] = {source->retry, "stream"},
        [KEY_BATCHES] = {source->batches, "zset"},
        [KEY_PAUSED] = {source->paused, "set"},
        {source->cancelled, "zset"},
        {source->batch_open, "zset"},
        {source->batch_state, "hash"},
        {source->completed, "stream"},
        {source->waiting, "hash"},
        {source->scheduled_jobs, "hash"},
        {source->crashes, "hash"},
        {source->settles, "hash"},
        {source->reaper, "string"},
    };
    memcpy(keys, all, sizeof all);
}

/* is_right: it may be looked into, being of its type, or missing. */
static int check_key(struct look *look, const struct key *key, bool *is_right, bool *is_there, struct findings *findings,
                     quern_error *err)
{
    const struct reply *reply;
    conn_command(look->conn, "TYPE", key->name, NULL);
    int code = look_ask(look, &reply, err);
    if (code) return code;
    quern_bytes found = reply_bytes(reply);
    *is_there = !bytes_is(found, "none");
    *is_right = !*is_there || bytes_is(found, key->type);
    if (!*is_right)
        finding_add(findings, FINDING_ERROR, "wrong_type", "rename that key, or choose another stream or group",
                    "the key %s holds a %.*s, where quern needs a %s: no pool starts", key->name, (int)found.len, found.at,
                    key->type);
    return QUERN_OK;
}

/* ── what is there ───────────────────────────────────────────────────────────────────────────────────────────────── */

static int check_due(struct look *look, const char *key, const char *what, struct findings *findings, quern_error *err)
{
    char span[SPAN_SIZE];
    const struct reply *reply;
    conn_command(look->conn, "ZRANGE", key, "0", "0", "WITHSCORES", NULL);
    int code = look_ask(look, &reply, err);
    if (code || reply->type != REPLY_ARRAY || !reply->count) return code;
    int64_t late_ms = look->now_ms - reply_whole(reply_item(reply, 1), look->now_ms);
    if (late_ms > LATE_MS)
        finding_add(findings, FINDING_ERROR, "overdue",
                    "start a pool of this stream and group, or find out why those that run do not go on",
                    "%s should have started %s ago: nobody looks after what is due", what, finding_span(late_ms, span));
    return QUERN_OK;
}

static int count(struct look *look, const char *stream, int64_t *length, quern_error *err)
{
    conn_command(look->conn, "XLEN", stream, NULL);
    return look_ask_number(look, length, err);
}

static int check_dead(struct look *look, struct findings *findings, quern_error *err)
{
    int64_t dead = 0;
    int code = count(look, look->source.dead, &dead, err);
    if (!code && dead > 0)
        finding_add(findings, FINDING_NOTE, "dead_letters", "look at them (quern dead list), and replay or purge them",
                    "%" PRId64 " dead letters lie in %s", dead, look->source.dead);
    return code;
}

static int check_alone(struct look *look, struct findings *findings, quern_error *err)
{
    int64_t alone = 0;
    int code = count(look, look->source.alone, &alone, err);
    if (!code && alone > 0)
        finding_add(findings, FINDING_NOTE, "alone", "look at them (quern peek alone): they run one by one",
                    "%" PRId64 " jobs may have ended a process", alone);
    return code;
}

static int check_paused(struct look *look, struct findings *findings, quern_error *err)
{
    const struct reply *paused;
    conn_command(look->conn, "SMEMBERS", look->source.paused, NULL);
    int code = look_ask(look, &paused, err);
    if (!code && paused->type == REPLY_ARRAY && paused->count)
        finding_add(findings, FINDING_NOTE, "paused", "let them go on (quern resume), if that is not wanted any more",
                    "%u events of the group %s are paused by an operator", paused->count, look->source.group);
    return code;
}

/* ── all of it ───────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Behind a name that is not served, each key may lie on another node. */
static bool check_cluster(struct look *look, struct findings *findings)
{
    quern_error why;
    int code = cluster_check(look->conn, look->source.stream, look->source.dead, &why);
    if (code)
        finding_add(findings, FINDING_ERROR, "cluster", "choose a name with a hash tag: no pool starts with this one", "%s",
                    why.text);
    return !code;
}

int doctor_queue(struct look *look, struct findings *findings, bool *may_go_on, quern_error *err)
{
    struct key keys[KEYS];
    bool is_right[KEYS], is_there[KEYS];
    int code = QUERN_OK;
    if (!(*may_go_on = check_cluster(look, findings))) return QUERN_OK;
    list_keys(&look->source, keys);
    for (size_t i = 0; i < KEYS && !code; i++) code = check_key(look, &keys[i], &is_right[i], &is_there[i], findings, err);
    if (code) return code;
    *may_go_on = is_there[KEY_STREAM] && is_right[KEY_STREAM] && is_right[KEY_RETRY] && is_right[KEY_ALONE];
    if (!is_there[KEY_STREAM])
        finding_add(findings, FINDING_WARNING, "stream",
                    "see that stream is the name that publishers use; a pool or a job makes it", "there is no stream %s",
                    look->source.stream);
    if (is_right[KEY_PAUSED]) code = check_paused(look, findings, err);
    if (!code && is_right[KEY_DELAYED]) code = check_due(look, look->source.delayed, "a retry", findings, err);
    if (!code && is_right[KEY_SCHEDULED]) code = check_due(look, look->source.scheduled, "a scheduled job", findings, err);
    if (!code && is_right[KEY_BATCHES])
        code = check_due(look, look->source.batches, "the closing job of a batch", findings, err);
    if (!code && is_right[KEY_DEAD]) code = check_dead(look, findings, err);
    if (!code && is_right[KEY_ALONE]) code = check_alone(look, findings, err);
    return code;
}
