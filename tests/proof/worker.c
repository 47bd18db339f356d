/* SPDX-License-Identifier: MIT */

/* proof/worker: one pool process of a campaign.
 *
 *     worker FOLDER NUMBER INSTANCE
 *
 * Idea       its handler does with job n what the plan says n is; the runtime's witness and the handler write the history. At
 *            some point of it, thrown by dice, the process ends itself, as by a kill -9: before a question is sent, after its
 *            answer has come, when a handler begins or ends.
 * Threads    handlers: the pool's · what is pending is finished by one more · main waits for SIGTERM. */
#include <dirent.h>
#include <pthread.h>
#include <quern.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "job/witness.h"
#include "proof/history.h"
#include "proof/plan.h"
#include "proof/saying.h"
#include "settle/verdict.h"

enum { SLOTS_MAX = 4096, LATER_MAX = 4096, POINTS = 7, POINT_SPREAD = 4000 };

static struct plan *plan;
static uint32_t job_of_slot
    [SLOTS_MAX]; /* written under the slot's lease, read by the heartbeat: a stale look is of a lease that has ended */

static void fail(const char *what)
{
    fprintf(stderr, "worker: %s\n", what);
    exit(2);
}

static void sleep_us(uint64_t us)
{
    struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    while (nanosleep(&time, &time)) continue;
}

/* ── crash points ────────────────────────────────────────────────────────────────────────────────────────────────── */

static unsigned point;               /* which one ends this process; POINTS: none */
static _Atomic uint32_t point_after; /* at the how manieth time */

static void pass_point(unsigned which)
{
    if (which != point || atomic_load_explicit(&plan->is_calm, memory_order_relaxed)) return;
    if (atomic_fetch_sub(&point_after, 1) != 1) return;
    HISTORY(.kind = RECORD_POINT, .letter = (uint8_t)which);
    kill(getpid(), SIGKILL);
}

static void choose_point(unsigned number, unsigned instance)
{
    uint64_t dice = plan_mix(plan->seed + 10 + number, instance);
    point = dice % 3 ? POINTS : (unsigned)(dice >> 8) % POINTS;
    point_after = 1 + (uint32_t)(dice >> 32) % POINT_SPREAD;
}

/* ── what the runtime shows ──────────────────────────────────────────────────────────────────────────────────────── */

static uint32_t number_of(quern_bytes data)
{
    return data.at && data.len ? (uint32_t)strtoul(data.at, NULL, 10) : NO_JOB;
}

static struct record record_of(const struct quern_job *job, enum record_kind kind)
{
    return (struct record){.kind = (uint8_t)kind,
                           .job = number_of(job->message.data),
                           .lane = (uint8_t)origin_lane(atomic_load(&job->origin)),
                           .entry_ms = job->message.entry.ms,
                           .entry_seq = (uint32_t)job->message.entry.seq,
                           .deliveries = (uint16_t)atomic_load(&job->deliveries),
                           .total = (uint16_t)job_deliveries(job),
                           .retries = (uint8_t)job->message.retries};
}

static void see_leased(const struct quern_job *job)
{
    struct record record = record_of(job, RECORD_LEASED);
    record.also = (uint64_t)atomic_load(&job->granted_ns);
    if (job->index < SLOTS_MAX) __atomic_store_n(&job_of_slot[job->index], record.job, __ATOMIC_RELAXED);
    history_write(&record, 1);
    pass_point(0);
}

/* A plain batch that was not counted whole: which of them it was is not known. */
static bool is_vague(int action, const char *answers, uint32_t count)
{
    return (action == ACTION_ACK || action == ACTION_LOG) && (memchr(answers, 'l', count) || memchr(answers, 'g', count));
}

static void see_settles(struct quern_job *const *jobs, uint32_t count, int action, const char *answers)
{
    static const char actions[ACTIONS] = {
        [ACTION_ACK] = 'a',   [ACTION_LOG] = 'a',     [ACTION_DONE] = 'd', [ACTION_PASS] = 'd',
        [ACTION_RETRY] = 'r', [ACTION_RELEASE] = 'g', [ACTION_DEAD] = 'x'};
    struct record *records = malloc(count * sizeof *records);
    if (!records) fail("no memory");
    for (uint32_t i = 0; i < count; i++) {
        records[i] = record_of(jobs[i], answers ? RECORD_SETTLED : RECORD_SETTLE);
        records[i].letter = (uint8_t)(!answers ? actions[action] : is_vague(action, answers, count) ? '?' : answers[i]);
        records[i].retries = (uint8_t)actions[action];
    }
    history_write(records, count);
    free(records);
    pass_point(answers ? 2 : 1);
}

static void see_renews(const struct lease *leases, uint32_t count, const char *letters)
{
    struct record records[512];
    for (uint32_t i = 0; i < count && i < 512; i++)
        records[i] = (struct record){
            .kind = letters ? RECORD_RENEWED : RECORD_RENEW,
            .job = leases[i].index < SLOTS_MAX ? __atomic_load_n(&job_of_slot[leases[i].index], __ATOMIC_RELAXED) : NO_JOB,
            .lane = (uint8_t)origin_lane(leases[i].origin),
            .entry_ms = leases[i].entry.ms,
            .entry_seq = (uint32_t)leases[i].entry.seq,
            .deliveries = (uint16_t)leases[i].deliveries,
            .letter = letters ? (uint8_t)letters[i] : 0};
    history_write(records, count < 512 ? count : 512);
    pass_point(letters ? 4 : 3);
}

static const struct witness eyes = {see_leased, see_settles, see_renews};

/* ── what it says ────────────────────────────────────────────────────────────────────────────────────────────────── */

static uint64_t number_behind(const char *line, const char *name)
{
    const char *at = strstr(line, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void hear(void *user, int level, const char *line)
{
    const char *at = strstr(line, "event=");
    (void)user, (void)level;
    if (getenv("PROOF_LOUD")) fprintf(stderr, "%d %s\n", (int)getpid(), line);
    for (unsigned i = 0; at && i < SAYINGS; i++) {
        size_t len = strlen(sayings[i]);
        if (strncmp(at + 6, sayings[i], len) || (at[6 + len] && at[6 + len] != ' ')) continue;
        uint64_t many = number_behind(line, "entries=") + number_behind(line, "jobs=");
        HISTORY(.kind = RECORD_SAID, .letter = (uint8_t)i, .also = (many ? many : 1) * (1 + number_behind(line, "repeated=")));
    }
}

/* ── jobs that a ticket finishes ─────────────────────────────────────────────────────────────────────────────────── */

static struct {
    struct record record;
    uint64_t ticket;
} later[LATER_MAX];
static unsigned later_count;
static pthread_mutex_t later_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool is_over;
static quern_pool *_Atomic the_pool;

static void finish_some(void)
{
    pthread_mutex_lock(&later_lock);
    unsigned count = later_count;
    later_count = 0;
    for (unsigned i = 0; i < count; i++) {
        later[i].record.kind = RECORD_FINISH;
        later[i].record.letter = 'd';
        history_write(&later[i].record, 1);
        (void)quern_pool_finish(the_pool, later[i].ticket, QUERN_DONE, NULL);
    }
    pthread_mutex_unlock(&later_lock);
}

static void *finish_later(void *unused)
{
    (void)unused;
    while (!is_over) {
        sleep_us(5000);
        if (the_pool) finish_some();
    }
    return NULL;
}

/* false: there is no room, so it is finished at once. */
static bool put_off(quern_job *job, const struct record *record)
{
    pthread_mutex_lock(&later_lock);
    bool fits = later_count < LATER_MAX;
    if (fits) later[later_count].record = *record;
    if (fits) later[later_count++].ticket = quern_job_ticket(job);
    pthread_mutex_unlock(&later_lock);
    return fits;
}

/* ── the handler ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static int overflow(volatile char *above, unsigned depth)
{
    volatile char here[4096];
    here[0] = above ? above[0] : 1;
    return depth ? overflow(here, depth - 1) + here[0] : 0;
}

/* Ways to take a process with one. */
static void end_the_process(uint32_t n)
{
    switch (n % 4) {
    case 0:
        raise(SIGSEGV);
        break;
    case 1:
        abort();
    case 2:
        exit(3);
    default:
        overflow(NULL, UINT32_MAX);
    }
}

static void fork_once(void)
{
    pid_t child = fork();
    if (child == 0) _exit(0);
    if (child > 0) waitpid(child, NULL, 0);
}

static quern_verdict act(quern_job *job, uint32_t n, struct record *record)
{
    uint64_t dice = plan_mix(plan->seed + 4, n), lease_us = plan->lease_ms * UINT64_C(1000);
    unsigned retries = quern_job_retries(job);
    switch (plan_nature(plan, n)) {
    case NATURE_BUSY:
        sleep_us(500 + dice % 8000);
        return QUERN_DONE;
    case NATURE_LONG:
        sleep_us(lease_us + dice % lease_us);
        return QUERN_DONE;
    case NATURE_FLAKY:
        if (dice % 16 == 0) sleep_us(lease_us / 2); /* so that some are caught standing still, and fail as late owners */
        return retries <= dice % 2 ? QUERN_RETRY : QUERN_DONE;
    case NATURE_DOOMED:
        return QUERN_RETRY;
    case NATURE_REJECTED:
        if (dice % 16 == 0) sleep_us(lease_us / 2);
        return QUERN_DEAD;
    case NATURE_LATER:
        return put_off(job, record) ? QUERN_PENDING : QUERN_DONE;
    case NATURE_STUCK:
        if (!retries) sleep_us((plan->timeout_ms + plan->grace_ms * UINT64_C(2)) * 1000);
        return QUERN_DONE;
    case NATURE_GARBLED:
        return quern_job_json(job) ? QUERN_DONE : QUERN_RETRY;
    case NATURE_FORKER:
        fork_once();
        return QUERN_DONE;
    case NATURE_BREAKER:
        if (quern_job_deliveries(job) == 1 && !plan->is_calm) end_the_process(n);
        return QUERN_DONE;
    case NATURE_POISON:
        end_the_process(n);
        return QUERN_DONE;
    default:
        return QUERN_DONE;
    }
}

static quern_verdict work(quern_job *job, void *thread, void *user)
{
    static const char letters[] = "?drxp";
    uint32_t n = number_of(quern_job_data(job));
    struct record record = record_of(job, RECORD_START);
    (void)thread, (void)user;
    history_write(&record, 1);
    pass_point(5);
    quern_verdict verdict = act(job, n, &record);
    record.kind = RECORD_FINISH;
    record.letter = (uint8_t)letters[verdict];
    if (verdict != QUERN_PENDING) history_write(&record, 1); /* else it may be finished by now */
    pass_point(6);
    return verdict;
}

/* ── the process ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static void set(quern_config *config, const char *key, const char *format, ...)
{
    char text[600];
    quern_error error;
    va_list more;
    va_start(more, format);
    vsnprintf(text, sizeof text, format, more);
    va_end(more);
    if (quern_config_set(config, key, text, &error)) fail(error.text);
}

/* Half of them keep a log, so both ways of acknowledging are taken. */
static quern_config *configure(const char *folder, unsigned number)
{
    quern_error error;
    quern_config *config = quern_config_new();
    if (!config) fail("no memory");
    set(config, "redis", "unix://%s/proxy", folder);
    set(config, "stream", PLAN_STREAM);
    set(config, "group", PLAN_GROUP);
    set(config, "consumer", "worker%u", number);
    set(config, "journal_dir", "%s/journals", folder);
    set(config, "crash_hook", plan->is_gentle ? "false" : "true");
    set(config, "required_groups", "[\"" PLAN_WATCHER "\"]");
    set(config, "threads", "%u", plan->threads);
    set(config, "lease_ms", "%u", plan->lease_ms);
    set(config, "reap_ms", "%u", plan->reap_ms);
    set(config, "retry_limit", "%u", plan->retry_limit);
    set(config, "retry_base_ms", "%u", plan->retry_base_ms);
    set(config, "retry_factor", "2");
    set(config, "timeout_ms", "%u", plan->timeout_ms);
    set(config, "timeout_grace_ms", "%u", plan->grace_ms);
    set(config, "max_deliveries", "%u", plan->max_deliveries);
    set(config, "max_crashes", "%u", plan->max_crashes);
    set(config, "completed_max", number % 2 ? "1000" : "0");
    set(config, "connect_ms", "60000");
    set(config, "backoff_ms", "5");
    set(config, "backoff_max_ms", "100");
    set(config, "drain_ms", "1500");
    set(config, "prefetch_max", "256");
    quern_config_log(config, hear, NULL);
    if (quern_config_on(config, &(quern_handler){.size = sizeof(quern_handler), .event = "*", .run = work}, &error))
        fail(error.text);
    return config;
}

static unsigned count_in(const char *path)
{
    unsigned count = 0;
    DIR *folder = opendir(path);
    while (folder && readdir(folder)) count++;
    if (folder) closedir(folder);
    return count;
}

static void note_resources(enum record_kind kind)
{
    HISTORY(.kind = (uint8_t)kind, .job = count_in("/proc/self/fd"), .entry_seq = count_in("/proc/self/task"));
}

int main(int argc, char **argv)
{
    quern_error error;
    int caught;
    sigset_t ends;
    pthread_t finisher;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 4 || !(plan = plan_map(argv[1], false))) fail("worker FOLDER NUMBER INSTANCE");
    unsigned number = (unsigned)atoi(argv[2]), instance = (unsigned)atoi(argv[3]);
    if (!history_open(argv[1], 'w', number, instance)) fail("no history");
    choose_point(number, instance);
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    witness = &eyes;
    quern_config *config = configure(argv[1], number);
    if (pthread_create(&finisher, NULL, finish_later, NULL)) fail("no thread");
    the_pool = quern_pool_start(config, &error);
    if (!the_pool && error.is_retriable) _exit(4); /* as where memory is over: it is started again */
    if (!the_pool) fail(error.text);
    note_resources(RECORD_READY);
    sigwait(&ends, &caught);
    note_resources(RECORD_END);
    quern_pool_stop(the_pool);
    int code = quern_pool_join(the_pool, 10000, &error);
    if (code) _exit(3); /* a handler still runs, or Redis is away: as by a second signal */
    is_over = true;
    pthread_join(finisher, NULL);
    code = quern_pool_free(the_pool);
    quern_config_free(config);
    return code;
}
