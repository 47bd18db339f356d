/* SPDX-License-Identifier: MIT */

/* pool/host: quern_run(), for programs that want nothing but a pool. Signals are read from a descriptor, so no handler is installed
 * and nothing global is kept. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "pool/pool.h"

enum { ECHO_MS = 100 };

/* Waits for a signal or the pool's end. Was it a signal? */
static bool wait_signal(int signals, const quern_pool *pool, int64_t deadline_ns)
{
    struct pollfd at[] = {{.fd = signals, .events = POLLIN}, {.fd = pool_ended_fd(pool), .events = POLLIN}};
    struct signalfd_siginfo which;
    while (poll(at, 2, clock_poll_ms(deadline_ns)) < 0 && errno == EINTR) continue;
    return at[0].revents && read(signals, &which, sizeof which) == (ssize_t)sizeof which;
}

static int end(quern_pool *pool, int signals, int64_t drain_ms, quern_error *err)
{
    struct signalfd_siginfo which;
    quern_pool_stop(pool);
    /* One wish to stop may come as two signals, to us and to our group: what follows within a moment belongs to the first. */
    poll(&(struct pollfd){.fd = pool_ended_fd(pool), .events = POLLIN}, 1, ECHO_MS);
    while (read(signals, &which, sizeof which) > 0) continue;
    if (wait_signal(signals, pool, clock_deadline_ns(clock_now_ns(), drain_ms)))
        return err_set(err, QUERN_E_BUSY, "a second signal came before the pool had stopped");
    int code = quern_pool_join(pool, 0, err);
    return code ? code : quern_pool_free(pool);
}

static int run(const quern_config *config, const sigset_t *set, quern_error *err)
{
    int signals = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0) return err_set(err, QUERN_E_MEMORY, "no file descriptor for signals: is there a limit on open files?");
    quern_pool *pool = quern_pool_start(config, err);
    int code = QUERN_E_CONNECT;
    if (pool) {
        wait_signal(signals, pool, CLOCK_NEVER);
        code = end(pool, signals, config->drain_ms, err);
    } else if (err) {
        code = err->code;
    }
    close(signals);
    return code;
}

int quern_run(const quern_config *config, quern_error *err)
{
    quern_error own;
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    int failed = pthread_sigmask(SIG_BLOCK, &set, &before);
    if (failed) return err_set(err, QUERN_E_ARGUMENT, "signals cannot be blocked");
    int code = run(config, &set, err ? err : &own);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}
