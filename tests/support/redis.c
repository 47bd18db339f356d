/* SPDX-License-Identifier: MIT */
#include "support/redis.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/acl.h"
#include "support/wait.h"

enum { ID_SIZE = 24, ARGS_MAX = 40 };

/* In the child, after fork: only what is allowed there. */
static void become_server(const char *program, char *const *argv, char *const *environment, int log_fd)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid(); /* a stopped process in an orphaned group is hung up, and with it the whole group: all tests that run beside this one */
    dup2(log_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    if (program) execve(program, argv, environment);
    if (!program) execvpe("redis-server", argv, environment);
    if (!program) execvpe("redis-check-rdb", argv, environment);
    _exit(127);
}

/* The file that the server's clock is read from. */
static void open_clock(struct redis *redis)
{
    char path[80];
    snprintf(path, sizeof path, "%s/clock", redis->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof *redis->clock_ns), 0);
    redis->clock_ns = mmap(NULL, sizeof *redis->clock_ns, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(redis->clock_ns != MAP_FAILED);
    close(fd);
}

void redis_step(struct redis *redis, long long ms)
{
    atomic_fetch_add(redis->clock_ns, ms * 1000000);
}

/* A sentinel writes what it learns into its own file: it is made once. */
static void write_sentinel(const struct redis *redis, char path[96])
{
    snprintf(path, 96, "%s/sentinel.conf", redis->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return;
    dprintf(fd, "port 0\nbind 127.0.0.1\nunixsocket %s\ndir %s\n%s", redis->socket, redis->dir, redis->options.sentinel);
    close(fd);
}

void redis_launch(struct redis *redis)
{
    const struct redis_options *options = &redis->options;
    const char *program = options->program ? options->program : getenv("REDIS_SERVER");
    char log[80], clock[96], preload[512], conf[96], acl[96];
    char *const stepped[] = {clock, preload, NULL};
    const char *argv[ARGS_MAX] = {"redis-server",
                                  "--port",
                                  "0",
                                  "--unixsocket",
                                  redis->socket,
                                  "--dir",
                                  redis->dir,
                                  "--save",
                                  "",
                                  "--appendonly",
                                  options->has_aof ? "yes" : "no",
                                  "--appendfsync",
                                  "always",
                                  "--requirepass",
                                  options->password ? options->password : ""};
    size_t count = 0;
    while (argv[count]) count++;
    const char *const sentinel[] = {"redis-server", conf, "--sentinel", NULL};
    if (options->sentinel) write_sentinel(redis, conf);
    if (acl_wanted() && !options->sentinel) {
        snprintf(acl, sizeof acl, "%s/users.acl", redis->dir);
        acl_write(acl_wanted(), acl, "~*", options->password);
        argv[count++] = "--aclfile";
        argv[count++] = acl;
    }
    for (const char *const *more = options->more; more && *more && count < ARGS_MAX - 1; more++) argv[count++] = *more;
    snprintf(log, sizeof log, "%s/log", redis->dir);
    snprintf(clock, sizeof clock, "QUERN_CLOCK=%s/clock", redis->dir);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", options->clockstep ? options->clockstep : "");
    int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(log_fd >= 0);
    redis->pid = fork();
    if (redis->pid == 0)
        become_server(program, (char *const *)(options->sentinel ? sentinel : argv), options->clockstep ? stepped : environ,
                      log_fd);
    close(log_fd);
    assert_true(redis->pid > 1);
    redis->pidfd = pidfd_open(redis->pid, 0);
    assert_true(redis->pidfd >= 0);
}

static bool answers(struct redis *redis)
{
    if (!redis->client && !(redis->client = resp_open(redis->socket))) return false;
    if (redis->options.password) redis_ask(redis, "AUTH", redis->options.password);
    return answer_is(redis_ask(redis, "PING"), "PONG");
}

void redis_start(struct redis *redis, const struct redis_options *options)
{
    const char *tmp = getenv("TMPDIR");
    *redis = (struct redis){.pidfd = -1};
    if (options) redis->options = *options;
    snprintf(redis->dir, sizeof redis->dir, "%s/quern-test-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    assert_non_null(mkdtemp(redis->dir));
    snprintf(redis->socket, sizeof redis->socket, "%s/redis", redis->dir);
    snprintf(redis->url, sizeof redis->url, "unix://%s", redis->socket);
    if (redis->options.clockstep) open_clock(redis);
    redis_launch(redis);
    wait_for(answers(redis));
}

void redis_kill(struct redis *redis)
{
    siginfo_t how;
    if (redis->pidfd < 0) return;
    pidfd_send_signal(redis->pidfd, SIGKILL, NULL, 0);
    waitid(P_PIDFD, (id_t)redis->pidfd, &how, WEXITED);
    close(redis->pidfd);
    redis->pidfd = -1;
    resp_close(redis->client);
    redis->client = NULL;
}

void redis_again(struct redis *redis)
{
    redis_launch(redis);
    wait_for(answers(redis));
}

void redis_rejoin(struct redis *redis)
{
    resp_close(redis->client);
    redis->client = NULL;
    wait_for(answers(redis));
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status, (void)kind, (void)at;
    return remove(path);
}

void redis_end(struct redis *redis)
{
    redis_kill(redis);
    if (redis->clock_ns) munmap(redis->clock_ns, sizeof *redis->clock_ns);
    redis->clock_ns = NULL;
    if (redis->dir[0]) nftw(redis->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    redis->dir[0] = 0;
}

long long answer_number(const struct answer *answer)
{
    if (answer->kind == '-') return -1;
    return answer->kind == '*' ? (long long)answer->count : answer->number;
}

long long redis_pending(struct redis *redis, const char *stream, const char *group)
{
    const struct answer *answer = redis_ask(redis, "XPENDING", stream, group);
    return answer->kind == '-' ? -1 : answer_at(answer, 0)->number;
}

long long redis_calls(struct redis *redis, const char *command)
{
    char name[64];
    long long calls = 0;
    const struct answer *answer = redis_ask(redis, "INFO", "commandstats");
    snprintf(name, sizeof name, "cmdstat_%s:calls=", command ? command : "");
    for (const char *at = answer->text; at && (at = strstr(at, "cmdstat_")); at++)
        if (!command || !strncmp(at, name, strlen(name))) calls += atoll(strstr(at, "calls=") + 6);
    return calls;
}

long long redis_info(struct redis *redis, const char *section, const char *name)
{
    size_t len = strlen(name);
    const char *at = redis_ask(redis, "INFO", section)->text;
    while (at && (at = strstr(at, name)) && at[len] != ':' && at[len] != '=') at += len;
    return at ? atoll(at + len + 1) : -1;
}

/* Finds the next connection of a CLIENT LIST whose name ends in suffix. Returns where to look on; NULL: there is none. */
static const char *next_client(const char *at, const char *suffix, char id[ID_SIZE])
{
    for (; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        const char *name = strstr(at, " name="), *end = name ? strchr(name + 1, ' ') : NULL;
        size_t len = strlen(suffix);
        if (!end || (size_t)(end - name) < len || strncmp(end - len, suffix, len)) continue;
        snprintf(id, ID_SIZE, "%lld", atoll(at + 3));
        return strchr(at, '\n') ? strchr(at, '\n') + 1 : end;
    }
    return NULL;
}

bool redis_client(struct redis *redis, const char *suffix, char id[ID_SIZE])
{
    return next_client(redis_ask(redis, "CLIENT", "LIST")->text, suffix, id) != NULL;
}

int redis_clients(struct redis *redis, const char *suffix)
{
    char id[ID_SIZE];
    int found = 0;
    for (const char *at = redis_ask(redis, "CLIENT", "LIST")->text; (at = next_client(at, suffix, id));) found++;
    return found;
}

int redis_cut(struct redis *redis, const char *suffix)
{
    char id[ID_SIZE];
    int found = 0;
    char *list = strdup(redis_ask(redis, "CLIENT", "LIST")->text);
    assert_non_null(list);
    for (const char *at = list; (at = next_client(at, suffix, id)); found++) redis_ask(redis, "CLIENT", "KILL", "ID", id);
    free(list);
    return found;
}

int redis_free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    return ntohs(at.sin_port);
}
