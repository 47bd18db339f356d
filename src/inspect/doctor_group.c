/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "inspect/backlog.h"
#include "inspect/doctor.h"
#include "inspect/processes.h"
#include "inspect/show.h"
#include "wire/pending.h"

enum {
    SILENT_LEASES = 10, /* as the pools' sweep sees it; a job that waits so long waits too long, too */
    LEAKED_MANY = 16,
    STILL_MS = 3600000,  /* as the reaper's warning sees it */
    SETTLED_MANY = 20000 /* a trim is due after 10,000, and leaves what shares a node with what is needed */
};

/* ── who works for the group ─────────────────────────────────────────────────────────────────────────────────────── */

struct crew {
    int64_t live;       /* processes that were seen lately */
    int64_t away, held; /* those that were not, and hold jobs; how many jobs */
    int64_t away_ms;    /* the longest of them */
    int64_t leaked;     /* those that were silent for long, and hold nothing */
};

/* A pool that holds jobs renews them within a third of a lease; one that holds none says that it is there once a lease. */
static int64_t live_ms(const quern_config *config)
{
    return 2 * config->lease_ms + config->reap_ms;
}

static int read_crew(struct look *look, const quern_config *config, struct crew *crew, quern_error *err)
{
    json_t *list;
    *crew = (struct crew){0};
    int code = processes_read(look, &list, err);
    if (code) return code;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(row, "consumer"));
        int64_t idle_ms = json_integer_value(json_object_get(row, "idle_ms"));
        int64_t held = json_integer_value(json_object_get(row, "held"));
        if (name && strcmp(name, "quern-dropped") == 0) continue; /* the enqueue script's name: nobody works by it */
        bool is_live = idle_ms < live_ms(config), is_away = !is_live && held > 0;
        crew->live += is_live;
        crew->away += is_away;
        crew->held += is_away ? held : 0;
        if (is_away && idle_ms > crew->away_ms) crew->away_ms = idle_ms;
        crew->leaked += !held && idle_ms >= SILENT_LEASES * config->lease_ms;
    }
    json_decref(list);
    return QUERN_OK;
}

static void check_crew(const struct crew *crew, struct findings *findings)
{
    char span[SPAN_SIZE];
    if (crew->away)
        finding_add(findings, crew->live ? FINDING_WARNING : FINDING_ERROR, "leases_over",
                    crew->live ? "see that the pools that run have the same lease_ms as those that are gone"
                               : "start a pool of this group: it takes them over",
                    "%" PRId64 " jobs are held by %" PRId64
                    " processes that were not seen for up to %s, and nobody has taken them over",
                    crew->held, crew->away, finding_span(crew->away_ms, span));
    if (crew->leaked >= LEAKED_MANY)
        finding_add(findings, FINDING_WARNING, "consumers_leak",
                    "start a pool: it sweeps them; names that other software makes, XGROUP DELCONSUMER removes",
                    "%" PRId64 " consumers were silent for more than ten leases and hold nothing", crew->leaked);
}

/* ── what waits ──────────────────────────────────────────────────────────────────────────────────────────────────── */

struct waiting {
    int64_t count, oldest_ms; /* oldest_ms -1: none waits */
    bool is_exact;
};

static int read_waiting(struct look *look, struct backlog *stream, struct waiting *waiting, quern_error *err)
{
    struct backlog retry;
    int code = backlog_count(look, look->source.stream, stream, err);
    if (!code) code = backlog_read(look, look->source.retry, &retry, err);
    if (!code) code = backlog_count(look, look->source.retry, &retry, err);
    if (code) return code;
    int64_t one_ms = stream->has_oldest ? show_age_ms(look->now_ms, stream->oldest) : -1;
    int64_t other_ms = retry.has_oldest ? show_age_ms(look->now_ms, retry.oldest) : -1;
    *waiting = (struct waiting){stream->unread + retry.unread, one_ms > other_ms ? one_ms : other_ms,
                                stream->is_exact && retry.is_exact};
    return QUERN_OK;
}

static void check_waiting(const quern_config *config, const struct waiting *waiting, const struct crew *crew,
                          struct findings *findings)
{
    char span[SPAN_SIZE];
    const char *more = waiting->is_exact ? "" : " or more";
    if (!waiting->count) return;
    if (!crew->live)
        finding_add(findings, FINDING_ERROR, "nobody_reads", "start a pool of this group, or see that group is the right name",
                    "%" PRId64 "%s jobs wait, the oldest for %s, and no process of the group was seen lately", waiting->count,
                    more, finding_span(waiting->oldest_ms, span));
    else if (waiting->oldest_ms > SILENT_LEASES * config->lease_ms)
        finding_add(findings, FINDING_WARNING, "backlog",
                    "add threads or processes, or look what the running jobs wait for (quern pending)",
                    "%" PRId64 "%s jobs wait, the oldest for %s: more comes than is done", waiting->count, more,
                    finding_span(waiting->oldest_ms, span));
}

/* ── what is not trimmed ─────────────────────────────────────────────────────────────────────────────────────────── */

/* A group of the stream, as XINFO GROUPS tells of it. */
struct member {
    char *name;
    struct entry_id last;
    int64_t pending, lag; /* lag -1: not known */
};

struct members {
    struct member *at;
    size_t count;
};

static int read_members(struct look *look, struct members *members, quern_error *err)
{
    const struct reply *groups;
    conn_command(look->conn, "XINFO", "GROUPS", look->source.stream, NULL);
    int code = look_ask(look, &groups, err);
    if (code) return code;
    uint32_t count = groups->type == REPLY_ARRAY ? groups->count : 0;
    members->at = calloc(count + 1, sizeof *members->at);
    if (!members->at) return err_set(err, QUERN_E_MEMORY, "no memory for the names of groups");
    for (uint32_t i = 0; i < count; i++) {
        const struct reply *group = &groups->items[i];
        struct member member = {.name = bytes_copy(reply_bytes(reply_field(group, "name"))),
                                .pending = reply_number(reply_field(group, "pending"), 0),
                                .lag = reply_number(reply_field(group, "lag"), -1)};
        if (!member.name) return err_set(err, QUERN_E_MEMORY, "no memory for the names of groups");
        if (!entry_id_read(reply_bytes(reply_field(group, "last-delivered-id")), &member.last))
            member.last = (struct entry_id){0};
        members->at[members->count++] = member;
    }
    return QUERN_OK;
}

static void members_close(struct members *members)
{
    for (size_t i = 0; i < members->count; i++) free(members->at[i].name);
    free(members->at);
}

static bool has_text(const struct config_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->texts[i], text) == 0) return true;
    return false;
}

/* The oldest entry that the group has not settled; *is_there false: it has all. */
static int read_mark(struct look *look, const struct member *member, struct entry_id *mark, bool *is_there, quern_error *err)
{
    char from[ENTRY_ID_SIZE + 1] = "(";
    const struct reply *page;
    struct pending_row row;
    struct entry entry;
    size_t count = 0;
    struct pending_page pending = {.stream = look->source.stream, .group = member->name};
    int code = member->pending ? pending_read(look->conn, &pending, &row, 1, &count, err) : QUERN_OK;
    *is_there = count > 0;
    if (*is_there) *mark = row.id;
    if (code || *is_there) return code;
    entry_id_text(member->last, from + 1);
    conn_command(look->conn, "XRANGE", look->source.stream, from, "+", "COUNT", "1", NULL);
    if ((code = look_ask(look, &page, err))) return code;
    *is_there = page->type == REPLY_ARRAY && page->count && entry_read(page->items, &entry);
    if (*is_there) *mark = entry.id;
    return QUERN_OK;
}

/* How long ago any of its consumers was seen; -1: it has none. */
static int read_silence(struct look *look, const struct member *member, int64_t *silent_ms, quern_error *err)
{
    const struct reply *consumers;
    *silent_ms = -1;
    conn_command(look->conn, "XINFO", "CONSUMERS", look->source.stream, member->name, NULL);
    int code = look_ask(look, &consumers, err);
    for (uint32_t i = 0; !code && consumers->type == REPLY_ARRAY && i < consumers->count; i++) {
        int64_t idle_ms = reply_number(reply_field(&consumers->items[i], "idle"), 0);
        if (*silent_ms < 0 || idle_ms < *silent_ms) *silent_ms = idle_ms;
    }
    return code;
}

static int check_still(struct look *look, const struct member *member, struct findings *findings, quern_error *err)
{
    char span[SPAN_SIZE];
    struct entry_id mark;
    bool is_there;
    int64_t silent_ms;
    int code = read_mark(look, member, &mark, &is_there, err);
    if (code || !is_there || show_age_ms(look->now_ms, mark) < STILL_MS) return code;
    if ((code = read_silence(look, member, &silent_ms, err)) || (silent_ms >= 0 && silent_ms < STILL_MS)) return code;
    finding_add(
        findings, FINDING_WARNING, "group_stands_still",
        "start what reads it, or name it in ignored_groups, or remove it (quern remove)",
        "the group %s has not settled an entry of %s ago, and nobody has read it for an hour: nothing behind is trimmed",
        member->name, finding_span(show_age_ms(look->now_ms, mark), span));
    return QUERN_OK;
}

static void check_required(const quern_config *config, const struct members *members, struct findings *findings)
{
    for (size_t i = 0; i < config->required_groups.count; i++) {
        const char *name = config->required_groups.texts[i];
        bool is_there = false;
        for (size_t j = 0; j < members->count && !is_there; j++) is_there = strcmp(members->at[j].name, name) == 0;
        if (!is_there)
            finding_add(findings, FINDING_WARNING, "required_group",
                        "start a pool of that group, or take it out of required_groups",
                        "the group %s is required and is not there: nothing is trimmed", name);
    }
}

static int check_length(struct look *look, const quern_config *config, const struct members *members, struct findings *findings,
                        quern_error *err)
{
    int64_t length = 0, needed = 0;
    conn_command(look->conn, "XLEN", look->source.stream, NULL);
    int code = look_ask_number(look, &length, err);
    if (code) return code;
    for (size_t i = 0; i < members->count; i++) {
        const struct member *member = &members->at[i];
        if (has_text(&config->ignored_groups, member->name)) continue;
        int64_t behind = member->lag < 0 ? length : member->lag + member->pending;
        if (behind > needed) needed = behind;
    }
    if (length - needed > SETTLED_MANY)
        finding_add(findings, config->trim ? FINDING_WARNING : FINDING_NOTE, "untrimmed",
                    config->trim
                        ? "start a pool with trim on; one old job that is pending may hold back all behind it (quern pending)"
                        : "set trim true, unless something else trims the stream",
                    "%" PRId64 " of the %" PRId64 " entries of %s are settled by every group, and still there%s",
                    length - needed, length, look->source.stream, config->trim ? "" : ": trim is off");
    return QUERN_OK;
}

static int check_trim(struct look *look, const quern_config *config, struct findings *findings, quern_error *err)
{
    struct members members = {.count = 0};
    int code = read_members(look, &members, err);
    for (size_t i = 0; !code && config->trim && i < members.count; i++) {
        const char *name = members.at[i].name;
        bool is_other = strcmp(name, look->source.group) != 0 && !has_text(&config->ignored_groups, name);
        if (is_other) code = check_still(look, &members.at[i], findings, err);
    }
    if (!code && config->trim) check_required(config, &members, findings);
    if (!code) code = check_length(look, config, &members, findings, err);
    members_close(&members);
    return code;
}

/* ── all of it ───────────────────────────────────────────────────────────────────────────────────────────────────── */

int doctor_group(struct look *look, const quern_config *config, struct findings *findings, quern_error *err)
{
    struct backlog stream;
    struct waiting waiting;
    struct crew crew;
    int code = backlog_read(look, look->source.stream, &stream, err);
    if (code) return code;
    if (!stream.has_group) {
        finding_add(findings, FINDING_WARNING, "group", "see that group is the right name; the first pool makes it",
                    "the stream %s has no group %s: nobody works for it", look->source.stream, look->source.group);
        return check_trim(look, config, findings, err);
    }
    if ((code = read_waiting(look, &stream, &waiting, err)) || (code = read_crew(look, config, &crew, err))) return code;
    check_waiting(config, &waiting, &crew, findings);
    check_crew(&crew, findings);
    if (stream.lag < 0)
        finding_add(
            findings, FINDING_NOTE, "lag_unknown", "nothing: it comes back once the group has read all that is there",
            "Redis has lost count of what the group %s has not read, as entries were deleted: its numbers are at least so many",
            look->source.group);
    return check_trim(look, config, findings, err);
}
