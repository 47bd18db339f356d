/* SPDX-License-Identifier: MIT */

/* proof/proxy: a socket before the server, which spoils what it carries, by its own seeded dice.
 *
 *     proxy FOLDER NUMBER INSTANCE PER_S
 *
 * Idea       one thread carries bytes between pairs of sockets. PER_S times a second a fault is thrown at one of them. What it
 *            keeps back of an answer waits in the pair, and while it does the other side is not read: that is a full pipe to who
 *            sends.
 * Invariant  bytes are never changed, and never carried out of order: only late, in pieces, or not at all to the end.
 * Threads    one.
 * Never      throws anything once the plan is calm; what is thrown then ends. */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proof/faults.h"
#include "proof/history.h"
#include "proof/plan.h"

enum { PAIRS = 200, BUFFER = 65536, NO_FAULT = FAULTS };

/* One direction of a pair. */
struct lane {
    int from, to;
    size_t len, gone; /* in bytes, and how many of them went on */
    uint64_t due_ns;  /* what is in bytes goes on from then on */
    char bytes[BUFFER];
};

struct pair {
    struct lane ask, answer; /* ask.from: the client, -1: no pair */
    int fault;
    uint64_t until_ns, step_ns;
    size_t at_once, after; /* of FAULT_CUT: so many bytes come through */
    bool is_mute;          /* half-open */
};

static struct plan *plan;
static struct sockaddr_un server;
static struct pair pairs[PAIRS];
static uint64_t random_state, partition_ns;

static uint64_t dice(uint64_t sides)
{
    static uint64_t thrown;
    return plan_mix(random_state, thrown++) % sides;
}

static void end_pair(struct pair *pair)
{
    if (pair->ask.from >= 0) close(pair->ask.from);
    if (pair->ask.to >= 0) close(pair->ask.to);
    pair->ask.from = pair->ask.to = pair->answer.from = pair->answer.to = -1;
    pair->ask.len = pair->ask.gone = pair->answer.len = pair->answer.gone = 0;
    pair->ask.due_ns = pair->answer.due_ns = 0;
    pair->fault = NO_FAULT;
    pair->is_mute = false;
}

static bool is_open(const struct pair *pair)
{
    return pair->ask.from >= 0 || pair->ask.to >= 0;
}

/* ── throwing ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void throw_at(struct pair *pair, int fault, uint64_t now_ns)
{
    static const uint64_t ms = 1000000;
    uint64_t lasts_ms = 20 + dice(plan->lease_ms);
    pair->fault = fault;
    pair->until_ns = now_ns + lasts_ms * ms;
    pair->step_ns = fault == FAULT_THROTTLE ? 2 * ms : fault == FAULT_SPLIT ? 50000 : (1 + dice(60)) * ms;
    pair->at_once = fault == FAULT_THROTTLE ? 1 + dice(512) : fault == FAULT_SPLIT ? 1 : BUFFER;
    pair->after = dice(2) ? dice(40) : dice(4000);
    pair->is_mute = fault == FAULT_SILENT;
    HISTORY(.kind = RECORD_FAULT, .letter = (uint8_t)fault, .entry_ms = lasts_ms);
    if (fault == FAULT_RESET) end_pair(pair);
}

static void throw_one(uint64_t now_ns)
{
    if (dice(40) == 0) {
        uint64_t lasts_ms = 50 + dice(2 * plan->lease_ms);
        partition_ns = now_ns + lasts_ms * 1000000;
        HISTORY(.kind = RECORD_FAULT, .letter = FAULT_PARTITION, .entry_ms = lasts_ms);
        return;
    }
    for (uint64_t i = 0, at = dice(PAIRS); i < PAIRS; i++) {
        struct pair *pair = &pairs[(at + i) % PAIRS];
        if (!is_open(pair) || pair->fault != NO_FAULT) continue;
        throw_at(pair, (int)dice(FAULT_PARTITION), now_ns);
        return;
    }
}

/* Its time is over. Half-open ones stay so until their client goes: that is the fault. */
static void see_time(struct pair *pair, uint64_t now_ns)
{
    bool lasts = pair->fault == FAULT_DELAY || pair->fault == FAULT_THROTTLE || pair->fault == FAULT_SPLIT;
    if (lasts && (now_ns >= pair->until_ns || plan->is_calm)) pair->fault = NO_FAULT;
    if (plan->is_calm && !lasts && pair->fault != NO_FAULT) end_pair(pair);
}

/* ── carrying ────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* false: the pair ends. */
static bool take(struct lane *lane)
{
    ssize_t n = recv(lane->from, lane->bytes, BUFFER, 0);
    if (n <= 0) return false;
    lane->len = (size_t)n;
    lane->gone = 0;
    return true;
}

static bool give(struct lane *lane, size_t at_once)
{
    size_t left = lane->len - lane->gone, n = left < at_once ? left : at_once;
    ssize_t sent = send(lane->to, lane->bytes + lane->gone, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return false;
    lane->gone += (size_t)sent;
    if (lane->gone == lane->len) lane->gone = lane->len = 0;
    return true;
}

/* What has just been read, where a fault waits for it. false: the pair ends. */
static bool meet(struct pair *pair, struct lane *lane)
{
    bool is_answer = lane == &pair->answer;
    if (pair->fault == FAULT_UNSENT && !is_answer) return false;
    if (pair->fault == FAULT_UNHEARD && is_answer) return false;
    if (pair->fault == FAULT_CUT && is_answer) {
        if (lane->len > pair->after) lane->len = pair->after;
        if (lane->len) (void)give(lane, lane->len);
        return false;
    }
    return true;
}

static bool carry(struct pair *pair, struct lane *lane, short in, short out, uint64_t now_ns)
{
    if (in && !lane->len) {
        if (!take(lane) || !meet(pair, lane)) return false;
        lane->due_ns = now_ns + plan->latency_us * UINT64_C(1000) + (pair->fault == FAULT_DELAY ? pair->step_ns : 0);
        out = POLLOUT;
    }
    if (!lane->len || !out || now_ns < lane->due_ns) return true;
    if (out & (POLLERR | POLLHUP)) return false;
    bool is_slow = pair->fault == FAULT_THROTTLE || (pair->fault == FAULT_SPLIT && lane == &pair->answer);
    if (is_slow) lane->due_ns = now_ns + pair->step_ns;
    return give(lane, is_slow ? pair->at_once : BUFFER);
}

static void carry_pair(struct pair *pair, const struct pollfd at[2], uint64_t now_ns)
{
    if (!is_open(pair)) return;
    if (pair->is_mute) {
        if (at[0].revents & (POLLHUP | POLLERR | POLLRDHUP)) { /* the server does not hear of it before it is calm */
            close(pair->ask.from);
            pair->ask.from = pair->answer.to = -1;
        }
        return;
    }
    short in = POLLIN | POLLHUP | POLLERR;
    bool goes_on = carry(pair, &pair->ask, at[0].revents & in, at[1].revents & ~in, now_ns) &&
                   carry(pair, &pair->answer, at[1].revents & in, at[0].revents & ~in, now_ns);
    if (!goes_on) end_pair(pair);
}

/* Whom to look at, and how long at most. */
static void look_at(struct pollfd at[2], const struct pair *pair, uint64_t now_ns, uint64_t *wake_ns)
{
    at[0] = (struct pollfd){.fd = pair->ask.from};
    at[1] = (struct pollfd){.fd = pair->ask.to};
    if (pair->is_mute) {
        at[0].events = POLLRDHUP;
        at[1].fd = -1;
        return;
    }
    const struct lane *lanes[2] = {&pair->ask, &pair->answer};
    for (int i = 0; i < 2; i++) {
        const struct lane *lane = lanes[i];
        if (!lane->len) at[i].events |= POLLIN;
        if (lane->len && lane->due_ns <= now_ns) at[1 - i].events |= POLLOUT;
        if (lane->len && lane->due_ns > now_ns && lane->due_ns < *wake_ns) *wake_ns = lane->due_ns;
    }
    /* One that hangs up while its bytes wait would be reported again and again. */
    for (int i = 0; i < 2; i++)
        if (!at[i].events) at[i].fd = -1;
}

static void accept_one(int listener)
{
    struct pair *pair = pairs;
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) return;
    while (pair < pairs + PAIRS && is_open(pair)) pair++;
    int fd = pair == pairs + PAIRS ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server)) {
        if (fd >= 0) close(fd);
        close(client);
        return;
    }
    end_pair(pair);
    pair->ask.from = pair->answer.to = client;
    pair->ask.to = pair->answer.from = fd;
}

static void step(int listener, uint64_t next_ns)
{
    struct pollfd at[1 + 2 * PAIRS] = {{.fd = listener, .events = POLLIN}};
    struct timespec wait;
    uint64_t now_ns = history_now_ns(), wake_ns = next_ns < now_ns + 20000000 ? next_ns : now_ns + 20000000;
    bool is_parted = now_ns < partition_ns && !plan->is_calm;
    for (int i = 0; i < PAIRS; i++) {
        struct pollfd *both = at + 1 + 2 * i;
        both[0].fd = both[1].fd = -1;
        if (!is_open(&pairs[i])) continue;
        see_time(&pairs[i], now_ns);
        if (!is_parted) look_at(both, &pairs[i], now_ns, &wake_ns);
    }
    uint64_t left_ns = wake_ns > now_ns ? wake_ns - now_ns : 0;
    wait = (struct timespec){(time_t)(left_ns / 1000000000), (long)(left_ns % 1000000000)};
    if (is_parted) at[0].fd = -1;
    ppoll(at, 1 + 2 * PAIRS, &wait, NULL);
    now_ns = history_now_ns();
    for (int i = 0; i < PAIRS && !is_parted; i++) carry_pair(&pairs[i], at + 1 + 2 * i, now_ns);
    if (at[0].revents) accept_one(listener);
}

static int listen_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, PAIRS) ? -1 : fd;
}

int main(int argc, char **argv)
{
    char path[104];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 5 || !(plan = plan_map(argv[1], false)) ||
        !history_open(argv[1], 'p', (unsigned)atoi(argv[2]), (unsigned)atoi(argv[3])))
        return fprintf(stderr, "proxy FOLDER NUMBER INSTANCE PER_S\n"), 2;
    double per_s = atof(argv[4]);
    server.sun_family = AF_UNIX;
    snprintf(server.sun_path, sizeof server.sun_path, "%s/redis", argv[1]);
    snprintf(path, sizeof path, "%s/proxy", argv[1]);
    random_state = plan_mix(plan->seed, 77);
    for (int i = 0; i < PAIRS; i++) {
        pairs[i].ask.from = pairs[i].ask.to = -1;
        end_pair(&pairs[i]);
    }
    int listener = listen_at(path);
    if (listener < 0) return perror(path), 2;
    for (uint64_t next_ns = history_now_ns();;) {
        step(listener, next_ns);
        uint64_t now_ns = history_now_ns();
        if (now_ns < next_ns) continue;
        next_ns = per_s > 0 ? now_ns + dice((uint64_t)(2e9 / per_s)) : UINT64_MAX;
        if (!plan->is_calm && per_s > 0) throw_one(now_ns);
    }
}
