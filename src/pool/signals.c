/* SPDX-License-Identifier: MIT */
#include "pool/signals.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"

static const int wishes[] = {SIGTERM, SIGINT, SIGHUP};
static const int64_t echo_ns = 100 * NS_PER_MS;

/* What a handler must be able to reach; it has no other way to it. */
static struct {
    pthread_mutex_t lock;     /* of takers; the handler never takes it */
    _Atomic int fd;           /* where the wish is told; -1: nobody wants to know */
    _Atomic int inside;       /* handlers that run: fd is closed only after them */
    _Atomic pid_t owner;      /* a fork inherits handler and descriptor, but the wish is not meant for it */
    _Atomic int64_t first_ns; /* when the first signal came; 0: none has */
    bool has[COUNT_OF(wishes)];
    sigset_t mask; /* of the taker's thread, before */
} taken = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

/* Is it the first, or its echo? */
static bool is_first_wish(void)
{
    int64_t now_ns = clock_now_ns(), first_ns = 0;
    if (getpid() != atomic_load(&taken.owner)) return false;
    return atomic_compare_exchange_strong(&taken.first_ns, &first_ns, now_ns) || now_ns - first_ns < echo_ns;
}

static void set_default(int number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(number, &action, NULL);
}

static void on_wish(int number)
{
    int before = errno;
    atomic_fetch_add(&taken.inside, 1);
    int fd = atomic_load(&taken.fd);
    bool is_told = fd >= 0 && is_first_wish() && write(fd, &(uint64_t){1}, sizeof(uint64_t)) == (ssize_t)sizeof(uint64_t);
    if (!is_told) {
        set_default(number);
        raise(number); /* takes effect when this handler returns */
    }
    atomic_fetch_sub(&taken.inside, 1);
    errno = before;
}

/* May it be taken? One that is ignored was most likely so when the program began: SIGHUP by nohup, SIGINT by a shell that runs a
 * command in its background. They stay ignored. Nobody hands down an ignored SIGTERM: whoever ignores that one wants no end by it. */
static int look_at(int number, bool *may_take, quern_error *err)
{
    struct sigaction now;
    if (sigaction(number, NULL, &now)) return err_set(err, QUERN_E_ARGUMENT, "SIG%s cannot be looked at", sigabbrev_np(number));
    *may_take = now.sa_handler == SIG_DFL;
    if (*may_take || (now.sa_handler == SIG_IGN && number != SIGTERM)) return QUERN_OK;
    const char *how = now.sa_handler == on_wish   ? "is taken by another quern_run() or quern_consume()"
                      : now.sa_handler == SIG_IGN ? "is ignored"
                                                  : "has a handler";
    return err_set(err, QUERN_E_ARGUMENT,
                   "SIG%s %s in this process: use quern_pool_start(), and quern_pool_stop() where the process is to end",
                   sigabbrev_np(number), how);
}

/* A thread that had them blocked would never see one. */
static void open_mask(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < COUNT_OF(wishes); i++)
        if (taken.has[i]) sigaddset(&set, wishes[i]);
    pthread_sigmask(SIG_UNBLOCK, &set, &taken.mask);
}

static int take(int *fd, quern_error *err)
{
    struct sigaction action = {.sa_handler = on_wish, .sa_flags = SA_RESTART};
    bool may_take[COUNT_OF(wishes)];
    int code = QUERN_OK;
    for (size_t i = 0; i < COUNT_OF(wishes) && !code; i++) code = look_at(wishes[i], &may_take[i], err);
    if (code) return code; /* taken is somebody else's, perhaps */
    *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (*fd < 0) return err_set(err, QUERN_E_MEMORY, "no file descriptor for signals: is there a limit on open files?");
    memcpy(taken.has, may_take, sizeof may_take);
    atomic_store(&taken.owner, getpid());
    atomic_store(&taken.first_ns, 0);
    atomic_store(&taken.fd, *fd);
    for (size_t i = 0; i < COUNT_OF(wishes); i++)
        if (taken.has[i]) sigaction(wishes[i], &action, NULL);
    open_mask();
    return QUERN_OK;
}

int signals_take(int *fd, quern_error *err)
{
    pthread_mutex_lock(&taken.lock);
    int code = take(fd, err);
    pthread_mutex_unlock(&taken.lock);
    return code;
}

void signals_give_back(void)
{
    pthread_mutex_lock(&taken.lock);
    for (size_t i = 0; i < COUNT_OF(wishes); i++)
        if (taken.has[i]) set_default(wishes[i]);
    pthread_sigmask(SIG_SETMASK, &taken.mask, NULL);
    int fd = atomic_exchange(&taken.fd, -1);
    while (atomic_load(&taken.inside)) sched_yield(); /* on other threads, for a few instructions */
    close(fd);
    pthread_mutex_unlock(&taken.lock);
}
