/* SPDX-License-Identifier: MIT */
#include "embed/embed.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/thread.h"
#include "embed/ask.h"
#include "embed/keeper.h"
#include "embed/lock.h"
#include "embed/place.h"

enum {
    LOOK_FIRST_MS = 2, /* embed_open() looks again after this, and ever more seldom */
    LOOK_MAX_MS = 20,
    ASK_MS = 1000,
    WATCH_FIRST_MS = 20, /* the watcher's tries to have a keeper again */
    WATCH_MAX_MS = 5000,
    BLIND_MS = 500, /* how often it looks where it cannot be told of a keeper's end */
};

struct embed {
    struct place place;
    const char *self, *search;
    int users_fd, keeper_fd;
    int report_fd; /* what the keeper we summoned has to say while it starts; -1: none, or it is done */
    int stop_fd;   /* readable: the watcher is to end */
    bool is_user, is_watched;
    pthread_t watcher;
    char url[sizeof "unix://" + 3 * PLACE_SOCKET_MAX];
};

/* ── Opening ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* What embed_open() is waiting for: for the error text when the time is over. NULL: for nothing more. */
typedef const char *lack;

static lack const lack_of[] = {
    [ASK_NOBODY] = "nothing listens on its socket yet",
    [ASK_SILENCE] = "something holds its socket and does not answer",
    [ASK_LOADING] = "it is still loading its data, which may take longer",
};

/* Does what can be done now. */
static int look(struct embed *embed, int64_t deadline_ns, lack *lacking, quern_error *err)
{
    *lacking = "the one before it is still shutting down";
    if (!embed->is_user && !(embed->is_user = lock_share(embed->users_fd))) return QUERN_OK;
    if (lock_claimant(embed->keeper_fd) < 0) {
        *lacking = "its keeper does not stay";
        if (embed->report_fd >= 0) return QUERN_OK; /* ours is on its way */
        return keeper_summon(embed->place.dir, embed->self, embed->search, &embed->report_fd, err);
    }
    int64_t ask_ns = clock_deadline_ns(clock_now_ns(), ASK_MS);
    enum ask_answer answer = ask_ping(embed->place.socket, ask_ns < deadline_ns ? ask_ns : deadline_ns);
    *lacking = answer == ASK_SERVING ? NULL : lack_of[answer];
    return QUERN_OK;
}

/* Waits a little; a keeper that fails to start is heard at once. */
static int listen_to_keeper(struct embed *embed, int wait_ms, quern_error *err)
{
    char line[sizeof err->text + 16], *text;
    struct pollfd report = {.fd = embed->report_fd, .events = POLLIN};
    if (poll(&report, 1, wait_ms) <= 0) return QUERN_OK;
    ssize_t len = read(embed->report_fd, line, sizeof line - 1); /* one write below PIPE_BUF: it comes whole */
    if (len < 0) return QUERN_OK;
    close(embed->report_fd);
    embed->report_fd = -1;
    line[len] = 0;
    line[strcspn(line, "\n")] = 0;
    int code = (int)strtol(line, &text, 10);
    return len && code > 0 ? err_set(err, code, "%s", text + (*text == ' ')) : QUERN_OK;
}

/* Is the time over, or is it not to be waited for any longer? */
static int is_over(const struct embed *embed, const struct embed_options *options, int left_ms, lack lacking, quern_error *err)
{
    if (options->goes_on && !options->goes_on(options->user, lacking))
        return err_set(err, QUERN_E_GONE, "the private server in %s is not waited for any longer", embed->place.dir);
    if (left_ms) return QUERN_OK;
    return err_set(err, QUERN_E_TIMEOUT, "the private server in %s did not serve within %lld ms: %s", embed->place.dir,
                   (long long)options->start_ms, lacking);
}

static int wait_until_serving(struct embed *embed, const struct embed_options *options, quern_error *err)
{
    lack lacking;
    int64_t deadline_ns = options->goes_on ? CLOCK_NEVER : clock_deadline_ns(clock_now_ns(), options->start_ms);
    struct backoff pace = {.first_ms = LOOK_FIRST_MS, .max_ms = LOOK_MAX_MS, .random = backoff_seed()};
    for (;;) {
        int code = look(embed, deadline_ns, &lacking, err);
        if (code || !lacking) return code;
        int wait_ms = (int)backoff_next_ms(&pace), left_ms = clock_poll_ms(deadline_ns);
        code = is_over(embed, options, left_ms, lacking, err);
        if (!code) code = listen_to_keeper(embed, left_ms > 0 && left_ms < wait_ms ? left_ms : wait_ms, err);
        if (code) return code;
    }
}

/* What means something in a URL, or is no ASCII, as %XX. */
static void write_url(struct embed *embed)
{
    char *at = stpcpy(embed->url, "unix://");
    for (const char *from = embed->place.socket; *from; from++) {
        bool is_plain = isascii((unsigned char)*from) && (isalnum((unsigned char)*from) || strchr("/-._~", *from));
        at += sprintf(at, is_plain ? "%c" : "%%%02X", (unsigned char)*from);
    }
}

static int open_files(struct embed *embed, const char *dir, quern_error *err)
{
    int code = place_open(&embed->place, dir, err);
    if (code) return code;
    embed->users_fd = lock_open(embed->place.fd, LOCK_USERS);
    embed->keeper_fd = lock_open(embed->place.fd, LOCK_KEEPER);
    embed->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (embed->users_fd < 0 || embed->keeper_fd < 0 || embed->stop_fd < 0)
        return err_set(err, QUERN_E_SERVER, "cannot open the lock files in %s: %s", embed->place.dir, strerror(errno));
    write_url(embed);
    return QUERN_OK;
}

/* ── Watching: a thread of its own ───────────────────────────────────────────────────────────────────────────────── */

/* Waits for the end of fd's process (or what fd tells), for the stop, or ms. false: it is the stop. */
static bool wait_or_stop(const struct embed *embed, int fd, int ms)
{
    struct pollfd either[] = {{.fd = embed->stop_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    poll(either, 2, ms);
    return !(either[0].revents & POLLIN);
}

/* Waits until the keeper has ended. false: the stop came. */
static bool outlive(const struct embed *embed, pid_t keeper)
{
    int fd = keeper > 0 ? pidfd_open(keeper, 0) : -1;
    bool goes_on = true;
    if (fd < 0)
        goes_on = wait_or_stop(embed, -1, BLIND_MS);
    else if (lock_claimant(embed->keeper_fd) == keeper) /* still: so the descriptor is the keeper's, not a successor's */
        goes_on = wait_or_stop(embed, fd, -1);
    if (fd >= 0) close(fd);
    return goes_on;
}

/* As long as we are a user there is a keeper: if one ends, it did not mean to. */
static void watch(void *arg)
{
    struct embed *embed = arg;
    struct backoff pace = {.first_ms = WATCH_FIRST_MS, .max_ms = WATCH_MAX_MS, .random = backoff_seed()};
    for (bool goes_on = true; goes_on;) {
        pid_t keeper = lock_claimant(embed->keeper_fd);
        if (keeper >= 0) {
            int64_t seen_ns = clock_now_ns();
            goes_on = outlive(embed, keeper);
            if (clock_now_ns() - seen_ns >= BLIND_MS * NS_PER_MS) backoff_reset(&pace);
            continue;
        }
        int code = keeper_summon(embed->place.dir, embed->self, embed->search, NULL, NULL);
        (void)code; /* the next try tells */
        goes_on = wait_or_stop(embed, -1, (int)backoff_next_ms(&pace));
    }
}

static int start_watcher(struct embed *embed, quern_error *err)
{
    int why = thread_start(&embed->watcher, ROLE_HOST, "embed", watch, embed);
    if (why) return err_set(err, QUERN_E_MEMORY, "cannot start the watcher of the private server: %s", strerror(why));
    embed->is_watched = true;
    return QUERN_OK;
}

static void stop_watcher(struct embed *embed)
{
    if (!embed->is_watched) return;
    ssize_t told = write(embed->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)told;
    pthread_join(embed->watcher, NULL);
}

/* ── The whole ───────────────────────────────────────────────────────────────────────────────────────────────────── */

struct embed *embed_open(const struct embed_options *options, quern_error *err)
{
    struct embed *embed = calloc(1, sizeof *embed);
    if (!embed) {
        err_set(err, QUERN_E_MEMORY, "no memory for the private server");
        return NULL;
    }
    embed->place.fd = embed->users_fd = embed->keeper_fd = embed->report_fd = embed->stop_fd = -1;
    embed->self = options->self;
    embed->search = options->search;
    int code = open_files(embed, options->dir, err);
    if (!code) code = wait_until_serving(embed, options, err);
    if (!code) code = start_watcher(embed, err);
    if (!code) return embed;
    embed_close(embed);
    return NULL;
}

const char *embed_url(const struct embed *embed)
{
    return embed->url;
}

void embed_close(struct embed *embed)
{
    if (!embed) return;
    stop_watcher(embed);
    /* A keeper that died this moment leaves a server that nobody would end: the one who comes finds no user, and ends it. */
    if (embed->is_watched && lock_claimant(embed->keeper_fd) < 0) {
        int code = keeper_summon(embed->place.dir, embed->self, embed->search, NULL, NULL);
        (void)code; /* if that fails too, the next start takes it over */
    }
    const int fds[] = {embed->users_fd, embed->keeper_fd, embed->report_fd, embed->stop_fd, embed->place.fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0) close(fds[i]);
    free(embed);
}
