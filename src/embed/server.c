/* SPDX-License-Identifier: MIT */
#include "embed/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "embed/launch.h"

enum { LOG_MAX_BYTES = 1 << 20 };

static const struct {
    const char *file, *name;
} programs[] = {
    {"redis-server", "redis-server"},
    {"valkey-server", "valkey-server"},
    {"redis-check-rdb", "redis-server"},
    {"valkey-check-rdb", "valkey-server"},
};

static bool is_program(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* Relative directories of a PATH are passed over: where we happen to be is no place to take a program from. */
static bool find_in(char path[PATH_MAX], const char *dirs, const char *file)
{
    for (const char *at = dirs; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
        int len = snprintf(path, PATH_MAX, "%.*s/%s", (int)strcspn(at, ":"), at, file);
        if (*at == '/' && len < PATH_MAX && is_program(path)) return true;
    }
    return false;
}

int server_find(struct server_program *program, const char *search, quern_error *err)
{
    const char *env = getenv("PATH"), *usual = "/usr/local/bin:/usr/bin";
    for (size_t i = 0; i < COUNT_OF(programs); i++) {
        program->name = programs[i].name;
        if (find_in(program->path, search ? search : env, programs[i].file)) return QUERN_OK;
        if (!search && find_in(program->path, usual, programs[i].file)) return QUERN_OK;
    }
    return err_set(err, QUERN_E_CONFIG,
                   "found no redis-server or valkey-server in %.200s: install the Debian package redis-tools (it has one, and "
                   "starts no service), or name a Redis of your own with --redis URL",
                   search ? search : "PATH or /usr/bin");
}

int server_start(const struct server_program *program, const struct place *place, int lock_fd, int log_fd, pid_t *pid,
                 quern_error *err)
{
    /* Its log is its standard output, so that an early complaint about its own arguments lands there too. No RDB: the AOF
     * alone is read at start, and a SHUTDOWN then writes nothing but what the AOF still lacks. Synced always: with everysec the
     * server holds back writes while a sync runs, for up to two seconds, and a kill -9 then loses what it has acknowledged. */
    const char *const argv[] = {program->name,
                                "--port",
                                "0",
                                "--unixsocket",
                                place->socket,
                                "--unixsocketperm",
                                "700",
                                "--dir",
                                place->dir,
                                "--appendonly",
                                "yes",
                                "--appendfsync",
                                "always",
                                "--aof-load-truncated",
                                "yes",
                                "--save",
                                "",
                                "--maxmemory-policy",
                                "noeviction",
                                "--daemonize",
                                "no",
                                "--supervised",
                                "no",
                                NULL};
    int why = launch(pid, program->path, argv, (const int[]){-1, log_fd, log_fd, lock_fd}, 4);
    if (!why) return QUERN_OK;
    return err_set(err, QUERN_E_SERVER, "cannot start %s: %s", program->path, strerror(why));
}

int server_log_open(const struct place *place)
{
    struct stat status;
    int fd = openat(place->fd, PLACE_LOG, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && fstat(fd, &status) == 0 && status.st_size > LOG_MAX_BYTES && ftruncate(fd, 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

void server_log_last(int log_fd, char line[SERVER_LINE_SIZE])
{
    struct stat status;
    char tail[1024];
    off_t from = fstat(log_fd, &status) || status.st_size < (off_t)sizeof tail ? 0 : status.st_size - (off_t)sizeof tail + 1;
    ssize_t len = pread(log_fd, tail, sizeof tail - 1, from);
    while (len > 0 && tail[len - 1] <= ' ') len--;
    tail[len < 0 ? 0 : len] = 0;
    const char *newline = strrchr(tail, '\n');
    snprintf(line, SERVER_LINE_SIZE, "%.*s", SERVER_LINE_SIZE - 1, newline ? newline + 1 : tail);
}
