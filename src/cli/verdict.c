/* SPDX-License-Identifier: MIT */
#include "cli/verdict.h"

#include <stdio.h>

static const double busy = 0.8;
static const int64_t too_short_us = 200000;

static enum limit limit_of(const struct verdict *verdict, const struct gauge *gauge)
{
    if (gauge->took_us < too_short_us) return LIMIT_SHORT;
    if (verdict->server_busy >= busy) return LIMIT_SERVER;
    if (verdict->thread_busy >= busy) return LIMIT_THREAD;
    if (verdict->process_busy >= busy) return LIMIT_PROCESS;
    if (gauge->machine_busy >= busy) return LIMIT_MACHINE;
    return verdict->server_busy + verdict->thread_busy >= busy ? LIMIT_TURNS : LIMIT_WAY;
}

struct verdict verdict_of(const struct gauge *gauge, int cores)
{
    double took = (double)gauge->took_us, all = took * cores;
    struct verdict verdict = {.server_busy = (double)gauge->server_main_us / took,
                              .thread_busy = gauge->busiest_us < 0 ? -1 : (double)gauge->busiest_us / took,
                              .process_busy = (double)gauge->cpu_us / all};
    verdict.limit = limit_of(&verdict, gauge);
    return verdict;
}

const char *verdict_name(enum limit limit)
{
    static const char *const names[] = {"short", "server", "thread", "process", "machine", "turns", "way"};
    return names[limit];
}

void verdict_write(const struct verdict *verdict, const struct gauge *gauge, const struct gauge_server *server, char *text)
{
    switch (verdict->limit) {
    case LIMIT_SHORT:
        snprintf(text, VERDICT_SIZE, "too short to say which side is the limit (%.0f ms): with more --jobs it can be said",
                 (double)gauge->took_us / 1000);
        break;
    case LIMIT_SERVER:
        snprintf(text, VERDICT_SIZE, "the server is the limit: its one thread is busy %.0f %% of the time",
                 100 * verdict->server_busy);
        break;
    case LIMIT_THREAD:
        snprintf(text, VERDICT_SIZE,
                 "this process is the limit: its thread %s is busy %.0f %% of the time (the server's %.0f %%)", gauge->busiest,
                 100 * verdict->thread_busy, 100 * verdict->server_busy);
        break;
    case LIMIT_MACHINE:
        snprintf(
            text, VERDICT_SIZE,
            "this machine is the limit: its cores are busy %.0f %% of the time, this process takes %.0f %% of those it may use",
            100 * gauge->machine_busy, 100 * verdict->process_busy);
        break;
    case LIMIT_PROCESS:
        snprintf(text, VERDICT_SIZE, "this process is the limit: it takes %.0f %% of its cores", 100 * verdict->process_busy);
        break;
    case LIMIT_TURNS:
        snprintf(
            text, VERDICT_SIZE,
            "neither side is the limit: the server (%.0f %% busy) and our thread %s (%.0f %%) wait for each other in turn; "
            "several at once get more",
            100 * verdict->server_busy, gauge->busiest, 100 * verdict->thread_busy);
        break;
    case LIMIT_WAY:
        snprintf(
            text, VERDICT_SIZE,
            "neither side is the limit (server %.0f %% busy, this process %.0f %% of its cores): what is waited for is the way "
            "between, %lld us there and back",
            100 * verdict->server_busy, 100 * verdict->process_busy, (long long)server->round_trip_us);
        break;
    }
}
