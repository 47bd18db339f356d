/* SPDX-License-Identifier: MIT */

/* proof/campaign: a queue at work under faults that overlap, then without, until nothing is left; then its histories are judged.
 *
 *     campaign --seed N --minutes M       and what --help says
 *
 * Idea       pools, publishers, another group, a proxy and the server are processes of their own; this one starts them, ends them as
 *            roughly as the dice say, and starts them again at once. What it does it writes into a history of its own, like everybody.
 *            Same seed, same dice and same jobs; when what happens is the machine's.
 * Threads    one.
 * Never      ends a process that it has not started, and leaves none behind: they die with it. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proof/ask.h"
#include "proof/faults.h"
#include "proof/history.h"
#include "proof/plan.h"

enum { CHILDREN = 32, MS = 1000000 };

struct child {
    char role; /* as in the names of histories: w worker, f feeder, p proxy, o watcher, s server; 0: none */
    unsigned number, instance;
    pid_t pid; /* 0: it does not run */
    uint64_t stopped_until_ns;
    bool is_wanted; /* started again when it ends */
};

static struct child children[CHILDREN];
static unsigned child_count;
static struct plan *plan;
static struct asker asker;
static char folder[100], programs[400];
static uint64_t thrown, memory_until_ns, faults;
static double per_s = 8, proxy_per_s = 4;
static uint64_t lasts_ms = 60000, drain_ms = 60000;
static bool keeps, is_durable;
static const char *only; /* of the faults: those whose name holds this */

static void fail(const char *what)
{
    fprintf(stderr, "campaign: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(2);
}

static uint64_t dice(uint64_t sides)
{
    return plan_mix(plan->seed + 100, thrown++) % sides;
}

static void rest_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * MS}, NULL);
}

/* ── processes ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void become_server(void)
{
    char path[128];
    const char *words[] = {"redis-server",
                           "--port",
                           "0",
                           "--unixsocket",
                           path,
                           "--dir",
                           folder,
                           "--save",
                           "",
                           "--appendonly",
                           "yes",
                           "--appendfsync",
                           is_durable ? "always" : "no",
                           "--auto-aof-rewrite-min-size",
                           "32mb",
                           "--enable-debug-command",
                           "local",
                           NULL};
    snprintf(path, sizeof path, "%s/redis", folder);
    if (getenv("REDIS_SERVER")) execv(getenv("REDIS_SERVER"), (char *const *)words);
    execvp("redis-server", (char *const *)words);
    execvp("redis-check-rdb", (char *const *)words); /* the same program */
}

static void become(const struct child *child)
{
    char path[512], number[16], instance[16], rate[32];
    const char *name = child->role == 'w'   ? "proof_worker"
                       : child->role == 'f' ? "proof_feeder"
                       : child->role == 'p' ? "proof_proxy"
                                            : "proof_watcher";
    if (child->role == 's') become_server();
    snprintf(path, sizeof path, "%s/%s", programs, name);
    snprintf(number, sizeof number, "%u", child->number);
    snprintf(instance, sizeof instance, "%u", child->instance);
    snprintf(rate, sizeof rate, "%f", proxy_per_s);
    execl(path, name, folder, number, instance, child->role == 'p' ? rate : (char *)NULL, (char *)NULL);
}

/* In a session of its own: one that is stopped would have its whole group hung up. What it prints is kept beside the histories. */
static void spawn(struct child *child)
{
    char path[200];
    snprintf(path, sizeof path, "%s/output/%c%u", folder, child->role, child->number);
    pid_t pid = fork();
    if (pid < 0) fail("no process");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setsid();
        int out = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        become(child);
        _exit(127);
    }
    child->pid = pid;
    child->stopped_until_ns = 0;
    HISTORY(.kind = RECORD_SPAWN, .letter = (uint8_t)child->role, .job = (uint32_t)pid, .entry_seq = child->number,
            .entry_ms = child->instance);
}

static struct child *add(char role, unsigned number)
{
    struct child *child = &children[child_count++];
    *child = (struct child){.role = role, .number = number, .is_wanted = true};
    spawn(child);
    return child;
}

static struct child *find(char role, uint64_t number)
{
    for (unsigned i = 0; i < child_count; i++)
        if (children[i].role == role && children[i].number == number) return &children[i];
    return NULL;
}

static void tell(const struct child *child, int signal)
{
    if (child && child->pid > 1) kill(child->pid, signal);
}

static void note_death(struct child *child, int status)
{
    HISTORY(.kind = RECORD_DEATH, .letter = (uint8_t)child->role, .job = (uint32_t)child->pid, .entry_seq = (uint32_t)status,
            .lane = (uint8_t)child->number, .entry_ms = child->instance);
    child->pid = 0;
    child->instance++;
}

/* Who has ended is noted, and started again. */
static void see_deaths(void)
{
    int status;
    for (unsigned i = 0; i < child_count; i++) {
        struct child *child = &children[i];
        if (!child->pid || waitpid(child->pid, &status, WNOHANG) != child->pid) continue;
        note_death(child, status);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127) fail("a program cannot be run");
        if (child->is_wanted) spawn(child);
    }
}

static unsigned count_running(char role)
{
    unsigned count = 0;
    see_deaths();
    for (unsigned i = 0; i < child_count; i++) count += children[i].role == role && children[i].pid;
    return count;
}

/* Asks all of a role to end, and waits. false: some did not. */
static bool end_all(char role, uint64_t patience_ms)
{
    uint64_t until_ns = history_now_ns() + patience_ms * MS;
    for (unsigned i = 0; i < child_count; i++) {
        if (children[i].role != role) continue;
        children[i].is_wanted = false;
        if (role != 'f') tell(&children[i], SIGTERM);
    }
    while (count_running(role) && history_now_ns() < until_ns) rest_ms(5);
    return count_running(role) == 0;
}

/* ── faults ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void note_fault(enum fault fault, uint64_t for_ms, uint64_t whom)
{
    faults++;
    HISTORY(.kind = RECORD_FAULT, .letter = (uint8_t)fault, .entry_ms = for_ms, .job = (uint32_t)whom);
}

static void wait_for_server(void)
{
    uint64_t until_ns = history_now_ns() + UINT64_C(60000) * MS;
    for (;;) {
        const struct said *pong = ask(&asker, "PING", NULL);
        if (pong && pong->kind == '+') return;
        see_deaths();
        if (history_now_ns() > until_ns) fail("the server does not come up");
        rest_ms(5);
    }
}

static void kill_server(void)
{
    struct child *server = find('s', 0);
    int status;
    tell(server, SIGKILL);
    if (waitpid(server->pid, &status, 0) != server->pid) fail("the server is not ours");
    note_death(server, status);
    memory_until_ns = 0;
    if (dice(2)) rest_ms((long)dice(plan->lease_ms));
    spawn(server);
    wait_for_server();
}

/* The id of a connection by chance that a pool or a publisher has named; false: there is none. */
static bool choose_client(char id[32])
{
    const struct said *list = ask(&asker, "CLIENT", "LIST", "TYPE", "normal", NULL);
    unsigned count = 0;
    for (const char *at = list && list->text ? list->text : ""; at && (at = strstr(at, "id=")); at++) {
        const char *line_end = strchr(at, '\n'), *name = strstr(at, " name=");
        if (!name || !line_end || name > line_end || name[6] == ' ') continue;
        if (dice(++count) == 0) snprintf(id, 32, "%llu", strtoull(at + 3, NULL, 10));
        at = line_end;
    }
    return count > 0;
}

static void note_deleted(const struct said *numbers, bool is_pending)
{
    for (size_t i = 0; numbers && numbers->kind == '*' && i < numbers->count; i++)
        if (numbers->items[i].text)
            HISTORY(.kind = RECORD_DELETED, .job = (uint32_t)strtoul(numbers->items[i].text, NULL, 10),
                    .letter = is_pending ? 'p' : 'u');
}

/* In one step with the look: what is deleted is known to the letter. */
static void delete_entry(void)
{
    static const char script[] =
        "local id if ARGV[2] == '1' then local rows = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 20)\n"
        "  if #rows > 0 then id = rows[math.ceil(#rows / 2)][1] end\n"
        "else local row = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1] id = row and row[1] end\n"
        "local entry = id and redis.call('XRANGE', KEYS[1], id, id)[1] if not entry then return {} end\n"
        "redis.call('XDEL', KEYS[1], id)\n"
        "for f = 1, #entry[2], 2 do if entry[2][f] == 'data' then return {entry[2][f + 1]} end end return {}";
    bool is_pending = dice(2);
    note_deleted(ask(&asker, "EVAL", script, "1", PLAN_STREAM, PLAN_GROUP, is_pending ? "1" : "0", NULL), is_pending);
}

static void raze(void)
{
    static const char script[] =
        "local lost = {} for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do\n"
        "for f = 1, #entry[2], 2 do if entry[2][f] == 'data' then lost[#lost + 1] = entry[2][f + 1] end end end\n"
        "redis.call('DEL', KEYS[1]) return lost";
    note_deleted(ask(&asker, "EVAL", script, "1", PLAN_STREAM, NULL), false);
}

static void stop_worker(struct child *worker)
{
    uint64_t for_ms = plan->lease_ms / 2 + dice(2 * plan->lease_ms);
    worker->stopped_until_ns = history_now_ns() + for_ms * MS;
    note_fault(FAULT_STOP, for_ms, worker->number);
    tell(worker, SIGSTOP);
}

static void ask_fault(enum fault fault)
{
    char id[32], ms[32];
    uint64_t for_ms = 20 + dice(plan->lease_ms);
    snprintf(ms, sizeof ms, "%llu", (unsigned long long)for_ms);
    note_fault(fault, for_ms, 0);
    switch (fault) {
    case FAULT_KILL_CLIENT:
        if (choose_client(id)) ask(&asker, "CLIENT", "KILL", "ID", id, NULL);
        break;
    case FAULT_KILL_CLIENTS:
        ask(&asker, "CLIENT", "KILL", "TYPE", "normal", NULL);
        break;
    case FAULT_PAUSE:
        ask(&asker, "CLIENT", "PAUSE", ms, "ALL", NULL);
        break;
    case FAULT_PAUSE_WRITE:
        ask(&asker, "CLIENT", "PAUSE", ms, "WRITE", NULL);
        break;
    case FAULT_FORGET:
        ask(&asker, "SCRIPT", "FLUSH", NULL);
        break;
    case FAULT_UNBLOCK:
        if (choose_client(id)) ask(&asker, "CLIENT", "UNBLOCK", id, dice(2) ? "TIMEOUT" : "ERROR", NULL);
        break;
    case FAULT_MEMORY:
        ask(&asker, "CONFIG", "SET", "maxmemory", "100kb", NULL);
        memory_until_ns = history_now_ns() + for_ms * MS;
        break;
    case FAULT_SLEEP:
        ask(&asker, "DEBUG", "SLEEP", dice(2) ? "0.1" : "0.4", NULL);
        break;
    case FAULT_DELETE:
        delete_entry();
        break;
    case FAULT_UNGROUP:
        ask(&asker, "XGROUP", "DESTROY", PLAN_STREAM, PLAN_GROUP, NULL);
        break;
    case FAULT_UNGROUP_RETRY:
        ask(&asker, "XGROUP", "DESTROY", PLAN_STREAM ":" PLAN_GROUP ":retry", PLAN_GROUP, NULL);
        break;
    default:
        raze();
    }
    HISTORY(.kind = RECORD_FAULT, .letter = (uint8_t)fault, .lane = 1);
}

static void throw_fault(enum fault fault)
{
    struct child *worker = find('w', dice(plan->workers));
    switch (fault) {
    case FAULT_KILL:
        note_fault(fault, 0, worker->number);
        tell(worker, SIGKILL);
        break;
    case FAULT_STOP:
        if (!worker->stopped_until_ns && worker->pid) stop_worker(worker);
        break;
    case FAULT_TERM:
        note_fault(fault, 0, worker->number);
        tell(worker, SIGTERM);
        break;
    case FAULT_KILL_FEEDER:
        worker = find('f', dice(plan->feeders));
        note_fault(fault, 0, worker->number);
        tell(worker, SIGKILL);
        break;
    case FAULT_KILL_SERVER:
        note_fault(fault, 0, 0);
        kill_server();
        break;
    default:
        ask_fault(fault);
    }
}

static enum fault choose_fault(void)
{
    static const struct {
        enum fault fault;
        unsigned weight;
        bool deletes;
    } table[] = {{FAULT_KILL, 110, false},        {FAULT_STOP, 60, false},        {FAULT_TERM, 20, false},
                 {FAULT_KILL_FEEDER, 25, false},  {FAULT_KILL_SERVER, 12, false}, {FAULT_KILL_CLIENT, 250, false},
                 {FAULT_KILL_CLIENTS, 25, false}, {FAULT_PAUSE, 30, false},       {FAULT_PAUSE_WRITE, 30, false},
                 {FAULT_FORGET, 130, false},      {FAULT_UNBLOCK, 130, false},    {FAULT_MEMORY, 8, false},
                 {FAULT_SLEEP, 20, false},        {FAULT_DELETE, 100, true},      {FAULT_UNGROUP, 6, true},
                 {FAULT_UNGROUP_RETRY, 6, true},  {FAULT_RAZE, 2, true}};
    unsigned all = 0, count = sizeof table / sizeof *table;
    for (unsigned i = 0; i < count; i++)
        if ((!table[i].deletes || plan->deletes) && (!only || strstr(only, fault_names[table[i].fault])))
            all += table[i].weight;
    uint64_t thrown_now = all ? dice(all) : 0;
    for (unsigned i = 0; i < count; i++) {
        if ((table[i].deletes && !plan->deletes) || (only && !strstr(only, fault_names[table[i].fault]))) continue;
        if (thrown_now < table[i].weight) return table[i].fault;
        thrown_now -= table[i].weight;
    }
    return FAULTS;
}

/* What has lasted long enough. */
static void end_faults(bool at_once)
{
    uint64_t now_ns = history_now_ns();
    for (unsigned i = 0; i < child_count; i++) {
        if (!children[i].stopped_until_ns || (!at_once && now_ns < children[i].stopped_until_ns)) continue;
        children[i].stopped_until_ns = 0;
        tell(&children[i], SIGCONT);
    }
    if (!memory_until_ns || (!at_once && now_ns < memory_until_ns)) return;
    memory_until_ns = 0;
    ask(&asker, "CONFIG", "SET", "maxmemory", "0", NULL);
}

/* ── the queue ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static const struct said *group_of(const struct said *groups, const char *name)
{
    for (size_t i = 0; groups && i < groups->count; i++) {
        const struct said *its = said_of(&groups->items[i], "name");
        if (its && its->text && !strcmp(its->text, name)) return &groups->items[i];
    }
    return NULL;
}

/* Feeders wait while the mill has enough. */
static void keep_level(void)
{
    const struct said *group = group_of(ask(&asker, "XINFO", "GROUPS", PLAN_STREAM, NULL), PLAN_GROUP),
                      *lag = said_of(group, "lag");
    bool is_full = lag && lag->kind == ':' && lag->number > 6000;
    if (!is_full) is_full = ask_number(&asker, "XLEN", PLAN_STREAM) > 60000;
    plan->is_full = is_full;
}

/* Has the group taken, and ended, all there is? */
static bool is_done(const char *name)
{
    char last[64] = "";
    const struct said *newest = said_at(ask(&asker, "XREVRANGE", PLAN_STREAM, "+", "-", "COUNT", "1", NULL), 0);
    if (newest) snprintf(last, sizeof last, "%s", said_at(newest, 0)->text);
    const struct said *group = group_of(ask(&asker, "XINFO", "GROUPS", PLAN_STREAM, NULL), name);
    const struct said *pending = said_of(group, "pending"), *delivered = said_of(group, "last-delivered-id"),
                      *lag = said_of(group, "lag");
    if (!group) return !*last;
    bool is_read = !*last || (lag && lag->kind == ':' && lag->number == 0) || !strcmp(delivered->text, last);
    return pending->number == 0 && is_read;
}

static bool is_drained(void)
{
    return ask_number(&asker, "XLEN", PLAN_STREAM ":" PLAN_GROUP ":retry") <= 0 &&
           ask_number(&asker, "XLEN", PLAN_STREAM ":" PLAN_GROUP ":alone") <= 0 &&
           ask_number(&asker, "ZCARD", PLAN_STREAM ":" PLAN_GROUP ":delayed") <= 0 &&
           ask_number(&asker, "ZCARD", PLAN_STREAM ":scheduled") <= 0 && is_done(PLAN_GROUP);
}

static void storm(void)
{
    uint64_t end_ns = history_now_ns() + lasts_ms * MS, next_ns = history_now_ns() + 500 * MS, level_ns = 0;
    while (history_now_ns() < end_ns) {
        uint64_t now_ns = history_now_ns();
        see_deaths();
        end_faults(false);
        if (now_ns >= level_ns) {
            keep_level();
            level_ns = now_ns + 50 * MS;
        }
        if (now_ns >= next_ns && per_s > 0) {
            next_ns = now_ns + dice((uint64_t)(2e9 / per_s));
            enum fault fault = choose_fault();
            if (fault != FAULTS) throw_fault(fault);
        }
        rest_ms(2);
    }
}

/* No more faults: what is there is to be worked off in time. false: it was not. */
static bool calm(void)
{
    plan->is_calm = true;
    end_faults(true);
    wait_for_server();
    ask(&asker, "CONFIG", "SET", "maxmemory", "0", NULL);
    HISTORY(.kind = RECORD_CALM);
    plan->is_full = false;
    plan->is_fed = true;
    uint64_t until_ns = history_now_ns() + drain_ms * MS;
    bool is_fed = end_all('f', drain_ms);
    unsigned looks = 0;
    while (looks < 3 && history_now_ns() < until_ns) {
        looks = is_drained() ? looks + 1 : 0;
        see_deaths();
        rest_ms(20);
    }
    if (looks < 3 || !is_fed) return false;
    HISTORY(.kind = RECORD_DRAINED);
    return true;
}

/* ── the whole ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static const char help[] = "usage: campaign --seed N --minutes M\n"
                           "  --seconds S        instead of minutes\n"
                           "  --faults PER_S     that the campaign throws (8); --proxy PER_S: the proxy (4)\n"
                           "  --only NAMES       faults whose names are in this text\n"
                           "  --workers N        pool processes (3); --feeders N: publishers (2); --threads N: of a pool (3)\n"
                           "  --rate N           jobs a second that are published at most (6000)\n"
                           "  --lease MS         (600)\n"
                           "  --no-deletes       nothing is deleted that jobs need\n"
                           "  --gentle           no job ends its process; for sanitizers\n"
                           "  --durable          the server syncs each write\n"
                           "  --patience S       how long the end may take without faults (60)\n"
                           "  --keep             the folder stays, whatever the verdict\n";

static void read_options(int argc, char **argv, struct plan *made)
{
    static const struct option options[] = {{"seed", 1, NULL, 's'},    {"minutes", 1, NULL, 'm'}, {"seconds", 1, NULL, 'S'},
                                            {"faults", 1, NULL, 'f'},  {"proxy", 1, NULL, 'p'},   {"only", 1, NULL, 'o'},
                                            {"workers", 1, NULL, 'w'}, {"feeders", 1, NULL, 'F'}, {"threads", 1, NULL, 't'},
                                            {"rate", 1, NULL, 'r'},    {"lease", 1, NULL, 'l'},   {"no-deletes", 0, NULL, 'n'},
                                            {"gentle", 0, NULL, 'g'},  {"durable", 0, NULL, 'd'}, {"patience", 1, NULL, 'P'},
                                            {"keep", 0, NULL, 'k'},    {"help", 0, NULL, 'h'},    {0}};
    *made = (struct plan){.seed = 1,
                          .workers = 3,
                          .feeders = 2,
                          .rate = 6000,
                          .threads = 3,
                          .lease_ms = 600,
                          .reap_ms = 200,
                          .retry_limit = 3,
                          .retry_base_ms = 40,
                          .timeout_ms = 2500,
                          .grace_ms = 300,
                          .max_deliveries = 8,
                          .max_crashes = 3,
                          .deletes = true};
    for (int letter; (letter = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (letter) {
        case 's':
            made->seed = strtoull(optarg, NULL, 10);
            break;
        case 'm':
            lasts_ms = (uint64_t)(atof(optarg) * 60000);
            break;
        case 'S':
            lasts_ms = (uint64_t)(atof(optarg) * 1000);
            break;
        case 'f':
            per_s = atof(optarg);
            break;
        case 'p':
            proxy_per_s = atof(optarg);
            break;
        case 'o':
            only = optarg;
            break;
        case 'w':
            made->workers = (uint32_t)atoi(optarg);
            break;
        case 'F':
            made->feeders = (uint32_t)atoi(optarg);
            break;
        case 't':
            made->threads = (uint32_t)atoi(optarg);
            break;
        case 'r':
            made->rate = (uint32_t)atoi(optarg);
            break;
        case 'l':
            made->lease_ms = (uint32_t)atoi(optarg);
            break;
        case 'n':
            made->deletes = false;
            break;
        case 'g':
            made->is_gentle = true;
            break;
        case 'd':
            is_durable = true;
            break;
        case 'P':
            drain_ms = (uint64_t)(atof(optarg) * 1000);
            break;
        case 'k':
            keeps = true;
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            fputs(help, stderr);
            exit(2);
        }
    }
    if (!made->workers || made->workers > 8 || !made->feeders || made->feeders > FEEDERS_MAX || !made->rate || optind != argc)
        fputs(help, stderr), exit(2);
}

static void make_folder(const struct plan *made)
{
    char path[200];
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/quern-proof-XXXXXX", tmp && strlen(tmp) < 60 ? tmp : "/tmp");
    if (!mkdtemp(folder)) fail("no folder");
    static const char *const parts[] = {"history", "journals", "output"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, parts[i]);
        if (mkdir(path, 0700)) fail(path);
    }
    plan = plan_map(folder, true);
    if (!plan || !history_open(folder, 'c', 0, 0)) fail("no plan");
    memcpy(plan, made, sizeof *made);
    snprintf(path, sizeof path, "%s/redis", folder);
    asker_open(&asker, path, 5);
}

static void start_all(void)
{
    add('s', 0);
    wait_for_server();
    ask(&asker, "XGROUP", "CREATE", PLAN_STREAM, PLAN_GROUP, "0", "MKSTREAM", NULL);
    ask(&asker, "XGROUP", "CREATE", PLAN_STREAM, PLAN_WATCHER, "0", "MKSTREAM", NULL);
    add('p', 0);
    add('o', 0);
    for (unsigned i = 0; i < plan->workers; i++) add('w', i);
    for (unsigned i = 0; i < plan->feeders; i++) add('f', i);
}

/* The checker's exit status; it says what it has found. */
static int judge(void)
{
    char path[512];
    int status;
    fflush(stdout);
    snprintf(path, sizeof path, "%s/proof_check", programs);
    pid_t pid = fork();
    if (pid == 0) {
        execl(path, "proof_check", folder, (char *)NULL);
        _exit(127);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status, (void)kind, (void)at;
    return remove(path);
}

int main(int argc, char **argv)
{
    struct plan made;
    setvbuf(stdout, NULL, _IOLBF, 0);
    read_options(argc, argv, &made);
    ssize_t len = readlink("/proc/self/exe", programs, sizeof programs - 1);
    if (len < 0) fail("where am I?");
    dirname(programs); /* cuts it where it is */
    make_folder(&made);
    printf("campaign: seed %llu, %.1f s, folder %s\n", (unsigned long long)plan->seed, (double)lasts_ms / 1000, folder);
    start_all();
    storm();
    bool is_drained_in_time = calm();
    bool have_ended = end_all('w', 15000);
    have_ended &= end_all('o', 15000);
    if (!is_drained_in_time) printf("campaign: not drained within %.0f s without faults\n", (double)drain_ms / 1000);
    if (!have_ended) printf("campaign: some processes did not stop\n");
    int verdict = judge();
    for (unsigned i = 0; i < child_count; i++) {
        children[i].is_wanted = false;
        tell(&children[i], SIGKILL);
    }
    bool is_good = is_drained_in_time && have_ended && verdict == 0;
    asker_close(&asker);
    printf("campaign: seed %llu: %s\n", (unsigned long long)plan->seed, is_good ? "proven" : "REFUTED");
    if (is_good && !keeps)
        nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    else
        printf("campaign: what happened lies in %s\n", folder);
    return is_good ? 0 : 1;
}
