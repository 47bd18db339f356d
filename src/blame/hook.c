/* SPDX-License-Identifier: MIT */
#include "blame/hook.h"

#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "blame/journal.h"

enum { STACK_BYTES = 64 * 1024, FRAMES = 24, SIGNALS_END = 32 };

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
enum { FATAL = sizeof fatal / sizeof *fatal };

static __thread struct {
    struct journal *journal;
    uint32_t index;
} here;

static struct sigaction before[SIGNALS_END];
static pthread_once_t once = PTHREAD_ONCE_INIT;

void hook_enter(struct journal *journal, uint32_t index)
{
    here.index = index;
    here.journal = journal;
}

void hook_leave(void)
{
    here.journal = NULL;
}

/* A child that a handler has forked ends in its own name. */
static bool is_here(void)
{
    return here.journal && here.journal->owner == getpid();
}

static void name(int32_t signal)
{
    struct record *record = &here.journal->records[here.index];
    uint32_t expected = RECORD_RUNS;
    record->signal = signal;
    atomic_compare_exchange_strong(&record->state, &expected, RECORD_NAMED);
}

static void write_trace(void)
{
    void *frames[FRAMES];
    int n = backtrace(frames, FRAMES), own = 2; /* this function, and who called it */
    if (n > own && here.journal->trace_fd >= 0) backtrace_symbols_fd(frames + own, n - own, here.journal->trace_fd);
}

/* What was there before us gets the signal. A handler of the host's may know how to go on, so nobody is named for it: the fault comes
 * again when we return. Else it ends the process now, and is sent once more, for not every fault comes again. */
static void on_fatal(int number, siginfo_t *info, void *context)
{
    (void)context;
    bool is_end = before[number].sa_handler == SIG_DFL;
    if (is_end && is_here()) {
        name(number);
        write_trace();
    }
    sigaction(number, &before[number], NULL);
    if (is_end || info->si_code <= 0) raise(number);
}

static void on_end(int status, void *unused)
{
    (void)unused;
    if (is_here()) name(-1 - (status & 0xff));
}

static void install(void)
{
    void *frame[1];
    struct sigaction action = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    int n = backtrace(frame, 1); /* the first call loads a library, which no signal handler may */
    (void)n;
    for (int i = 0; i < FATAL; i++) {
        sigaction(fatal[i], NULL, &before[fatal[i]]);
        if (before[fatal[i]].sa_handler != SIG_IGN) sigaction(fatal[i], &action, NULL);
    }
    on_exit(on_end, NULL);
}

void hook_install(void)
{
    pthread_once(&once, install);
}

/* Our threads block all signals; a fault that is blocked ends the process without a word. */
static void let_through(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < FATAL; i++) sigaddset(&set, fatal[i]);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void *hook_thread_begin(void)
{
    let_through();
    stack_t old, own = {.ss_sp = NULL, .ss_size = STACK_BYTES};
    if (sigaltstack(NULL, &old) || !(old.ss_flags & SS_DISABLE) || !(own.ss_sp = malloc(STACK_BYTES))) return NULL;
    if (!sigaltstack(&own, NULL)) return own.ss_sp;
    free(own.ss_sp);
    return NULL;
}

void hook_thread_end(void *stack)
{
    if (!stack) return;
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    free(stack);
}
