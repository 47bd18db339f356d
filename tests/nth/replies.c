/* SPDX-License-Identifier: MIT */

/* tests/nth/replies: every answer of Redis fails, in every way, in one run each.
 *
 *     test_nth_replies                              a sample of 5,400 runs, the same each time (in ctest)
 *     test_nth_replies --runs N [--scene S]         a sample of N
 *     test_nth_replies --full [--scene S]           the whole product: scenes × questions × kinds of failure (some five minutes)
 *     test_nth_replies --scene done --at settler:7 --kind OOM [--times N]     one of them again, as a failure says it
 *
 * Idea       each scene (nth/scenes) is first played without a fault, so it is known which questions its threads ask; then each of them
 *            meets each kind of failure (nth/kinds) at the seam below the library (nth/seam). After each run nth/stage looks whether
 *            the promises held; leaks of memory are for the run under ASan, threads and descriptors are counted here.
 * Processes  two for each core, bound to it and with a server each: who asks and who answers take turns, and cost half as much when
 *            they need not wake another core. The first of them only looks which questions there are.
 * Never      stops at the first failure: the last line says how many there were. */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nth/seam.h"
#include "nth/stage.h"

enum { PROBES = 3, SAMPLE = 5400, SHOWN_MAX = 5, SCENES_MAX = 32, PARTS_MAX = 16 };

struct wish {
    const char *scene, *at, *kind;
    long runs, times;
    bool is_full;
};

struct sums {
    long runs, unmet, failed;
};

/* What the processes are told, and what they have seen; shared. */
struct report {
    unsigned asked[SCENES_MAX][SEAM_ROLES];
    unsigned long boundaries;
    struct sums sums[PARTS_MAX + 1];
};

static struct redis redis;

/* ── leaks ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int count_in(const char *folder)
{
    int count = 0;
    DIR *dir = opendir(folder);
    while (dir && readdir(dir)) count++;
    if (dir) closedir(dir);
    return count;
}

/* A thread that was joined may still be seen for a moment. */
static void check_resources(struct stage *stage, int fds, int threads)
{
    int left = 0;
    for (int i = 0; i < 200 && (left = count_in("/proc/self/task")) > threads; i++)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    if (left > threads) stage_wrong(stage, "%d threads are left over", left - threads);
    if (count_in("/proc/self/fd") > fds) stage_wrong(stage, "%d descriptors are left over", count_in("/proc/self/fd") - fds);
}

/* ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Nobody has taken a lease: whose answer was lost must not hear that his is. What a server makes up is another matter. */
static void check_words(struct stage *stage, const struct seam_kind *kind)
{
    bool is_made_up = kind && kind->how == SEAM_SAY_BEFORE;
    if (is_made_up || stage->scene->loses_leases) return;
    if (memmem(stage->words, stage->words_len, "event=not_recorded", 18))
        stage_wrong(stage, "it says that a lease was lost, and none was");
}

/* ── one run ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void tell(const struct stage *stage, const struct scene *scene, int role, unsigned nth, const struct seam_kind *kind)
{
    printf("FAILED: %s\n    again: test_nth_replies --scene %s --at %s:%u --kind %s --times 20\n", stage->wrong, scene->name,
           seam_roles[role], nth, kind ? kind->name : "none");
    printf("%.*s", (int)stage->words_len, stage->words);
    fflush(stdout);
}

static void play(const struct scene *scene, int role, unsigned nth, const struct seam_kind *kind, struct sums *sums)
{
    static struct stage stage;
    int fds = count_in("/proc/self/fd"), threads = count_in("/proc/self/task");
    stage_open(&stage, &redis, scene);
    stage.is_without_fault = !kind;
    seam_arm((enum seam_role)role, nth, kind);
    stage_play(&stage);
    check_words(&stage, kind);
    stage_close(&stage);
    check_resources(&stage, fds, threads);
    sums->runs++;
    sums->unmet += kind && !stage.has_met;
    if (!stage.wrong[0]) return;
    if (sums->failed++ < SHOWN_MAX) tell(&stage, scene, role, nth, kind);
}

/* ── all of them ─────────────────────────────────────────────────────────────────────────────────────────────────── */

/* How many questions each role asks. */
static void probe(const struct scene *scene, unsigned asked[SEAM_ROLES], struct sums *sums)
{
    for (int i = 0; i < SEAM_ROLES; i++) asked[i] = 0;
    for (int times = 0; times < PROBES; times++) {
        play(scene, 0, 0, NULL, sums);
        for (int i = 0; i < SEAM_ROLES; i++)
            if (seam_asked((enum seam_role)i) > asked[i]) asked[i] = seam_asked((enum seam_role)i);
    }
}

/* Spread evenly, and the same each time: of each number in turn whether it is one of `wanted` out of `all`. */
static bool is_chosen(unsigned long number, unsigned long wanted, unsigned long all)
{
    unsigned long mixed = number * 2654435761UL % 4294967296UL;
    return wanted >= all || mixed * all / 4294967296UL < wanted;
}

static void probe_all(const struct wish *wish, struct report *report, struct sums *sums)
{
    for (size_t s = 0; s < scene_count; s++) {
        if (wish->scene && strcmp(wish->scene, scenes[s].name)) continue;
        probe(&scenes[s], report->asked[s], sums);
        printf("# %-14s", scenes[s].name);
        for (int i = 0; i < SEAM_ROLES; i++) {
            if (report->asked[s][i]) printf(" %s %u", seam_roles[i], report->asked[s][i]);
            report->boundaries += report->asked[s][i];
        }
        printf("\n");
    }
    printf("# %lu questions, %zu kinds of failure: %lu runs are possible\n", report->boundaries, seam_kind_count,
           report->boundaries * seam_kind_count);
}

/* What one process has to do: every parts-th of those that are chosen, from `part` on. */
static void play_part(const struct wish *wish, const struct report *report, int part, int parts, struct sums *sums)
{
    unsigned long number = 0, chosen = 0, all = report->boundaries * seam_kind_count;
    for (size_t s = 0; s < scene_count; s++)
        for (int role = 0; role < SEAM_ROLES; role++)
            for (unsigned nth = 0; nth < report->asked[s][role]; nth++)
                for (size_t k = 0; k < seam_kind_count; k++)
                    if (is_chosen(number++, wish->is_full ? all : (unsigned long)wish->runs, all) &&
                        chosen++ % (unsigned long)parts == (unsigned long)part)
                        play(&scenes[s], role, nth, &seam_kinds[k], sums);
}

static void bind_to(long core)
{
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET((size_t)core, &cores);
    sched_setaffinity(0, sizeof cores, &cores); /* refused: it goes on without */
}

/* In a process of its own, with a server of its own. */
static void in_process(const struct wish *wish, struct report *report, int part, int parts)
{
    fflush(stdout);
    if (fork()) return;
    if (part < parts) bind_to(part % sysconf(_SC_NPROCESSORS_ONLN));
    redis_start(&redis, NULL);
    if (part < parts)
        play_part(wish, report, part, parts, &report->sums[part]);
    else
        probe_all(wish, report, &report->sums[part]);
    redis_end(&redis);
    fflush(stdout);
    exit(0); /* not at once: a sanitizer looks for leaks now */
}

static void add_up(const struct report *report, struct sums *sums)
{
    int status;
    while (wait(&status) > 0) sums->failed += status != 0;
    for (int i = 0; i <= PARTS_MAX; i++) {
        sums->runs += report->sums[i].runs;
        sums->unmet += report->sums[i].unmet;
        sums->failed += report->sums[i].failed;
    }
}

static double seconds(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void run_all(const struct wish *wish, struct sums *sums)
{
    int parts = 2 * (int)sysconf(_SC_NPROCESSORS_ONLN);
    double begun = seconds();
    struct report *report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED) abort();
    if (parts > PARTS_MAX) parts = PARTS_MAX;
    in_process(wish, report, PARTS_MAX, 0);
    while (wait(NULL) > 0) {}
    if (!report->boundaries) sums->failed++;
    for (int i = 0; i < parts && !report->sums[PARTS_MAX].failed; i++) in_process(wish, report, i, parts);
    add_up(report, sums);
    double took = seconds() - begun;
    printf("# %.1f s, %.0f runs a second\n", took, (double)sums->runs / took);
    munmap(report, sizeof *report);
}

/* --scene, --at and --kind name one. */
static int run_one(const struct wish *wish, struct sums *sums)
{
    char role_name[32];
    unsigned nth;
    const struct scene *scene = NULL;
    const struct seam_kind *kind = NULL;
    int role = 0;
    for (size_t i = 0; i < scene_count; i++)
        if (!strcmp(scenes[i].name, wish->scene)) scene = &scenes[i];
    for (size_t i = 0; i < seam_kind_count; i++)
        if (!strcmp(seam_kinds[i].name, wish->kind)) kind = &seam_kinds[i];
    if (sscanf(wish->at, "%31[a-z]:%u", role_name, &nth) != 2) return 2;
    while (role < SEAM_ROLES && strcmp(seam_roles[role], role_name)) role++;
    if (!scene || role == SEAM_ROLES || (!kind && strcmp(wish->kind, "none"))) return 2;
    redis_start(&redis, NULL);
    for (long i = 0; i < wish->times; i++) play(scene, role, nth, kind, sums);
    redis_end(&redis);
    return 0;
}

static bool read_arguments(int argc, char **argv, struct wish *wish)
{
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (!strcmp(argv[i], "--full"))
            wish->is_full = true;
        else if (!has_value)
            return false;
        else if (!strcmp(argv[i], "--runs"))
            wish->runs = atol(argv[++i]);
        else if (!strcmp(argv[i], "--times"))
            wish->times = atol(argv[++i]);
        else if (!strcmp(argv[i], "--scene"))
            wish->scene = argv[++i];
        else if (!strcmp(argv[i], "--at"))
            wish->at = argv[++i];
        else if (!strcmp(argv[i], "--kind"))
            wish->kind = argv[++i];
        else
            return false;
    }
    return !wish->at || (wish->scene && wish->kind);
}

int main(int argc, char **argv)
{
    struct wish wish = {.runs = SAMPLE, .times = 1};
    struct sums sums = {0};
    if (!read_arguments(argc, argv, &wish)) {
        fprintf(stderr, "usage: test_nth_replies [--runs N | --full] [--scene S [--at ROLE:N --kind K [--times N]]]\n");
        return 2;
    }
    int status = 0;
    if (wish.at)
        status = run_one(&wish, &sums);
    else
        run_all(&wish, &sums);
    printf("%ld runs, %ld of them without meeting the fault, %ld failed\n", sums.runs, sums.unmet, sums.failed);
    return status ? status : sums.failed > 0;
}
