/* SPDX-License-Identifier: MIT */
#include "nth/stage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nth/seam.h"

/* Real time: a run takes a few milliseconds. */
enum { UNFAULTED_MS = 20000, FAULTED_MS = 40, STOP_MS = 20000, LOOK_NS = 100000, LOOK_MAX_NS = 3000000 };

void stage_wrong(struct stage *stage, const char *format, ...)
{
    va_list args;
    if (stage->wrong[0]) return;
    va_start(args, format);
    vsnprintf(stage->wrong, sizeof stage->wrong, format, args);
    va_end(args);
}

void (*stage_inside)(bool is_inside);
void (*stage_calm)(void);

void stage_enter(void)
{
    if (stage_inside) stage_inside(true);
}

void stage_leave(void)
{
    if (stage_inside) stage_inside(false);
}

static int64_t real_ms(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void breathe(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* ── the ledger ──────────────────────────────────────────────────────────────────────────────────────────────────── */

/* ARGV: ids. Returns for each: copies, done, dead. An entry that is read and not pending is nobody's any more. */
static const char ledger[] =
    "local out, at = {}, {} "
    "for i, id in ipairs(ARGV) do out[i] = {0, 0, 0}; at[id] = out[i] end "
    "local function id_of(fields) "
    "  for f = 1, #fields, 2 do if fields[f] == 'id' then return fields[f + 1] end end "
    "  local ok, all = pcall(cjson.decode, fields[2]); return ok and type(all) == 'table' and all.id end "
    "local function add(fields, what) local place = at[id_of(fields)]; if place then place[what] = place[what] + 1 end end "
    "local function stream(key) "
    "  if redis.call('EXISTS', key) == 0 then return end "
    "  local last "
    "  for _, row in ipairs(redis.call('XINFO', 'GROUPS', key)) do if row[2] == 'g' then last = row[8] end end "
    "  for _, row in ipairs(last and redis.call('XPENDING', key, 'g', '-', '+', 1000) or {}) do "
    "    local found = redis.call('XRANGE', key, row[1], row[1])[1]; if found then add(found[2], 1) end end "
    "  for _, row in ipairs(redis.call('XRANGE', key, last and '(' .. last or '-', '+')) do add(row[2], 1) end end "
    "stream('jobs') stream('jobs:g:retry') stream('jobs:g:alone') "
    "for _, key in ipairs({'jobs:g:delayed:jobs', 'jobs:scheduled:jobs'}) do "
    "  for _, text in ipairs(redis.call('HVALS', key)) do add(cmsgpack.unpack(text), 1) end end "
    "for _, row in ipairs(redis.call('XRANGE', 'jobs:g:completed', '-', '+')) do add(row[2], 2) end "
    "for _, row in ipairs(redis.call('XRANGE', 'jobs:failed', '-', '+')) do "
    "  for f = 1, #row[2], 2 do if row[2][f] == 'data' then "
    "    local ok, data = pcall(cjson.decode, row[2][f + 1]); add({'id', ok and data.original_id or ''}, 3) end end end "
    "return out";

static void read_places(struct stage *stage, struct stage_place *places)
{
    const char *words[3 + STAGE_JOBS] = {"EVAL", ledger, "0"};
    for (int i = 0; i < stage->count; i++) words[3 + i] = stage->jobs[i].id;
    const struct answer *out = resp_ask_words(stage->redis->client, (size_t)(3 + stage->count), words, NULL);
    if (out->kind == '-') stage_wrong(stage, "the ledger: %s", out->text);
    for (int i = 0; i < stage->count; i++) {
        const struct answer *row = answer_at(out, (size_t)i);
        places[i] = (struct stage_place){(int)answer_at(row, 0)->number, (int)answer_at(row, 1)->number,
                                         (int)answer_at(row, 2)->number};
    }
}

struct stage_place stage_find(struct stage *stage, const char *id)
{
    struct stage_place places[STAGE_JOBS] = {{0, 0, 0}};
    read_places(stage, places);
    for (int i = 0; i < stage->count; i++)
        if (!strcmp(stage->jobs[i].id, id)) return places[i];
    return places[0];
}

static int copies(struct stage *stage)
{
    int sum = 0;
    struct stage_place places[STAGE_JOBS];
    read_places(stage, places);
    for (int i = 0; i < stage->count; i++) sum += places[i].copies;
    return sum;
}

/* ── the handler ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static void wait_to_go(struct stage *stage, const quern_job *job)
{
    while (!atomic_load(&stage->is_let_go) && !quern_job_cancelled(job)) breathe(LOOK_NS);
}

static quern_verdict follow(struct stage *stage, quern_job *job, struct stage_job *own)
{
    size_t attempts = strlen(own->plan), attempt = quern_job_retries(job);
    char step = own->plan[attempt < attempts ? attempt : attempts - 1];
    if (step == 'H' || step == 'S') wait_to_go(stage, job);
    if (step == 'L') quern_job_retry_after(job, 1);
    return step == 'X' ? QUERN_DEAD : step == 'R' || step == 'L' ? QUERN_RETRY : QUERN_DONE;
}

static quern_verdict run(quern_job *job, void *thread, void *user)
{
    struct stage *stage = user;
    quern_bytes id = quern_job_id(job);
    quern_verdict verdict = QUERN_DONE;
    (void)thread;
    for (int i = 0; i < stage->count; i++) {
        struct stage_job *own = &stage->jobs[i];
        if (id.len != strlen(own->id) || memcmp(id.at, own->id, id.len)) continue;
        atomic_fetch_add(&own->starts, 1);
        verdict = follow(stage, job, own);
        atomic_fetch_add(&own->ends, 1);
    }
    return verdict;
}

static quern_verdict run_closing(quern_job *job, void *thread, void *user)
{
    struct stage *stage = user;
    (void)job, (void)thread;
    atomic_fetch_add(&stage->closings, 1);
    return QUERN_DONE;
}

static void take_line(void *user, int level, const char *line)
{
    struct stage *stage = user;
    size_t len = strlen(line);
    (void)level;
    pthread_mutex_lock(&stage->lock);
    if (stage->words_len + len + 2 < sizeof stage->words) {
        memcpy(stage->words + stage->words_len, line, len);
        stage->words_len += len;
        stage->words[stage->words_len++] = '\n';
    }
    pthread_mutex_unlock(&stage->lock);
}

/* ── opening ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void set(struct stage *stage, const char *key, const char *value)
{
    if (quern_config_set(stage->config, key, value, &stage->error)) stage_wrong(stage, "%s", stage->error.text);
}

static void fill_config(struct stage *stage)
{
    static const char *const keys[] = {"stream",      "jobs",  "group",      "g",   "threads",        "1",
                                       "lease_ms",    "60000", "backoff_ms", "1",   "backoff_max_ms", "4",
                                       "drain_ms",    "5000",  "block_ms",   "10",  "retry_base_ms",  "0",
                                       "retry_limit", "1",     "connect_ms", "3000"};
    set(stage, "redis", stage->redis->url);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i += 2) set(stage, keys[i], keys[i + 1]);
    for (const char *const *at = stage->scene->keys; *at; at += 2) set(stage, at[0], at[1]);
    quern_config_log(stage->config, take_line, stage);
    quern_handler handler = {.size = sizeof handler, .event = "e", .run = run, .user = stage};
    quern_handler closing = {.size = sizeof closing, .event = "closed", .run = run_closing, .user = stage};
    if (quern_config_on(stage->config, &handler, &stage->error) || quern_config_on(stage->config, &closing, &stage->error))
        stage_wrong(stage, "%s", stage->error.text);
}

struct stage_job *stage_add(struct stage *stage, const char *id, const char *plan)
{
    struct stage_job *job = &stage->jobs[stage->count++];
    snprintf(job->id, sizeof job->id, "%s", id);
    job->plan = plan;
    job->allowed = (int)strlen(plan);
    return job;
}

void stage_open(struct stage *stage, struct redis *redis, const struct scene *scene)
{
    memset(stage, 0, sizeof *stage);
    stage->redis = redis;
    stage->scene = scene;
    pthread_mutex_init(&stage->lock, NULL);
    stage->config = quern_config_new();
    fill_config(stage);
    redis_ask(redis, "FLUSHALL");
    for (int i = 0; scene->plans[i]; i++) {
        char id[16];
        snprintf(id, sizeof id, "j%d", i);
        stage_add(stage, id, scene->plans[i]);
        redis_ask(redis, "XADD", "jobs", "*", "id", id, "event", "e", "data", "{}");
    }
    if (scene->prepare) scene->prepare(stage);
}

void stage_close(struct stage *stage)
{
    quern_config_free(stage->config);
    pthread_mutex_destroy(&stage->lock);
}

/* ── one pool ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool has_run(struct stage *stage)
{
    for (int i = 0; i < stage->count; i++)
        if (stage->jobs[i].plan[0] && atomic_load(&stage->jobs[i].ends) == 0) return false;
    return true;
}

static bool is_over(struct stage *stage)
{
    if (stage->scene->is_over && !stage->scene->is_over(stage)) return false;
    return has_run(stage) && copies(stage) == 0;
}

static void say_where(struct stage *stage)
{
    struct stage_place places[STAGE_JOBS];
    char text[400] = "", *at = text;
    read_places(stage, places);
    for (int i = 0; i < stage->count; i++)
        at += snprintf(at, sizeof text - (size_t)(at - text), " %s: %d starts, %d ends, %d copies;", stage->jobs[i].id,
                       atomic_load(&stage->jobs[i].starts), atomic_load(&stage->jobs[i].ends), places[i].copies);
    stage_wrong(stage, "without a fault it does not come to its end;%s", text);
}

static void wait_for_end(struct stage *stage)
{
    int64_t patience_ms = stage->is_without_fault ? UNFAULTED_MS : FAULTED_MS, since_ms = 0;
    for (long pause_ns = LOOK_NS;; pause_ns += pause_ns < LOOK_MAX_NS ? pause_ns / 2 : 0) {
        if (stage->scene->meanwhile) stage->scene->meanwhile(stage);
        if (is_over(stage)) return;
        /* A fault may have made somebody wait for its lease: that is for the next pool. */
        bool counts = stage->is_without_fault || seam_has_struck();
        if (counts && !since_ms) since_ms = real_ms();
        if (counts && real_ms() - since_ms > patience_ms) break;
        breathe(pause_ns);
    }
    if (stage->is_without_fault) say_where(stage);
}

static void stop(struct stage *stage)
{
    int code;
    int64_t end_ms = real_ms() + STOP_MS;
    stage_enter();
    quern_pool_stop(stage->pool);
    if (!stage->scene->stops_at_once) atomic_store(&stage->is_let_go, true);
    while ((code = quern_pool_join(stage->pool, 20, &stage->error)) == QUERN_E_BUSY && real_ms() < end_ms) {
        atomic_store(&stage->is_let_go, true);
    }
    int freed = code ? QUERN_OK : quern_pool_free(stage->pool);
    stage_leave();
    if (code) stage_wrong(stage, "it does not stop: %s", stage->error.text);
    if (freed) stage_wrong(stage, "it is not freed");
    stage->pool = NULL;
}

static void run_pool(struct stage *stage)
{
    stage->error = (quern_error){0};
    stage_enter();
    stage->pool = quern_pool_start(stage->config, &stage->error);
    stage_leave();
    if (!stage->pool) {
        if (!stage->error.code || !stage->error.text[0]) stage_wrong(stage, "it does not start, and does not say why");
        if (stage->is_without_fault) stage_wrong(stage, "it does not start: %s", stage->error.text);
        return;
    }
    if (!stage->scene->stops_at_once || stage->is_second)
        wait_for_end(stage);
    else
        stage->scene->meanwhile(stage);
    stop(stage);
}

/* ── judging ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void judge_job(struct stage *stage, const struct stage_job *job, const struct stage_place *place)
{
    int starts = atomic_load(&job->starts), records = place->done + place->dead;
    bool is_done = job->plan[0] && strchr("DHS", job->plan[strlen(job->plan) - 1]);
    if (records > 1 || place->copies > 1 || (records && place->copies))
        stage_wrong(stage, "%s is there more than once: %d copies, %d done, %d dead", job->id, place->copies, place->done,
                    place->dead);
    if (starts > job->allowed) stage_wrong(stage, "%s was started %d times, %d would be right", job->id, starts, job->allowed);
    if (place->copies) return;
    if (!is_done && !place->dead) stage_wrong(stage, "%s is lost: no copy, and no dead letter", job->id);
    if (is_done && atomic_load(&job->ends) == 0)
        stage_wrong(stage, "%s is lost: it was not run, and there is no copy", job->id);
    if (is_done && place->dead) stage_wrong(stage, "%s is dead, and was done", job->id);
}

static int judge(struct stage *stage)
{
    int left = 0;
    struct stage_place places[STAGE_JOBS];
    read_places(stage, places);
    for (int i = 0; i < stage->count; i++) {
        struct stage_job *job = &stage->jobs[i];
        judge_job(stage, job, &places[i]);
        left += places[i].copies;
        /* It has started, and what became of it is not known to Redis: the next one has to start it again. */
        if (places[i].copies && atomic_load(&job->starts)) job->allowed++;
    }
    return left;
}

/* Nobody is there any more who could renew a lease, or whose turn it is to look for those that are over. */
static void end_leases(struct stage *stage)
{
    static const char script[] = "for _, key in ipairs({'jobs', 'jobs:g:retry', 'jobs:g:alone'}) do "
                                 "  local rows = redis.pcall('XPENDING', key, 'g', '-', '+', 1000) "
                                 "  for _, row in ipairs(rows.err and {} or rows) do "
                                 "    redis.call('XCLAIM', key, 'g', row[2], 0, row[1], 'IDLE', 10000000, 'JUSTID') end end "
                                 "redis.call('DEL', 'jobs:g:reaper') return 'OK'";
    const struct answer *answer = redis_ask(stage->redis, "EVAL", script, "0");
    if (!answer_is(answer, "OK")) stage_wrong(stage, "ending leases: %s", answer->text ? answer->text : "?");
}

void stage_play(struct stage *stage)
{
    if (stage->scene->act)
        stage->scene->act(stage);
    else
        run_pool(stage);
    stage->has_met = seam_has_struck();
    if (stage->scene->judge) {
        stage->scene->judge(stage);
        return;
    }
    bool has_more = judge(stage) || (stage->scene->is_over && !stage->scene->is_over(stage));
    if (!has_more || stage->wrong[0]) return;
    seam_arm(SEAM_ROLES, 0, NULL);
    if (stage_calm) stage_calm();
    stage->is_without_fault = stage->is_second = true;
    atomic_store(&stage->is_let_go, true);
    end_leases(stage);
    run_pool(stage);
    if (judge(stage)) stage_wrong(stage, "something is left");
}
