/* SPDX-License-Identifier: MIT */

/* The scenes of tests/nth. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nth/seam.h"
#include "nth/stage.h"

/* ── pools ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* One lies with a process that is no more, whose lease is over; one has come back so too often, and is to run alone. */
static void leave_behind(struct stage *stage)
{
    static const char *const ids[] = {"left", "worn"};
    redis_ask(stage->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    redis_ask(stage->redis, "XGROUP", "CREATE", "jobs:g:retry", "g", "0", "MKSTREAM");
    redis_ask(stage->redis, "XADD", "jobs", "*", "id", ids[0], "event", "e", "data", "{}");
    redis_ask(stage->redis, "XADD", "jobs:g:retry", "*", "id", ids[1], "event", "e", "data", "{}", "quern_entry", "1-1",
              "quern_deliveries", "4", "quern_unended", "4");
    redis_ask(stage->redis, "XREADGROUP", "GROUP", "g", "gone-1-x", "STREAMS", "jobs", "jobs:g:retry", ">", ">");
    redis_ask(stage->redis, "EVAL",
              "for _, key in ipairs({'jobs', 'jobs:g:retry'}) do "
              "  for _, row in ipairs(redis.call('XPENDING', key, 'g', '-', '+', 10)) do "
              "    redis.call('XCLAIM', key, 'g', 'gone-1-x', 0, row[1], 'IDLE', 10000000, 'JUSTID') end end",
              "0");
    for (int i = 0; i < 2; i++) stage_add(stage, ids[i], "D");
}

/* What nobody can read, nobody handles, or comes too late: each is dead. */
static void lay_strays(struct stage *stage)
{
    redis_ask(stage->redis, "XADD", "jobs", "*", "id", "malformed", "event", "e", "data", "{}", "retries", "many");
    redis_ask(stage->redis, "XADD", "jobs", "*", "id", "unhandled", "event", "nobody", "data", "{}");
    redis_ask(stage->redis, "XADD", "jobs", "*", "id", "expired", "event", "e", "data", "{}", "expire_at", "1000");
    stage_add(stage, "malformed", "");
    stage_add(stage, "unhandled", "");
    stage_add(stage, "expired", "");
}

/* A job of four seconds, of which one passes at each look; its lease is of three. */
static void hold(struct stage *stage)
{
    if (atomic_load(&stage->jobs[0].starts) == 0 || atomic_load(&stage->is_let_go)) return;
    if (seam_asked(SEAM_HEARTBEAT) > 6 || seam_has_struck() || stage->is_without_fault) atomic_store(&stage->is_let_go, true);
    seam_jump(400);
}

/* The group vanishes behind the first job. */
static void destroy(struct stage *stage)
{
    if (stage->has_acted || atomic_load(&stage->jobs[0].ends) == 0) return;
    stage->has_acted = true;
    redis_ask(stage->redis, "XGROUP", "DESTROY", "jobs", "g");
    stage_add(stage, "later", "D"); /* first: it may run at once */
    redis_ask(stage->redis, "XADD", "jobs", "*", "id", "later", "event", "e", "data", "{}");
}

/* Of a group that was made again what was done is read once more, unless somebody remembers: a job may run twice. */
static void expect_again(struct stage *stage)
{
    for (int i = 0; i < STAGE_JOBS; i++) stage->jobs[i].allowed += 1;
}

/* Stopped while one runs and two wait behind it. */
static void wait_till_one_runs(struct stage *stage)
{
    for (int i = 0; i < 200 && atomic_load(&stage->jobs[0].starts) == 0 && !seam_has_struck(); i++) seam_jump(1);
}

static bool has_run_all(struct stage *stage)
{
    return atomic_load(&stage->jobs[0].ends) == 1 && atomic_load(&stage->jobs[1].ends) == 2;
}

/* What is lost with an answer is lost; but nothing runs twice. */
static void judge_at_most_once(struct stage *stage)
{
    for (int i = 0; i < stage->count; i++)
        if (atomic_load(&stage->jobs[i].starts) > stage->jobs[i].allowed)
            stage_wrong(stage, "%s was started %d times", stage->jobs[i].id, atomic_load(&stage->jobs[i].starts));
}

static void publish_batch(struct stage *stage)
{
    quern_error error;
    quern_receipt receipts[2];
    seam_arm(SEAM_ROLES, 0, NULL); /* not its publisher's fault */
    quern_publisher *publisher = quern_publisher_open(stage->config, &error);
    quern_message messages[2], then = {.size = sizeof then, .event = "closed"};
    for (int i = 0; i < 2; i++) messages[i] = (quern_message){.size = sizeof *messages, .event = "e"};
    if (!publisher || quern_publish_batch(publisher, messages, 2, &then, receipts, NULL, &error))
        stage_wrong(stage, "publishing a batch: %s", error.text);
    for (int i = 0; i < 2; i++) stage_add(stage, receipts[i].id, i ? "X" : "D");
    if (quern_publisher_close(publisher)) stage_wrong(stage, "the publisher is not closed");
}

static bool is_closed(struct stage *stage)
{
    if (atomic_load(&stage->closings) > 1 && !stage->has_acted) stage_wrong(stage, "the closing job has run twice");
    return atomic_load(&stage->closings) > 0;
}

/* ── publishers ──────────────────────────────────────────────────────────────────────────────────────────────────── */

enum { MESSAGES = 4 };

static void judge_receipt(struct stage *stage, const quern_receipt *receipt)
{
    struct stage_place place = stage_find(stage, receipt->id);
    if (receipt->code == QUERN_OK && place.copies != 1)
        stage_wrong(stage, "a job that is published is there %d times", place.copies);
    if (receipt->code == QUERN_E_UNKNOWN && place.copies > 1) stage_wrong(stage, "a job is there %d times", place.copies);
    if (receipt->code && receipt->code != QUERN_E_UNKNOWN && place.copies)
        stage_wrong(stage, "%s says %s, and it is there", receipt->id, quern_code_name(receipt->code));
}

/* Two, and then the others; the second call is also made where the first has failed. */
static void publish(struct stage *stage, const quern_message messages[MESSAGES])
{
    quern_error errors[2] = {{0}};
    quern_receipt receipts[MESSAGES] = {{0}};
    stage_enter();
    quern_publisher *publisher = quern_publisher_open(stage->config, &stage->error);
    stage_leave();
    if (!publisher) {
        if (!seam_has_struck()) stage_wrong(stage, "no publisher: %s", stage->error.text);
        return;
    }
    for (int i = 0; i < 2; i++) {
        stage_enter();
        int code = quern_publish(publisher, messages + 2 * i, 2, receipts + 2 * i, &errors[i]);
        stage_leave();
        if (code && (code != errors[i].code || !errors[i].text[0])) stage_wrong(stage, "it fails, and does not say why");
        if (code && !seam_has_struck()) stage_wrong(stage, "it fails without a fault: %s", errors[i].text);
        for (int k = 2 * i; k < 2 * i + 2 && !code; k++)
            if (receipts[k].code) stage_wrong(stage, "it succeeds, and a receipt says %s", quern_code_name(receipts[k].code));
    }
    for (int i = 0; i < MESSAGES; i++)
        if (receipts[i].id[0]) stage_add(stage, receipts[i].id, "");
    for (int i = 0; i < MESSAGES; i++)
        if (receipts[i].id[0]) judge_receipt(stage, &receipts[i]);
    if (quern_publisher_close(publisher)) stage_wrong(stage, "the publisher is not closed");
}

static void publish_plain(struct stage *stage)
{
    quern_message messages[MESSAGES];
    for (int i = 0; i < MESSAGES; i++)
        messages[i] = (quern_message){.size = sizeof *messages, .event = "e", .data = {"{\"a\":1}", 7}, .is_raw = i == 3};
    publish(stage, messages);
}

static void publish_special(struct stage *stage)
{
    publish(stage, (quern_message[MESSAGES]){
                       {.size = sizeof(quern_message), .event = "e", .unique = "u"},
                       {.size = sizeof(quern_message), .event = "e", .key = "k", .expire_at_ms = INT64_C(4000000000000)},
                       {.size = sizeof(quern_message), .event = "e", .delay_ms = 3600000},
                       {.size = sizeof(quern_message), .event = "e"},
                   });
}

static void nothing_more(struct stage *stage)
{
    (void)stage;
}

/* ── the list ────────────────────────────────────────────────────────────────────────────────────────────────────── */

const struct scene scenes[] = {
    {.name = "done", .plans = {"D", "D", "D"}},
    {.name = "outcomes", .keys = {"completed_max", "100"}, .plans = {"D", "RD", "X", "RR"}},
    {.name = "later", .keys = {"retry_limit", "2"}, .plans = {"LD", "D"}},
    {.name = "left", .prepare = leave_behind, .plans = {"D"}},
    {.name = "strays", .keys = {"unhandled", "dead"}, .prepare = lay_strays, .plans = {"D"}},
    {.name = "held", .keys = {"lease_ms", "3000"}, .plans = {"H"}, .meanwhile = hold},
    {.name = "stopped", .plans = {"S", "D", "D"}, .meanwhile = wait_till_one_runs, .stops_at_once = true},
    {.name = "batch", .prepare = publish_batch, .is_over = is_closed},
    {.name = "healed",
     .keys = {"lease_ms", "1000"},
     .plans = {"D", "D"},
     .prepare = expect_again,
     .meanwhile = destroy,
     .loses_leases = true},
    {.name = "at_most_once",
     .keys = {"delivery", "at-most-once"},
     .plans = {"D", "RD"},
     .is_over = has_run_all,
     .judge = judge_at_most_once},
    {.name = "published", .act = publish_plain, .judge = nothing_more},
    {.name = "unmarked", .keys = {"publish_marked", "false"}, .act = publish_plain, .judge = nothing_more},
    {.name = "special", .act = publish_special, .judge = nothing_more},
};
const size_t scene_count = sizeof scenes / sizeof *scenes;
