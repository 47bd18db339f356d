/* SPDX-License-Identifier: MIT */

/* promises/endurance: what must hold however long it goes on. A program with options, for the long form; the tests run a short one.
 *
 *     test_promises_endurance [--seconds N] [--lease MS] [--rounds N]
 *
 * --seconds: how long 64 threads spin, more than there are cores, while the heartbeat renews their leases of MS milliseconds; each job
 * takes ten leases. --rounds: how often a mixed load is worked off, after each of which memory, descriptors, threads and the server's keys
 * are as they were after the fourth. Prints what was seen. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/lot.h"

static int seconds = 600, lease_ms = 1000, rounds = 40;

/* ── leases ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum { SPINNERS = 64 };
static _Atomic bool is_over;

/* Takes what it gets of its core, so long. */
static quern_verdict spin(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    (void)thread;
    int number = atoi(quern_job_data(job).at);
    atomic_fetch_add(&mill->seen[number], 1);
    for (int64_t end_ms = wait_now_ms() + 10 * lease_ms; wait_now_ms() < end_ms && !atomic_load(&is_over);) burn_us(50);
    return QUERN_DONE;
}

static void no_lease_is_lost_while_all_threads_spin(void **state)
{
    struct scene *scene = *state;
    char lease[16];
    int jobs = SPINNERS * (seconds * 1000 / (10 * lease_ms) + 2);
    if (jobs > MILL_IDS) jobs = MILL_IDS;
    snprintf(lease, sizeof lease, "%d", lease_ms);
    struct mill *mill = mill_new(scene, "threads", "64", "lease_ms", lease, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = spin});
    mill_start(mill);
    scene_publish(scene, 0, jobs);
    int64_t end_ms = wait_now_ms() + (int64_t)seconds * 1000;
    wait_until(wait_now_ms() >= end_ms, (int64_t)seconds * 1000 + PATIENCE_MS);
    atomic_store(&is_over, true);
    wait_until(mill_stat(mill, "jobs", "done") == jobs, PATIENCE_MS);
    printf("%d threads spun for %d s: %lld leases of %d ms renewed, %lld lost\n", SPINNERS, seconds,
           mill_stat(mill, "leases", "renewed"), lease_ms, mill_stat(mill, "leases", "lost"));
    assert_int_equal(mill_stat(mill, "leases", "lost"), 0);
    assert_true(mill_has_seen_once(mill, 0, jobs));
    mill_stop(mill);
}

/* ── growth ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum { WARM = 4, MEMBERS = 1000, SINGLES = 300, IN_PERCENT = 100, SLACK = 5 };

struct level {
    long long rss, descriptors, threads, keys;
};

static long long entries_of(const char *path)
{
    long long count = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

static long long resident(void)
{
    long long all, pages;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lld %lld", &all, &pages), 2);
    fclose(file);
    return pages;
}

static struct level level_of(struct scene *scene)
{
    return (struct level){resident(), entries_of("/proc/self/fd"), entries_of("/proc/self/task"),
                          redis_number(&scene->redis, "DBSIZE")};
}

/* A batch of which some are tried again and some die, jobs for later, keyed ones, and ones whose dedup window is soon over. */
static void work_off(struct scene *scene, struct desk *desk, struct mill *mill, int round)
{
    char id[40], unique[SINGLES][24];
    lot_publish(desk, "0002000001", MEMBERS, id);
    for (int i = 0; i < SINGLES; i++) {
        snprintf(unique[i], sizeof unique[i], "%d:%d", round, i);
        lot_messages[i] = (quern_message){.size = sizeof *lot_messages, .event = "job", .data = {"0", 1}};
        if (i % 3 == 0) lot_messages[i].delay_ms = 20 + i;
        if (i % 3 == 1) lot_messages[i].key = i % 2 ? "a" : "b";
        if (i % 3 == 2) lot_messages[i].unique = unique[i], lot_messages[i].unique_ms = 100;
    }
    if (quern_publish(lot_publisher(desk), lot_messages, SINGLES, lot_receipts, &desk->error)) fail_msg("%s", desk->error.text);
    long long dead = MEMBERS / 10, all = MEMBERS + SINGLES + 1 - dead;
    wait_for(mill_stat(mill, "jobs", "done") == all * (round + 1) && mill_stat(mill, "jobs", "dead") == dead * (round + 1));
    wait_for(redis_pending(&scene->redis, "jobs", "g") == 0);
}

static bool is_back(long long now, long long then)
{
    return llabs(now - then) * IN_PERCENT <= then * SLACK;
}

static void after_each_drain_all_is_as_it_was(void **state)
{
    struct scene *scene = *state;
    struct desk *desk = lot_desk(scene, NULL);
    struct mill *mill =
        lot_working(mill_new(scene, "completed_max", "100", "dead_letter_max", "100", "threads", "4", "reap_ms", "100", NULL));
    struct level base = {0}, now = {0};
    for (int round = 0; round < rounds; round++) {
        work_off(scene, desk, mill, round);
        mill_forget_lines(mill);
        if (round < WARM) base = level_of(scene);
        wait_for((now = level_of(scene), is_back(now.keys, base.keys) && is_back(now.threads, base.threads) &&
                                             is_back(now.descriptors, base.descriptors)));
        if (!is_back(now.rss, base.rss)) fail_msg("round %d: %lld pages resident, %lld before", round, now.rss, base.rss);
    }
    printf(
        "after %d rounds of %d jobs: %lld of %lld pages, %lld of %lld descriptors, %lld of %lld threads, %lld of %lld keys\n",
        rounds, MEMBERS + SINGLES + 1, now.rss, base.rss, now.descriptors, base.descriptors, now.threads, base.threads,
        now.keys, base.keys);
    desk_close(desk);
    mill_stop(mill);
}

int main(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        int value = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--seconds") == 0) seconds = value;
        if (strcmp(argv[i], "--lease") == 0) lease_ms = value;
        if (strcmp(argv[i], "--rounds") == 0) rounds = value;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_lease_is_lost_while_all_threads_spin, scene_open, scene_close),
        cmocka_unit_test_setup_teardown(after_each_drain_all_is_as_it_was, lot_scene, scene_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
