/* SPDX-License-Identifier: MIT */
#include "nth/seam.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

ssize_t __real_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __real_recv(int fd, void *bytes, size_t len, int flags);
int __real_poll(struct pollfd *at, nfds_t count, int timeout_ms);
int __real_close(int fd);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t len, int flags);
int __wrap_poll(struct pollfd *at, nfds_t count, int timeout_ms);
int __wrap_close(int fd);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

enum { FDS = 1024, IN_BYTES = 16 * 1024, NOT_YET = -1, READ_AT = 40 };
enum { SLICE_MS = 2, LEAP_MS = 40, LEAPS_MS = 6000, PAST_DEADLINE_MS = 5300, SLOW_MS = 300 };

/* A connection of the library's. */
struct line {
    enum seam_role role;
    long asked, answered; /* questions of which an answer is to come, and answers */
    long in_flight;       /* of these, those that Redis is at: reads may wait */
    long struck;          /* the question that meets the fault; NOT_YET: none does */
    bool is_mute, is_in_multi;
    size_t len, told; /* of in: how much has come, how much was handed on */
    char in[IN_BYTES];
};

static struct {
    enum seam_role role;
    unsigned nth;
    const struct seam_kind *kind;
    _Atomic bool has_struck;
    _Atomic unsigned asked[SEAM_ROLES];
    _Atomic long in_flight;                       /* questions that Redis is at, but for reads, which may wait */
    _Atomic int64_t ahead_ns, leapt_ns, leaps_ms; /* leapt: when, by the real clock */
    struct line *lines[FDS], places[FDS];         /* each its owner's; no memory is asked for here: that is counted elsewhere */
} seam;

const char *const seam_roles[SEAM_ROLES] = {"dispatcher", "settler", "heartbeat", "reaper", "publisher"};

void seam_arm(enum seam_role role, unsigned nth, const struct seam_kind *kind)
{
    seam.role = role;
    seam.nth = nth;
    seam.kind = kind;
    atomic_store(&seam.has_struck, false);
    atomic_store(&seam.leaps_ms, 0);
    for (int i = 0; i < SEAM_ROLES; i++) atomic_store(&seam.asked[i], 0);
}

bool seam_has_struck(void)
{
    return atomic_load(&seam.has_struck);
}

void seam_strike(void)
{
    atomic_store(&seam.has_struck, true);
}

unsigned seam_asked(enum seam_role role)
{
    return atomic_load(&seam.asked[role]);
}

/* ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

void seam_jump(int64_t ms)
{
    atomic_fetch_add(&seam.ahead_ns, ms * 1000000);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int code = __real_clock_gettime(clock, now);
    if (clock != CLOCK_BOOTTIME && clock != CLOCK_MONOTONIC) return code;
    int64_t ns = now->tv_nsec + atomic_load(&seam.ahead_ns);
    now->tv_sec += ns / 1000000000;
    now->tv_nsec = ns % 1000000000;
    return code;
}

static int64_t now_ns(bool is_real)
{
    struct timespec now;
    (is_real ? __real_clock_gettime : __wrap_clock_gettime)(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Somebody has waited in vain for a slice: one leap for all who do. Not while Redis is at an answer: it is not its fault that the machine is busy. Not for ever: to a clock that runs away from Redis's, and does not
 * stop doing so, no lease is ever over. */
static void leap(void)
{
    if (atomic_load(&seam.in_flight) > 0) return;
    int64_t real_ns = now_ns(true), last_ns = atomic_load(&seam.leapt_ns);
    if (real_ns - last_ns < SLICE_MS * 1000000 || atomic_load(&seam.leaps_ms) >= LEAPS_MS) return;
    if (!atomic_compare_exchange_strong(&seam.leapt_ns, &last_ns, real_ns)) return;
    atomic_fetch_add(&seam.leaps_ms, LEAP_MS);
    seam_jump(LEAP_MS);
}

int __wrap_poll(struct pollfd *at, nfds_t count, int timeout_ms)
{
    int64_t end_ns = now_ns(false) + timeout_ms * INT64_C(1000000);
    for (;;) {
        int64_t left_ms = timeout_ms < 0 ? SLICE_MS : (end_ns - now_ns(false) + 999999) / 1000000;
        if (left_ms < 0) left_ms = 0;
        int n = __real_poll(at, count, left_ms < SLICE_MS ? (int)left_ms : SLICE_MS);
        if (n) return n;
        if (timeout_ms >= 0 && now_ns(false) >= end_ns) return 0;
        leap();
    }
}

/* ── what was asked ──────────────────────────────────────────────────────────────────────────────────────────────── */

static struct line *line_of(int fd)
{
    return fd >= 0 && fd < FDS ? seam.lines[fd] : NULL;
}

/* The number behind the type, and what is behind its line. */
static long long number_of(const char *at, const char **next)
{
    long long number = 0;
    bool is_negative = *++at == '-';
    for (at += is_negative; *at >= '0' && *at <= '9'; at++) number = number * 10 + *at - '0';
    while (*at != '\n') at++;
    *next = at + 1;
    return is_negative ? -number : number;
}

/* The end of a question in the library's own words, which are whole: "*2\r\n$3\r\n…". */
static const char *question_end(const char *at)
{
    for (long long words = number_of(at, &at), len; words > 0; words--) {
        len = number_of(at, &at);
        at += len + 2;
    }
    return at;
}

/* The first thing that a connection says (behind its login) is who it is. */
static void introduce(int fd, const char *bytes, size_t len)
{
    static const char words[] = "SETNAME\r\n$";
    const char *name = memmem(bytes, len, words, sizeof words - 1), *end = bytes + len;
    if (!name || fd >= FDS) return;
    const char *stop = memmem(name + sizeof words, (size_t)(end - name) - sizeof words, "\r\n", 2);
    stop = memmem(stop + 2, (size_t)(end - stop) - 2, "\r\n", 2);
    for (int role = 0; role < SEAM_ROLES; role++) {
        size_t size = strlen(seam_roles[role]);
        if (memcmp(stop - size, seam_roles[role], size)) continue;
        struct line *line = seam.lines[fd] = &seam.places[fd];
        line->role = (enum seam_role)role;
        line->asked = line->answered = line->in_flight = 0;
        line->struck = NOT_YET;
        line->is_mute = line->is_in_multi = false;
        line->len = line->told = 0;
    }
}

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = __real_send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
        if (n < 0) __real_poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static void count_in_flight(struct line *line, long more)
{
    line->in_flight += more;
    atomic_fetch_add(&seam.in_flight, more);
}

/* Nothing more is carried. */
static void mute(struct line *line)
{
    count_in_flight(line, -line->in_flight);
    line->is_mute = true;
}

static void end_line(int fd, struct line *line)
{
    mute(line);
    shutdown(fd, SHUT_RDWR);
}

/* All that was asked before is answered: now the fault is what is next. */
static void strike_unasked(int fd, struct line *line)
{
    if (line->is_mute || line->struck == NOT_YET || line->answered != line->struck) return;
    if (seam.kind->how == SEAM_END_BEFORE) end_line(fd, line);
    if (seam.kind->how != SEAM_MUTE_BEFORE) return;
    mute(line);
    seam_jump(PAST_DEADLINE_MS);
}

#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC  "*1\r\n$4\r\nEXEC\r\n"

static bool starts_with(const char *bytes, size_t len, const char *words)
{
    return len >= strlen(words) && !memcmp(bytes, words, strlen(words));
}

/* What is asked in place of a question that Redis is to have refused: in a transaction that is over then, as it would be. */
static const char *refusal(const struct line *line, const char *question)
{
    if (!line->is_in_multi) return "*1\r\n$4\r\nPING\r\n";
    return starts_with(question, strlen(EXEC), EXEC) ? "*1\r\n$7\r\nDISCARD\r\n" : "*1\r\n$7\r\nREFUSED\r\n";
}

/* One question goes on, or, if the fault is to be in its place, a harmless one, or none. */
static bool ask(int fd, struct line *line, const char *bytes, size_t len)
{
    bool is_struck =
        atomic_fetch_add(&seam.asked[line->role], 1) == seam.nth && seam.kind && line->role == seam.role && !line->is_mute;
    bool is_silent = line->struck != NOT_YET && (seam.kind->how == SEAM_END_BEFORE || seam.kind->how == SEAM_MUTE_BEFORE);
    if (is_silent || line->is_mute) return true; /* behind what was never asked */
    if (is_struck) {
        line->struck = line->asked;
        atomic_store(&seam.has_struck, true);
        if (seam.kind->how == SEAM_SLOW) seam_jump(SLOW_MS);
        if (seam.kind->how == SEAM_END_BEFORE || seam.kind->how == SEAM_MUTE_BEFORE) return true;
    }
    line->asked++;
    if (!memmem(bytes, len < READ_AT ? len : READ_AT, "XREADGROUP", 10)) count_in_flight(line, 1);
    const char *instead = is_struck && seam.kind->how == SEAM_SAY_BEFORE ? refusal(line, bytes) : NULL;
    if (starts_with(bytes, len, MULTI)) line->is_in_multi = !instead;
    if (starts_with(bytes, len, EXEC)) line->is_in_multi = false;
    return send_all(fd, instead ? instead : bytes, instead ? strlen(instead) : len);
}

ssize_t __wrap_send(int fd, const void *given, size_t len, int flags)
{
    const char *bytes = given, *end = bytes + len;
    if (!line_of(fd)) introduce(fd, bytes, len);
    struct line *line = line_of(fd);
    if (!line) return __real_send(fd, given, len, flags);
    for (const char *at = bytes, *next; at < end; at = next) {
        next = question_end(at);
        if (!ask(fd, line, at, (size_t)(next - at))) return -1;
    }
    strike_unasked(fd, line);
    return (ssize_t)len;
}

/* ── what is answered ────────────────────────────────────────────────────────────────────────────────────────────── */

/* Behind an answer; NULL: it is not whole yet. */
static const char *answer_end(const char *at, const char *end)
{
    const char *next;
    const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
    if (!line_end) return NULL;
    if (*at != '$' && *at != '*') return line_end + 2;
    long long number = number_of(at, &next);
    if (*at == '$' && number >= 0) return end - next >= number + 2 ? next + number + 2 : NULL;
    for (; *at == '*' && number > 0 && next; number--) next = next < end ? answer_end(next, end) : NULL;
    return next;
}

/* What the library gets instead of an answer. */
static size_t strike(int fd, struct line *line, char *to, const char *answer, size_t len)
{
    const struct seam_kind *kind = seam.kind;
    size_t cut = kind->cut > 0 ? (size_t)kind->cut : kind->cut < 0 ? len - (size_t)-kind->cut : len / 2;
    switch (kind->how) {
    case SEAM_CUT:
        memcpy(to, answer, cut);
        end_line(fd, line);
        return cut;
    case SEAM_END_AFTER:
        end_line(fd, line);
        return 0;
    case SEAM_MUTE_AFTER:
        mute(line);
        seam_jump(PAST_DEADLINE_MS);
        return 0;
    case SEAM_SAY_BEFORE:
    case SEAM_SAY_AFTER:
        memcpy(to, kind->bytes, kind->len);
        return kind->len;
    default:
        memcpy(to, answer, len);
        return len;
    }
}

/* Whole answers, as many as have come. They are few and small here: all of them fit. */
static size_t take(int fd, struct line *line, char *to, size_t size)
{
    const char *end = line->in + line->len;
    size_t taken = 0;
    while (!line->is_mute && line->told < line->len) {
        const char *answer = line->in + line->told, *next = answer_end(answer, end);
        if (!next) break;
        size_t len = (size_t)(next - answer);
        if (taken + len + 1024 > size) abort();
        line->answered++;
        if (line->in_flight) count_in_flight(line, -1);
        if (line->answered - 1 == line->struck) {
            taken += strike(fd, line, to + taken, answer, len);
        } else {
            memcpy(to + taken, answer, len);
            taken += len;
        }
        line->told += len;
    }
    if (line->told == line->len) line->told = line->len = 0;
    strike_unasked(fd, line);
    return taken;
}

ssize_t __wrap_recv(int fd, void *bytes, size_t len, int flags)
{
    struct line *line = line_of(fd);
    if (!line) return __real_recv(fd, bytes, len, flags);
    memmove(line->in, line->in + line->told, line->len - line->told);
    line->len -= line->told;
    line->told = 0;
    ssize_t n = __real_recv(fd, line->in + line->len, sizeof line->in - line->len, flags);
    if (n <= 0) return n;
    if (line->is_mute) return errno = EAGAIN, -1;
    line->len += (size_t)n;
    size_t taken = take(fd, line, bytes, len);
    if (taken) return (ssize_t)taken;
    return errno = EAGAIN, -1; /* a connection that has ended says so at the next look */
}

int __wrap_close(int fd)
{
    struct line *line = line_of(fd);
    if (line) mute(line);
    if (line) seam.lines[fd] = NULL;
    return __real_close(fd);
}
