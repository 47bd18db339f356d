/* SPDX-License-Identifier: MIT */
#include "support/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/wait.h"

enum { PAIRS = 128, FIRST_BYTES = 512, WORDS_SIZE = 64, URL_SIZE = 160, LOOK_MS = 5 };

/* What is kept back of an answer, and goes on later. While it does, the server is not read. */
struct held {
    char *bytes;
    size_t len, gone, at_once; /* at_once: how many bytes go on after each pause */
    int pause_ms;
    int64_t due_ms;
};

struct pair {
    int client, server; /* -1: none */
    char first[FIRST_BYTES], question[FIRST_BYTES];
    size_t first_len, question_len;
    bool is_answered; /* what the client says next is another question */
    bool is_silent;
    struct held held; /* where it is silent: of a question, until proxy_release() */
};

struct proxy {
    int listener, stop;
    char url[URL_SIZE];
    struct sockaddr_un target;
    bool has_target;
    const char *hello;
    pthread_t thread;
    pthread_mutex_t lock;
    struct proxy_fault fault;                    /* under lock */
    char name[WORDS_SIZE], question[WORDS_SIZE]; /* its texts; under lock */
    _Atomic int swallowed, accepted;
    _Atomic bool is_released;
    struct pair pairs[PAIRS];
    char bytes[65536];
};

static void end_pair(struct pair *pair)
{
    if (pair->client >= 0) close(pair->client);
    if (pair->server >= 0) close(pair->server);
    free(pair->held.bytes);
    *pair = (struct pair){.client = -1, .server = -1};
}

static bool write_all(int fd, const char *bytes, size_t len)
{
    for (ssize_t n; len; bytes += n, len -= (size_t)n)
        if ((n = send(fd, bytes, len, MSG_NOSIGNAL)) <= 0) return false;
    return true;
}

/* ── faults ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool holds(const char *bytes, size_t len, const char *words)
{
    return memmem(bytes, len, words, strlen(words)) != NULL;
}

/* Does the fault meet this answer, or this question? */
static bool take_fault(struct proxy *proxy, const struct pair *pair, bool is_question, struct proxy_fault *fault)
{
    pthread_mutex_lock(&proxy->lock);
    bool is = proxy->fault.times > 0 && (proxy->fault.kind == PROXY_HOLD) == is_question &&
              holds(pair->first, pair->first_len, proxy->name) && holds(pair->question, pair->question_len, proxy->question);
    if (is) proxy->fault.times--;
    *fault = proxy->fault;
    pthread_mutex_unlock(&proxy->lock);
    return is;
}

static bool hold_back(struct pair *pair, const char *bytes, size_t len, size_t at_once, int pause_ms)
{
    pair->held = (struct held){
        .bytes = malloc(len), .len = len, .at_once = at_once, .pause_ms = pause_ms, .due_ms = wait_now_ms() + pause_ms};
    if (!pair->held.bytes) return false;
    memcpy(pair->held.bytes, bytes, len);
    return true;
}

/* false: the pair ends. */
static bool spoil(struct pair *pair, const struct proxy_fault *fault, const char *bytes, size_t len)
{
    size_t through = fault->after < len ? fault->after : len;
    if (!write_all(pair->client, bytes, through)) return false;
    bytes += through;
    len -= through;
    switch (fault->kind) {
    case PROXY_RESET:
        setsockopt(pair->client, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
        return false;
    case PROXY_SILENT:
        pair->is_silent = true;
        return true;
    case PROXY_DRIP:
        return !len || hold_back(pair, bytes, len, 1, fault->pause_ms);
    case PROXY_DELAY:
        return !len || hold_back(pair, bytes, len, len, fault->pause_ms);
    default:
        return false;
    }
}

static bool carry_held(struct pair *pair)
{
    struct held *held = &pair->held;
    size_t left = held->len - held->gone, n = held->at_once < left ? held->at_once : left;
    if (!write_all(pair->client, held->bytes + held->gone, n)) return false;
    held->gone += n;
    held->due_ms = wait_now_ms() + held->pause_ms;
    if (held->gone < held->len) return true;
    free(held->bytes);
    *held = (struct held){0};
    return true;
}

/* ── carrying ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void remember(char *to, size_t *to_len, const char *bytes, size_t len)
{
    size_t room = FIRST_BYTES - *to_len, kept = len < room ? len : room;
    memcpy(to + *to_len, bytes, kept);
    *to_len += kept;
}

/* It is under way for as long as the test wants. */
static bool hold_question(struct proxy *proxy, struct pair *pair, size_t len)
{
    pair->is_silent = true;
    bool is_held = hold_back(pair, proxy->bytes, len, len, 0);
    atomic_fetch_add(&proxy->swallowed, 1);
    return is_held;
}

static bool release_question(struct pair *pair)
{
    bool is_open = write_all(pair->server, pair->held.bytes, pair->held.len);
    free(pair->held.bytes);
    pair->held = (struct held){0};
    return is_open;
}

/* What the client said: remembered as long as it is the beginning, and carried on. */
static bool carry_question(struct proxy *proxy, struct pair *pair)
{
    struct proxy_fault fault;
    ssize_t n = recv(pair->client, proxy->bytes, sizeof proxy->bytes, 0);
    if (n <= 0) return false;
    bool is_first = pair->first_len == 0;
    if (pair->is_answered) pair->question_len = 0;
    pair->is_answered = false;
    remember(pair->first, &pair->first_len, proxy->bytes, (size_t)n);
    remember(pair->question, &pair->question_len, proxy->bytes, (size_t)n);
    if (take_fault(proxy, pair, true, &fault)) return hold_question(proxy, pair, (size_t)n);
    if (proxy->has_target) return write_all(pair->server, proxy->bytes, (size_t)n);
    return !is_first || !proxy->hello || write_all(pair->client, proxy->hello, strlen(proxy->hello));
}

static bool carry_answer(struct proxy *proxy, struct pair *pair)
{
    struct proxy_fault fault;
    ssize_t n = recv(pair->server, proxy->bytes, sizeof proxy->bytes, 0);
    if (n <= 0) return false;
    pair->is_answered = true;
    if (!take_fault(proxy, pair, false, &fault)) return write_all(pair->client, proxy->bytes, (size_t)n);
    bool is_open = spoil(pair, &fault, proxy->bytes, (size_t)n);
    if (!is_open) end_pair(pair); /* before it is counted: then it has happened */
    atomic_fetch_add(&proxy->swallowed, 1);
    return is_open;
}

static void accept_one(struct proxy *proxy)
{
    struct pair *pair = proxy->pairs;
    while (pair < proxy->pairs + PAIRS && (pair->client >= 0 || pair->server >= 0)) pair++;
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

/* The client of a half-open connection has gone: the server does not hear of it. */
static void forget_client(struct pair *pair)
{
    close(pair->client);
    pair->client = -1;
}

static void look_at(struct pollfd at[2], const struct pair *pair, int64_t *due_ms)
{
    bool is_holding = pair->held.bytes != NULL;
    at[0] = (struct pollfd){.fd = pair->client, .events = pair->is_silent ? POLLRDHUP : POLLIN};
    at[1] = (struct pollfd){.fd = pair->is_silent || is_holding ? -1 : pair->server, .events = POLLIN};
    int64_t held_ms = pair->is_silent ? wait_now_ms() + LOOK_MS : pair->held.due_ms;
    if (is_holding && held_ms < *due_ms) *due_ms = held_ms;
}

static void carry(struct proxy *proxy, struct pair *pair, const struct pollfd at[2], int64_t now_ms)
{
    if (pair->is_silent) {
        if (at[0].revents) forget_client(pair);
        if (pair->held.bytes && atomic_load(&proxy->is_released) && !release_question(pair)) end_pair(pair);
        return;
    }
    bool is_open = !at[0].revents || carry_question(proxy, pair);
    if (is_open && at[1].revents) is_open = carry_answer(proxy, pair);
    bool is_due = pair->held.bytes && !pair->is_silent && pair->held.due_ms <= now_ms;
    if (is_open && is_due) is_open = carry_held(pair);
    if (!is_open) end_pair(pair);
}

/* One look at all sockets. false: it is time to stop. */
static bool proxy_step(struct proxy *proxy)
{
    struct pollfd at[2 + 2 * PAIRS] = {{.fd = proxy->stop, .events = POLLIN}, {.fd = proxy->listener, .events = POLLIN}};
    int64_t due_ms = INT64_MAX, now_ms = wait_now_ms();
    for (int i = 0; i < PAIRS; i++) look_at(at + 2 + 2 * i, &proxy->pairs[i], &due_ms);
    int wait_ms = due_ms == INT64_MAX ? -1 : due_ms > now_ms ? (int)(due_ms - now_ms) : 0;
    poll(at, 2 + 2 * PAIRS, wait_ms);
    if (at[0].revents) return false;
    now_ms = wait_now_ms();
    for (int i = 0; i < PAIRS; i++) carry(proxy, &proxy->pairs[i], at + 2 + 2 * i, now_ms);
    if (at[1].revents) accept_one(proxy);
    return true;
}

static void *run(void *given)
{
    while (proxy_step(given)) {}
    return NULL;
}

/* ── opening ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool listen_on_path(struct proxy *proxy, const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    snprintf(proxy->url, sizeof proxy->url, "unix://%s", path);
    unlink(path);
    proxy->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return bind(proxy->listener, (struct sockaddr *)&at, sizeof at) == 0;
}

static bool listen_on_port(struct proxy *proxy)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(proxy->listener, (struct sockaddr *)&at, size)) return false;
    if (getsockname(proxy->listener, (struct sockaddr *)&at, &size)) return false;
    snprintf(proxy->url, sizeof proxy->url, "redis://127.0.0.1:%d", ntohs(at.sin_port));
    return true;
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
    proxy->stop = eventfd(0, EFD_CLOEXEC);
    bool is_bound = path ? listen_on_path(proxy, path) : listen_on_port(proxy);
    if (is_bound && !listen(proxy->listener, PAIRS) && !pthread_create(&proxy->thread, NULL, run, proxy)) return proxy;
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

const char *proxy_url(const struct proxy *proxy)
{
    return proxy->url;
}

void proxy_fault(struct proxy *proxy, const struct proxy_fault *fault)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->fault = fault ? *fault : (struct proxy_fault){0};
    snprintf(proxy->name, sizeof proxy->name, "%s", fault ? fault->name : "");
    snprintf(proxy->question, sizeof proxy->question, "%s", fault && fault->question ? fault->question : "");
    pthread_mutex_unlock(&proxy->lock);
}

void proxy_release(struct proxy *proxy)
{
    atomic_store(&proxy->is_released, true);
}

void proxy_swallow(struct proxy *proxy, const char *name, int n)
{
    proxy_fault(proxy, &(struct proxy_fault){.name = name, .times = n});
}

int proxy_swallowed(const struct proxy *proxy)
{
    return atomic_load(&proxy->swallowed);
}

int proxy_accepted(const struct proxy *proxy)
{
    return atomic_load(&proxy->accepted);
}
