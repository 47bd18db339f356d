/* SPDX-License-Identifier: MIT */

/* tests/support/redis: a redis-server of the test's own, on a unix socket in a temporary folder.
 * Idea       a child that dies with the test; ended by pidfd, so never anybody else. redis-server is taken from PATH, else
 *            redis-check-rdb under that name, which is the same program; $REDIS_SERVER (a path) goes before both.
 * Threads    the test's own. */
#ifndef QUERN_TESTS_SUPPORT_REDIS_H
#define QUERN_TESTS_SUPPORT_REDIS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "support/client.h"

struct redis_options {
    bool has_aof; /* each write is on disk before its answer */
    const char *password;
    const char *program;     /* its path; NULL: as above */
    const char *const *more; /* arguments up to NULL, lent; NULL: none */
    const char
        *sentinel; /* the lines of a sentinel's configuration, lent: it is one, and takes none of the above; NULL: a server */
    const char *clockstep; /* the library tests/support/clockstep: its wall clock can be stepped; NULL: it cannot */
};

struct redis {
    struct redis_options options;
    char dir[64], socket[96], url[112];
    pid_t pid;
    int pidfd;
    struct resp *client;
    _Atomic int64_t *clock_ns; /* how far its wall clock is ahead; shared with it */
};

/* Starts one and waits until it answers. options may be NULL. */
void redis_start(struct redis *redis, const struct redis_options *options);

/* kill -9, and waits for its end; redis_again() starts it anew on the same folder, redis_launch() without waiting until it answers. */
void redis_kill(struct redis *redis);
void redis_again(struct redis *redis);
void redis_launch(struct redis *redis);

/* A connection of the test's own anew: the old one was closed, as those to a server that changes its role are. */
void redis_rejoin(struct redis *redis);

/* Steps its wall clock; negative: back. */
void redis_step(struct redis *redis, long long ms);

/* Ends it, if it runs, and removes its folder. */
void redis_end(struct redis *redis);

/* A port of this machine that nobody listens on at the moment: for the nodes of a Cluster, which must have one. */
int redis_free_port(void);

/* Questions in words up to NULL: the answer, or only its number (the length of a list; -1: an error). */
#define redis_ask(redis, ...)    resp_ask((redis)->client, __VA_ARGS__, (char *)NULL)
#define redis_number(redis, ...) answer_number(redis_ask(redis, __VA_ARGS__))
long long answer_number(const struct answer *answer);

/* How many entries are pending in a group; -1: there is no such group. */
long long redis_pending(struct redis *redis, const char *stream, const char *group);

/* Calls of a command ("xreadgroup") so far, or of all commands (NULL), by INFO commandstats. */
long long redis_calls(struct redis *redis, const char *command);

/* A number that INFO tells ("stats", "total_connections_received"; "errorstats", "errorstat_OOM:count"); -1: it does not. */
long long redis_info(struct redis *redis, const char *section, const char *name);

/* Closes the connections whose name ends in suffix (":dispatcher"); returns how many there were. */
int redis_cut(struct redis *redis, const char *suffix);

/* The id of the first connection whose name ends in suffix. False: there is none. */
bool redis_client(struct redis *redis, const char *suffix, char id[24]);

/* How many connections have a name that ends in suffix. */
int redis_clients(struct redis *redis, const char *suffix);

#endif
