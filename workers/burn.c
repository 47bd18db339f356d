/* SPDX-License-Identifier: MIT */

/* workers/burn: a job that costs, fails or crashes exactly as it is told; for measuring and for tests.
 * Idea       the payload, or the same keys as options, which the payload overrides:
 *              us          burns so many microseconds of its thread's CPU time, then
 *              sleep_us    sleeps, then
 *              crash       "segv", "abort" or "exit": takes the process with it; else
 *              dead        true: is dead; else
 *              fail_times  fails its first n tries; else
 *              echo        a text recorded as its result, and is done; meanwhile
 *              note        is what it tells of itself, and how much of its time is over.
 * Invariant  a payload without our keys costs no JSON parsing, and 0 µs no look at a clock: such a job measures quern, not burn. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "options.h"

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)
#define US_MAX    INT64_C(86400000000) /* a day */

struct burn {
    int64_t us, sleep_us, fail_times;
    bool dead;
    const char *crash, *echo, *note; /* lent by the payload or the options; NULL: none */
};

struct burn_user {
    json_t *options; /* owned: what plan points into */
    struct burn plan;
};

static int crash_read(const json_t *from, const char **crash, quern_error *error)
{
    const char *name = *crash;
    if (options_text(from, "crash", &name, error) != QUERN_OK) return QUERN_E_CONFIG;
    if (name && strcmp(name, "segv") != 0 && strcmp(name, "abort") != 0 && strcmp(name, "exit") != 0)
        return options_wrong(error, "crash: \"%s\" is none of segv, abort, exit", name);
    *crash = name;
    return QUERN_OK;
}

static int burn_read(const json_t *from, struct burn *plan, quern_error *error)
{
    int code = options_integer(from, "us", 0, US_MAX, &plan->us, error);
    if (code == QUERN_OK) code = options_integer(from, "sleep_us", 0, US_MAX, &plan->sleep_us, error);
    if (code == QUERN_OK) code = options_integer(from, "fail_times", 0, UINT32_MAX, &plan->fail_times, error);
    if (code == QUERN_OK) code = options_flag(from, "dead", &plan->dead, error);
    if (code == QUERN_OK) code = crash_read(from, &plan->crash, error);
    if (code == QUERN_OK) code = options_text(from, "echo", &plan->echo, error);
    if (code == QUERN_OK) code = options_text(from, "note", &plan->note, error);
    return code;
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Well under a microsecond of work that no compiler can leave out, so that the clock is not what the time goes into. */
static void burn_a_little(void)
{
    uint64_t x = 88172645463325252;
    for (int i = 0; i < 100; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        __asm__ volatile("" : "+r"(x));
    }
}

static void burn_tell(quern_job *job, const struct burn *plan, int64_t over_ns)
{
    quern_job_progress(job, 100.0 * (double)over_ns / (double)(NS_PER_US * (plan->us + plan->sleep_us)), NULL);
}

/* False: cancelled on the way; asked about each millisecond. */
static bool burn_cpu(quern_job *job, const struct burn *plan)
{
    int64_t us = plan->us;
    int64_t now = now_ns(CLOCK_THREAD_CPUTIME_ID), end = now + us * NS_PER_US, ask = now + NS_PER_MS;
    for (; now < end; now = now_ns(CLOCK_THREAD_CPUTIME_ID)) {
        if (now >= ask) {
            if (quern_job_cancelled(job)) return false;
            burn_tell(job, plan, us * NS_PER_US - (end - now));
            ask = now + NS_PER_MS;
        }
        burn_a_little();
    }
    return true;
}

/* False: cancelled on the way; asked each ten milliseconds. */
static bool burn_sleep(quern_job *job, const struct burn *plan)
{
    int64_t now = now_ns(CLOCK_MONOTONIC), end = now + plan->sleep_us * NS_PER_US;
    for (; now < end; now = now_ns(CLOCK_MONOTONIC)) {
        if (quern_job_cancelled(job)) return false;
        burn_tell(job, plan, (plan->us + plan->sleep_us) * NS_PER_US - (end - now));
        int64_t until = end - now > 10 * NS_PER_MS ? now + 10 * NS_PER_MS : end;
        struct timespec at = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    }
    return true;
}

static volatile uintptr_t nowhere = 8;

static void burn_crash(const char *how)
{
    if (strcmp(how, "segv") == 0) *(volatile uint64_t *)nowhere = 0;
    if (strcmp(how, "abort") == 0) abort();
    exit(EXIT_FAILURE);
}

static quern_verdict burn_end(quern_job *job, const struct burn *plan)
{
    if (plan->crash) burn_crash(plan->crash);
    if (plan->dead) {
        quern_job_error(job, "told to be dead");
        return QUERN_DEAD;
    }
    if (plan->fail_times > quern_job_retries(job)) {
        quern_job_error(job, "told to fail %lld times", (long long)plan->fail_times);
        return QUERN_RETRY;
    }
    if (plan->echo && quern_job_result(job, plan->echo, strlen(plan->echo)) != QUERN_OK) {
        quern_job_error(job, "echo: too long for a result");
        return QUERN_DEAD;
    }
    return QUERN_DONE;
}

static quern_verdict burn_do(quern_job *job, const struct burn *plan)
{
    if (plan->note) quern_job_progress(job, -1, plan->note);
    if ((plan->us == 0 || burn_cpu(job, plan)) && (plan->sleep_us == 0 || burn_sleep(job, plan))) return burn_end(job, plan);
    quern_job_error(job, "cancelled");
    return QUERN_RETRY;
}

static quern_verdict burn_payload(quern_job *job, struct burn plan)
{
    const json_t *data = quern_job_json(job);
    if (!data) return QUERN_DEAD;
    quern_error error;
    if (!json_is_object(data)) options_wrong(&error, "the data must be an object");
    if (!json_is_object(data) || burn_read(data, &plan, &error) != QUERN_OK) {
        quern_job_error(job, "%s", error.text);
        return QUERN_DEAD;
    }
    return burn_do(job, &plan);
}

/* Is it an object that names none of our keys? Then it need not be parsed: what nobody asks for is not looked at. A backslash may
 * hide a key's letters, so such data is parsed. */
static bool is_idle(quern_bytes data)
{
    static const char *const keys[] = {"\"us\"",    "\"sleep_us\"", "\"fail_times\"", "\"dead\"",
                                       "\"crash\"", "\"echo\"",     "\"note\"",       "\\"};
    if (data.len == 0) return true;
    if (data.at[0] != '{' || data.at[data.len - 1] != '}') return false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (memmem(data.at, data.len, keys[i], strlen(keys[i]))) return false;
    return true;
}

static quern_verdict burn_run(quern_job *job, void *thread, void *user)
{
    (void)thread;
    const struct burn_user *burn = user;
    quern_bytes data = quern_job_data(job);
    return is_idle(data) ? burn_do(job, &burn->plan) : burn_payload(job, burn->plan);
}

static void burn_close(quern_handler *handler)
{
    struct burn_user *burn = handler->user;
    if (!burn) return;
    json_decref(burn->options);
    free(burn);
    handler->user = NULL;
}

static int burn_open(const char *options_json, quern_handler *handler, quern_error *error)
{
    static const char *const known[] = {"us", "sleep_us", "fail_times", "dead", "crash", "echo", "note", NULL};
    struct burn_user *burn = calloc(1, sizeof *burn);
    if (!burn) return options_no_memory(error);
    handler->run = burn_run;
    handler->user = burn;
    burn->options = options_read(options_json, known, error);
    if (burn->options && burn_read(burn->options, &burn->plan, error) == QUERN_OK) return QUERN_OK;
    burn_close(handler);
    return QUERN_E_CONFIG;
}

QUERN_PUBLIC const quern_module quern_module_entry = {
    .abi = QUERN_MODULE_ABI, .size = sizeof(quern_module), .name = "burn", .open = burn_open, .close = burn_close};
