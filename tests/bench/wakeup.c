/* SPDX-License-Identifier: MIT */

/* bench/wakeup: how long it takes Redis alone to wake a reader that waits: from before an XADD is sent on one connection until its entry
 * was read on another, which waits in XREADGROUP BLOCK. What a job's way through a pool is compared with.
 *
 *     wakeup SOCKET JOBS EVERY_US [chain]      EVERY_US 0: each as soon as the one before it has come; chain: until another thread, which
 *                                              sleeps, was told of it by the one that has read it
 *
 * Prints {"p50_us":…,"p99_us":…}. The stream is called wakeup and goes at the end. */
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 4096, JOBS_MAX = 1000000 };

static const char *path;
static int64_t jobs, *latencies_ns;
static sem_t has_come, was_read;
static bool is_chain;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int dial(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) die(path);
    return fd;
}

/* Sends a command and reads its answer, which fits in one buffer and ends as the last line says. */
static void ask(int fd, const char *command, const char *ending, char *answer)
{
    size_t len = 0, tail = strlen(ending);
    if (send(fd, command, strlen(command), 0) < 0) die("send");
    do {
        ssize_t n = recv(fd, answer + len, ANSWER_MAX - 1 - len, 0);
        if (n <= 0) die("recv");
        len += (size_t)n;
        answer[len] = 0;
        if (answer[0] == '-') {
            fprintf(stderr, "wakeup: %s", answer);
            exit(1);
        }
    } while (len < tail || strcmp(answer + len - tail, ending) != 0);
}

/* Its last field says when it was sent. */
static void *read_all(void *given)
{
    char answer[ANSWER_MAX];
    int fd = *(int *)given;
    for (int64_t i = 0; i < jobs; i++) {
        ask(fd, "XREADGROUP GROUP g one COUNT 1 BLOCK 0 STREAMS wakeup >\r\n", "$3\r\nend\r\n", answer);
        int64_t at_ns = now_ns();
        const char *sent = strstr(answer, "\r\nat\r\n");
        if (!sent) die("an answer without a time");
        int64_t sent_ns = strtoll(strchr(sent + 6, '\n') + 1, NULL, 10);
        latencies_ns[i] = is_chain ? sent_ns : at_ns - sent_ns;
        sem_post(is_chain ? &was_read : &has_come);
    }
    return NULL;
}

/* The end of a chain. */
static void *hear_all(void *unused)
{
    for (int64_t i = 0; i < jobs; i++) {
        while (sem_wait(&was_read)) continue;
        latencies_ns[i] = now_ns() - latencies_ns[i];
        sem_post(&has_come);
    }
    return unused;
}

static void sleep_until(int64_t ns)
{
    struct timespec until = {ns / 1000000000, ns % 1000000000};
    while (now_ns() < ns) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

int main(int argc, char **argv)
{
    pthread_t reader, hearer;
    char answer[ANSWER_MAX], command[256];
    is_chain = argc == 5 && !strcmp(argv[4], "chain");
    if (argc != 4 + is_chain || atoll(argv[2]) < 1 || atoll(argv[2]) > JOBS_MAX)
        return fputs("wakeup SOCKET JOBS EVERY_US [chain]\n", stderr), 2;
    path = argv[1];
    jobs = atoll(argv[2]);
    latencies_ns = calloc((size_t)jobs, sizeof *latencies_ns);
    int64_t every_ns = atoll(argv[3]) * 1000;
    sem_init(&has_come, 0, 0);
    sem_init(&was_read, 0, 0);
    int writing = dial(), reading = dial();
    if (!latencies_ns) die("memory");
    ask(writing, "XGROUP CREATE wakeup g $ MKSTREAM\r\n", "+OK\r\n", answer);
    if (pthread_create(&reader, NULL, read_all, &reading)) die("thread");
    if (is_chain && pthread_create(&hearer, NULL, hear_all, NULL)) die("thread");
    int64_t next_ns = now_ns();
    for (int64_t i = 0; i < jobs; i++) {
        next_ns += every_ns;
        if (every_ns) sleep_until(next_ns);
        snprintf(command, sizeof command,
                 "XADD wakeup * id 550e8400-e29b-41d4-a716-446655440000 event bench.noop at %lld x end\r\n",
                 (long long)now_ns());
        ask(writing, command, "\r\n", answer);
        if (!every_ns) sem_wait(&has_come); /* who spun for it would take the time of who brings it */
    }
    pthread_join(reader, NULL);
    if (is_chain) pthread_join(hearer, NULL);
    ask(writing, "DEL wakeup\r\n", ":1\r\n", answer);
    qsort(latencies_ns, (size_t)jobs, sizeof *latencies_ns, compare);
    printf("{\"p50_us\":%.1f,\"p99_us\":%.1f}\n", (double)latencies_ns[jobs / 2] / 1e3,
           (double)latencies_ns[jobs * 99 / 100] / 1e3);
    return 0;
}
