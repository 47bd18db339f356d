/* SPDX-License-Identifier: MIT */

#include "jobs.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const int64_t BURN_NS = 1000000;

static const char *server;
static int marks;

void die(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

void job_do(int64_t at)
{
    if (at == 0) return;
    if (at < 0) {
        int64_t end_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + BURN_NS;
        while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns) continue;
    } else if (dprintf(marks, "%lld %lld\n", (long long)now_ns(), (long long)at) < 0)
        die("no mark could be written");
}

static void put_mark(void *link)
{
    int64_t at = now_ns();
    peer.put(link, &at, 1);
}

static void enqueue(int64_t count, int64_t at, int at_once)
{
    void *link = peer.connect(server);
    int64_t ats[AT_ONCE];
    for (int i = 0; i < at_once; i++) ats[i] = at;
    put_mark(link);
    int64_t from_ns = now_ns();
    for (int64_t left = count; left > 0; left -= at_once) peer.put(link, ats, left < at_once ? (int)left : at_once);
    double seconds = (double)(now_ns() - from_ns) / 1e9;
    put_mark(link);
    printf("{\"per_s\":%.0f}\n", (double)count / seconds);
}

static void pace(int64_t count, int64_t every_ns)
{
    void *link = peer.connect(server);
    for (int64_t next_ns = now_ns(); count > 0; count--) {
        next_ns += every_ns;
        struct timespec until = {next_ns / 1000000000, next_ns % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        put_mark(link);
    }
}

static void *serve(void *unused)
{
    (void)unused;
    peer.serve(peer.connect(server));
    return NULL;
}

static void serve_all(int threads)
{
    pthread_t thread;
    for (int i = 1; i < threads; i++)
        if (pthread_create(&thread, NULL, serve, NULL)) die("no thread");
    serve(NULL);
}

int main(int argc, char **argv)
{
    if (argc < 5) die("see the first comment of tests/bench/peers/jobs.h");
    const char *word = argv[3];
    int64_t first = atoll(argv[4]), second = argc > 5 ? atoll(argv[5]) : 0;
    server = argv[1];
    marks = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (marks < 0) die("no file for the marks");
    if (strcmp(word, "one") == 0) enqueue(first, second, 1);
    if (strcmp(word, "bulk") == 0) enqueue(first, second, AT_ONCE);
    if (strcmp(word, "pace") == 0) pace(first, second * 1000);
    if (strcmp(word, "serve") == 0) serve_all((int)first);
    return 0;
}
