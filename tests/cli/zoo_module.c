/* SPDX-License-Identifier: MIT */

/* A module of handlers that do what no handler should; the job's data, a JSON text, says which. For tests/cli/supervise.sh. */
#include <fcntl.h>
#include <pthread.h>
#include <quern.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

static volatile int sink;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void spin_ms(int64_t ms)
{
    for (int64_t end_ms = now_ms() + ms; now_ms() < end_ms;) sink++;
}

static void segv(void)
{
    *(volatile int *)(volatile void *)0 = 1;
}

static int overflow(int depth)
{
    volatile char room[4096];
    room[depth % 4096] = (char)depth;
    return depth < 1 << 30 ? overflow(depth + 1) + room[0] : room[1];
}

static void drop_exception(_Unwind_Reason_Code reason, struct _Unwind_Exception *exception)
{
    (void)reason;
    free(exception);
}

/* As a C++ throw does it; it comes back here only if nobody catches. */
static void throw(void)
{
    struct _Unwind_Exception *exception = aligned_alloc(64, 128);
    if (!exception) abort();
    memset(exception, 0, 128);
    exception->exception_class = 0x71756572;
    exception->exception_cleanup = drop_exception;
    _Unwind_RaiseException(exception);
    abort();
}

/* The child goes on as if it were the parent. */
static quern_verdict fork_and_return(void)
{
    int status;
    pid_t child = fork();
    if (child <= 0) return QUERN_DONE;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? QUERN_DONE : QUERN_DEAD;
}

static quern_verdict fork_and_exit(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) exit(7);
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7 ? QUERN_DONE : QUERN_DEAD;
}

static void close_all(void)
{
    for (int fd = 3; fd < 256; fd++) close(fd);
}

static quern_verdict run(quern_job *job, void *thread, void *user)
{
    (void)thread, (void)user;
    quern_bytes data = quern_job_data(job);
    char word[32];
    snprintf(word, sizeof word, "%.*s", (int)data.len, data.at);
    if (strcmp(word, "\"segv\"") == 0) segv();
    if (strcmp(word, "\"abort\"") == 0) abort();
    if (strcmp(word, "\"exit\"") == 0) exit(3);
    if (strcmp(word, "\"_exit\"") == 0) _exit(4);
    if (strcmp(word, "\"kill\"") == 0) kill(getpid(), SIGKILL);
    if (strcmp(word, "\"overflow\"") == 0) sink = overflow(0);
    if (strcmp(word, "\"throw\"") == 0) throw();
    if (strcmp(word, "\"thread\"") == 0) pthread_exit(NULL);
    if (strcmp(word, "\"fork\"") == 0) return fork_and_return();
    if (strcmp(word, "\"fork-exit\"") == 0) return fork_and_exit();
    if (strcmp(word, "\"close\"") == 0) close_all();
    if (strcmp(word, "\"spin\"") == 0)
        for (;;) sink++;
    if (strcmp(word, "\"long\"") == 0)
        spin_ms(3000);
    else
        spin_ms(20);
    return QUERN_DONE;
}

static int open_zoo(const char *options_json, quern_handler *handler, quern_error *error)
{
    (void)options_json, (void)error;
    handler->run = run;
    return QUERN_OK;
}

static void close_zoo(quern_handler *handler)
{
    (void)handler;
}

QUERN_PUBLIC const quern_module quern_module_entry = {QUERN_MODULE_ABI, sizeof(quern_module), "zoo", open_zoo, close_zoo};
