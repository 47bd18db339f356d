/* SPDX-License-Identifier: MIT */

/* tests/nth/resources: every allocation fails once, and from then on; likewise every thread, eventfd and socket that is asked for.
 *
 *     test_nth_resources                                         every eighth allocation, and all of the others (in ctest)
 *     test_nth_resources --every 1                               all of them (a minute)
 *     test_nth_resources --scene done --what memory --nth 120 [--times N]     one again, as a failure says it
 *
 * Idea       malloc() and its kin of this program are ours, also for the libraries below (hiredis, jansson, libuuid, liburcu); the others
 *            are wrapped. Counted is what the library asks for, on its threads and on ours while we are inside of it. After each run
 *            what was asked for and not given back is compared with what it was before: that is the leak.
 * Processes  as tests/nth/replies; one that dies is named, and another one goes on behind it. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nth/seam.h"
#include "nth/stage.h"

enum what { MEMORY, MEMORY_ON, THREAD, DESCRIPTOR, SOCKET, WHATS };
static const char *const whats[WHATS] = {"memory", "memory_on", "thread", "descriptor", "socket"};
static const char *const played[] = {"done",  "outcomes", "later",     "left",     "strays", "stopped",
                                     "batch", "healed",   "published", "unmarked", "special"};
enum { PLAYED = sizeof played / sizeof *played, EVERY = 8, PARTS_MAX = 16, SHOWN_MAX = 5 };

static struct {
    _Atomic long count, nth; /* how many were asked for; which one fails, from 0; -1: none */
    _Atomic int what;
    _Atomic long live; /* blocks that were asked for and not given back */
} ask = {.nth = -1};
static _Thread_local bool is_outside; /* of the library */

/* ── what is asked for ───────────────────────────────────────────────────────────────────────────────────────────── */

/* Is this one to fail? */
static bool fails(bool is_memory, enum what what)
{
    enum what wanted = (enum what)atomic_load(&ask.what);
    if (is_outside || (is_memory ? wanted > MEMORY_ON : wanted != what)) return false;
    long number = atomic_fetch_add(&ask.count, 1), nth = atomic_load(&ask.nth);
    if (nth < 0 || (wanted == MEMORY_ON ? number < nth : number != nth)) return false;
    seam_strike();
    return true;
}

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *old);

/* For the libraries, too: they look for these in the program first. */
#define EVERYBODYS __attribute__((visibility("default")))
EVERYBODYS void *malloc(size_t size);
EVERYBODYS void *calloc(size_t count, size_t size);
EVERYBODYS void *realloc(void *old, size_t size);
EVERYBODYS void *aligned_alloc(size_t alignment, size_t size);
EVERYBODYS int posix_memalign(void **at, size_t alignment, size_t size);
EVERYBODYS void free(void *old);

static void *given(void *at)
{
    if (at) atomic_fetch_add_explicit(&ask.live, 1, memory_order_relaxed);
    return at;
}

static void *refused(void)
{
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t size)
{
    return fails(true, MEMORY) ? refused() : given(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return fails(true, MEMORY) ? refused() : given(__libc_calloc(count, size));
}

void *realloc(void *old, size_t size)
{
    if (fails(true, MEMORY)) return refused();
    void *at = __libc_realloc(old, size);
    return old ? at : given(at);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(true, MEMORY) ? refused() : given(__libc_memalign(alignment, size));
}

int posix_memalign(void **at, size_t alignment, size_t size)
{
    return (*at = aligned_alloc(alignment, size)) ? 0 : ENOMEM;
}

void free(void *old)
{
    if (old) atomic_fetch_sub_explicit(&ask.live, 1, memory_order_relaxed);
    __libc_free(old);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *user);
int __real_eventfd(unsigned start, int flags);
int __real_socket(int domain, int type, int protocol);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *user);
int __wrap_eventfd(unsigned start, int flags);
int __wrap_socket(int domain, int type, int protocol);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *user)
{
    return fails(false, THREAD) ? EAGAIN : __real_pthread_create(thread, how, run, user);
}

static int none_left(void)
{
    errno = EMFILE;
    return -1;
}

int __wrap_eventfd(unsigned start, int flags)
{
    return fails(false, DESCRIPTOR) ? none_left() : __real_eventfd(start, flags);
}

int __wrap_socket(int domain, int type, int protocol)
{
    return fails(false, SOCKET) ? none_left() : __real_socket(domain, type, protocol);
}

static void inside(bool is_inside)
{
    is_outside = !is_inside;
}

static void calm(void)
{
    atomic_store(&ask.nth, -1);
}

/* ── one run ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct wish {
    const char *scene, *what;
    long every, nth, times;
};

struct sums {
    long runs, failed;
};

/* Shared by the processes: what each is at, and what it has seen. */
struct report {
    long counts[PLAYED][WHATS], at[PARTS_MAX];
    char again[PARTS_MAX][80];
    struct sums sums[PARTS_MAX];
};

static struct redis redis;
static const struct wish *wish;

static const struct scene *scene_of(const char *name)
{
    for (size_t i = 0; i < scene_count; i++)
        if (!strcmp(scenes[i].name, name)) return &scenes[i];
    return NULL;
}

static void tell(const struct stage *stage, const char *scene, enum what what, long nth)
{
    printf("FAILED: %s\n    again: test_nth_resources --scene %s --what %s --nth %ld --times 20\n%.*s", stage->wrong, scene,
           whats[what], nth, (int)stage->words_len, stage->words);
    fflush(stdout);
}

static long live(void)
{
    redis_ask(&redis, "PING"); /* the answer before, which was longer, is given back */
    return atomic_load(&ask.live);
}

/* What a thread that was joined leaves for the next one, or a library keeps for good, is there after the runs without a fault: then nothing
 * more may come. */
static void play(const char *name, enum what what, long nth, struct sums *sums)
{
    static struct stage stage;
    long before = live();
    stage_open(&stage, &redis, scene_of(name));
    seam_arm(SEAM_ROLES, 0, NULL);
    atomic_store(&ask.what, what);
    atomic_store(&ask.count, 0);
    atomic_store(&ask.nth, nth);
    stage.is_without_fault = nth < 0;
    stage_play(&stage);
    atomic_store(&ask.nth, -1);
    stage_close(&stage);
    long left = live() - before;
    if (left > 0 && nth >= 0) stage_wrong(&stage, "%ld blocks of memory are left over", left);
    if (sums->runs++, stage.wrong[0] && sums->failed++ < SHOWN_MAX) tell(&stage, name, what, nth);
}

/* ── all of them ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static void probe_all(struct report *report, struct sums *sums)
{
    for (int s = 0; s < PLAYED; s++) {
        for (int what = 0; what < WHATS; what++) {
            play(played[s], (enum what)what, -1, sums);
            report->counts[s][what] = atomic_load(&ask.count);
        }
        printf("# %-10s", played[s]);
        for (int what = 0; what < WHATS; what++) printf(" %s %ld", whats[what], report->counts[s][what]);
        printf("\n");
    }
}

static void play_part(struct report *report, int part, int parts)
{
    long number = 0, chosen = 0, *at = &report->at[part], begun = *at;
    for (int s = 0; s < PLAYED; s++) play(played[s], MEMORY, -1, &report->sums[part]);
    for (int s = 0; s < PLAYED; s++)
        for (int what = 0; what < WHATS; what++)
            for (long nth = 0; nth < report->counts[s][what]; nth++) {
                if (what <= MEMORY_ON && number++ % wish->every) continue;
                if (chosen++ % parts != part || chosen <= begun) continue;
                *at = chosen;
                snprintf(report->again[part], sizeof report->again[part], "--scene %s --what %s --nth %ld", played[s],
                         whats[what], nth);
                play(played[s], (enum what)what, nth, &report->sums[part]);
            }
    *at = 0;
}

static pid_t in_process(struct report *report, int part, int parts)
{
    cpu_set_t core;
    fflush(stdout);
    pid_t pid = fork();
    if (pid) return pid;
    CPU_ZERO(&core);
    CPU_SET((size_t)(part % sysconf(_SC_NPROCESSORS_ONLN)), &core);
    sched_setaffinity(0, sizeof core, &core);
    redis_start(&redis, NULL);
    is_outside = true;
    if (parts)
        play_part(report, part, parts);
    else
        probe_all(report, &report->sums[part]);
    redis_end(&redis);
    exit(0);
}

/* One that dies has met something that it should have borne. */
static void run_part(struct report *report, int part, int parts, pid_t *pid)
{
    int status;
    if (waitpid(*pid, &status, 0) < 0 || !status) {
        *pid = 0;
        return;
    }
    printf("FAILED: a process has ended, with status %d\n    again: test_nth_resources %s\n", status, report->again[part]);
    report->sums[part].failed++;
    *pid = report->at[part] ? in_process(report, part, parts) : 0;
}

static void run_all(struct sums *sums)
{
    pid_t pids[PARTS_MAX] = {0};
    int parts = 2 * (int)sysconf(_SC_NPROCESSORS_ONLN);
    struct report *report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED) abort();
    if (parts > PARTS_MAX) parts = PARTS_MAX;
    pids[0] = in_process(report, 0, 0);
    run_part(report, 0, 0, &pids[0]);
    for (int i = 0; i < parts; i++) pids[i] = in_process(report, i, parts);
    for (int i = 0; i < parts; i++)
        while (pids[i]) run_part(report, i, parts, &pids[i]);
    for (int i = 0; i < PARTS_MAX; i++) {
        sums->runs += report->sums[i].runs;
        sums->failed += report->sums[i].failed;
    }
    munmap(report, sizeof *report);
}

static int run_one(struct sums *sums)
{
    int what = 0;
    while (what < WHATS && strcmp(whats[what], wish->what)) what++;
    if (what == WHATS || !scene_of(wish->scene)) return 2;
    redis_start(&redis, NULL);
    is_outside = true;
    play(wish->scene, MEMORY, -1, sums);
    play(wish->scene, MEMORY, -1, sums);
    for (long i = 0; i < wish->times; i++) play(wish->scene, (enum what)what, wish->nth, sums);
    redis_end(&redis);
    return 0;
}

int main(int argc, char **argv)
{
    struct wish read = {.every = EVERY, .nth = -1, .times = 1};
    struct sums sums = {0};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--scene")) read.scene = argv[i + 1];
        if (!strcmp(argv[i], "--what")) read.what = argv[i + 1];
        if (!strcmp(argv[i], "--nth")) read.nth = atol(argv[i + 1]);
        if (!strcmp(argv[i], "--times")) read.times = atol(argv[i + 1]);
        if (!strcmp(argv[i], "--every")) read.every = atol(argv[i + 1]);
    }
    if (argc % 2 == 0 || read.every < 1 || (read.nth >= 0 && (!read.scene || !read.what))) {
        fprintf(stderr, "usage: test_nth_resources [--every N] [--scene S --what W --nth N [--times N]]\n");
        return 2;
    }
    wish = &read;
    stage_inside = inside;
    stage_calm = calm;
    int status = 0;
    if (read.nth >= 0)
        status = run_one(&sums);
    else
        run_all(&sums);
    printf("%ld runs, %ld failed\n", sums.runs, sums.failed);
    return status ? status : sums.failed > 0;
}
