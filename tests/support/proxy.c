/* SPDX-License-Identifier: MIT */
#include "support/proxy.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PAIRS = 32, FIRST_BYTES = 512, WORDS_SIZE = 64 };

struct pair {
    int client, server; /* -1: none */
    char first[FIRST_BYTES];
    size_t first_len;
};

struct proxy {
    int listener, stop;
    struct sockaddr_un target;
    bool has_target;
    const char *hello;
    pthread_t thread;
    pthread_mutex_t lock;
    char words[WORDS_SIZE]; /* under lock */
    int wanted;             /* under lock */
    _Atomic int swallowed, accepted;
    struct pair pairs[PAIRS];
    char bytes[65536];
};

static void end_pair(struct pair *pair)
{
    if (pair->client >= 0) close(pair->client);
    if (pair->server >= 0) close(pair->server);
    *pair = (struct pair){.client = -1, .server = -1};
}

static bool write_all(int fd, const char *bytes, size_t len)
{
    for (ssize_t n; len; bytes += n, len -= (size_t)n)
        if ((n = send(fd, bytes, len, MSG_NOSIGNAL)) <= 0) return false;
    return true;
}

static bool is_to_be_lost(struct proxy *proxy, const struct pair *pair)
{
    pthread_mutex_lock(&proxy->lock);
    bool is = proxy->wanted > 0 && memmem(pair->first, pair->first_len, proxy->words, strlen(proxy->words));
    if (is) proxy->wanted--;
    pthread_mutex_unlock(&proxy->lock);
    return is;
}

/* What the client said: remembered as long as it is the beginning, and carried on. */
static bool carry_question(struct proxy *proxy, struct pair *pair)
{
    ssize_t n = recv(pair->client, proxy->bytes, sizeof proxy->bytes, 0);
    if (n <= 0) return false;
    size_t len = (size_t)n, room = FIRST_BYTES - pair->first_len, kept = len < room ? len : room;
    bool is_first = pair->first_len == 0;
    memcpy(pair->first + pair->first_len, proxy->bytes, kept);
    pair->first_len += kept;
    if (proxy->has_target) return write_all(pair->server, proxy->bytes, len);
    return !is_first || !proxy->hello || write_all(pair->client, proxy->hello, strlen(proxy->hello));
}

static bool carry_answer(struct proxy *proxy, struct pair *pair)
{
    ssize_t n = recv(pair->server, proxy->bytes, sizeof proxy->bytes, 0);
    if (n <= 0) return false;
    if (!is_to_be_lost(proxy, pair)) return write_all(pair->client, proxy->bytes, (size_t)n);
    atomic_fetch_add(&proxy->swallowed, 1);
    return false;
}

static void accept_one(struct proxy *proxy)
{
    struct pair *pair = proxy->pairs;
    while (pair < proxy->pairs + PAIRS && pair->client >= 0) pair++;
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
    if (pair == proxy->pairs + PAIRS || client < 0) {
        if (client >= 0) close(client);
        return;
    }
    pair->client = client;
    atomic_fetch_add(&proxy->accepted, 1);
    if (!proxy->has_target) return;
    pair->server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(pair->server, (struct sockaddr *)&proxy->target, sizeof proxy->target)) end_pair(pair);
}

/* One look at all sockets. false: it is time to stop. */
static bool proxy_step(struct proxy *proxy)
{
    struct pollfd at[2 + 2 * PAIRS] = {{.fd = proxy->stop, .events = POLLIN}, {.fd = proxy->listener, .events = POLLIN}};
    for (int i = 0; i < PAIRS; i++) {
        at[2 + 2 * i] = (struct pollfd){.fd = proxy->pairs[i].client, .events = POLLIN};
        at[3 + 2 * i] = (struct pollfd){.fd = proxy->pairs[i].server, .events = POLLIN};
    }
    poll(at, 2 + 2 * PAIRS, -1);
    if (at[0].revents) return false;
    for (int i = 0; i < PAIRS; i++) {
        struct pair *pair = &proxy->pairs[i];
        bool is_open =
            (!at[2 + 2 * i].revents || carry_question(proxy, pair)) && (!at[3 + 2 * i].revents || carry_answer(proxy, pair));
        if (!is_open) end_pair(pair);
    }
    if (at[1].revents) accept_one(proxy);
    return true;
}

static void *run(void *given)
{
    while (proxy_step(given)) {}
    return NULL;
}

static bool proxy_listen(struct proxy *proxy, const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    unlink(path);
    proxy->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    proxy->stop = eventfd(0, EFD_CLOEXEC);
    return bind(proxy->listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(proxy->listener, PAIRS) == 0;
}

struct proxy *proxy_open(const char *path, const char *target, const char *hello)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);
    if (!proxy) return NULL;
    proxy->hello = hello;
    proxy->has_target = target != NULL;
    proxy->target.sun_family = AF_UNIX;
    if (target) snprintf(proxy->target.sun_path, sizeof proxy->target.sun_path, "%s", target);
    for (int i = 0; i < PAIRS; i++) proxy->pairs[i].client = proxy->pairs[i].server = -1;
    pthread_mutex_init(&proxy->lock, NULL);
    if (proxy_listen(proxy, path) && !pthread_create(&proxy->thread, NULL, run, proxy)) return proxy;
    free(proxy);
    return NULL;
}

void proxy_close(struct proxy *proxy)
{
    eventfd_write(proxy->stop, 1);
    pthread_join(proxy->thread, NULL);
    for (int i = 0; i < PAIRS; i++) end_pair(&proxy->pairs[i]);
    close(proxy->listener);
    close(proxy->stop);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}

void proxy_swallow(struct proxy *proxy, const char *words, int n)
{
    pthread_mutex_lock(&proxy->lock);
    snprintf(proxy->words, sizeof proxy->words, "%s", words);
    proxy->wanted = n;
    pthread_mutex_unlock(&proxy->lock);
}

int proxy_swallowed(const struct proxy *proxy)
{
    return atomic_load(&proxy->swallowed);
}

int proxy_accepted(const struct proxy *proxy)
{
    return atomic_load(&proxy->accepted);
}
