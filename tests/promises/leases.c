/* SPDX-License-Identifier: MIT */

/* promises/leases: a live job is not redelivered; a late owner changes nothing. */
#include <stdio.h>
#include <string.h>

#include "support/mill.h"

static const struct answer *row(struct scene *scene)
{
    return answer_at(redis_ask(&scene->redis, "XPENDING", "jobs", "g", "-", "+", "1"), 0);
}

static void a_job_that_burns_longer_than_its_lease_is_not_redelivered(void **state)
{
    enum { LEASE_MS = 1500 }; /* of which this machine may take half away at any time */
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "lease_ms", "1500", "threads", "2", "reap_ms", "50", NULL);
    struct mill *other = mill_run(scene, "lease_ms", "1500", "threads", "2", "reap_ms", "50", NULL);
    mill->work_us = other->work_us = 5000000;
    scene_publish(scene, 0, 2);
    wait_for(mill->started + other->started == 2);
    long long looks = 0;
    while (mill->ended + other->ended == 0) {
        const struct answer *pending = row(scene);
        if (!pending->count) break;
        looks++;
        assert_in_range(answer_at(pending, 2)->number, 0, LEASE_MS - 1);
        assert_int_equal(answer_at(pending, 3)->number, 1);
        wait_breathe();
    }
    assert_true(looks > 100);
    wait_for(mill_stat(mill, "jobs", "done") + mill_stat(other, "jobs", "done") == 2);
    assert_int_equal(mill->started + other->started, 2);
    assert_true(mill_stat(mill, "leases", "renewed") + mill_stat(other, "leases", "renewed") > 8);
    assert_int_equal(mill_stat(mill, "leases", "lost") + mill_stat(other, "leases", "lost"), 0);
    mill_stop(mill);
    mill_stop(other);
}

/* ── stolen ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static quern_verdict until_lost(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    (void)thread;
    atomic_fetch_add(&mill->started, 1);
    while (!quern_job_lost(job) && !atomic_load(&mill->is_shut)) wait_breathe();
    if (quern_job_lost(job) && quern_job_cancelled(job)) atomic_fetch_add(&mill->inside, 1);
    while (atomic_load(&mill->is_shut)) wait_breathe();
    atomic_fetch_add(&mill->ended, 1);
    return QUERN_DONE;
}

static void steal(struct scene *scene)
{
    char id[64];
    snprintf(id, sizeof id, "%s", answer_at(row(scene), 0)->text);
    assert_int_equal(redis_number(&scene->redis, "XCLAIM", "jobs", "g", "thief", "0", id), 1);
}

static bool thief_has_it(struct scene *scene)
{
    const struct answer *pending = row(scene);
    return answer_is(answer_at(pending, 1), "thief") && answer_at(pending, 3)->number == 2;
}

static void a_stolen_lease_is_told_and_its_done_changes_nothing(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "lease_ms", "300", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = until_lost});
    mill_start(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->started == 1);
    steal(scene);
    wait_for(mill->ended == 1); /* renewal is due at a third of the lease, and looked for each sixth */
    assert_int_equal(mill->inside, 1);
    wait_for(mill->told[QUERN_NOTICE_LOST] == 1);
    wait_for(mill_stat(mill, "jobs", "held") == 0);
    assert_true(thief_has_it(scene));
    assert_int_equal(mill_stat(mill, "jobs", "done"), 0);
    wait_for(mill_stat(mill, "leases", "lost") == 1);
    mill_stop(mill);
    assert_true(thief_has_it(scene));
    assert_int_equal(mill->told[QUERN_NOTICE_JOB], 0);
}

/* A long lease: no renewal would see it, and to say that what is done is done is nobody's right to refuse. The thief comes too late. */
static void what_is_done_on_a_lease_that_was_stolen_unseen_is_reported_as_done_once(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "completed_max", "100", NULL);
    mill->is_shut = true;
    mill_started(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->started == 1);
    steal(scene);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "held") == 0);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:completed"), 1);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    mill_stop(mill);
}

static void a_lost_lease_is_told_once_however_long_its_job_runs(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "lease_ms", "300", "completed_max", "100", NULL);
    mill->is_shut = true;
    mill_started(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->started == 1);
    steal(scene);
    wait_for(mill->told[QUERN_NOTICE_LOST] == 1);
    stays(mill->told[QUERN_NOTICE_LOST] == 1, 900); /* of three leases */
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "held") == 0); /* the settler has seen it, too */
    wait_for(mill_stat(mill, "leases", "lost") == 1);
    mill_stop(mill);
    wait_for(mill->told[QUERN_NOTICE_LOST] == 1);
    wait_for(mill_lines(mill, "event=lease_lost") == 1);
}

static void the_heartbeat_does_not_steal_back(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "lease_ms", "300", NULL);
    mill->is_shut = true;
    mill_started(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->started == 1);
    steal(scene);
    stays(thief_has_it(scene), 700);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "held") == 0);
    assert_true(thief_has_it(scene));
    mill_stop(mill);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_job_that_burns_longer_than_its_lease_is_not_redelivered),
        SCENE(a_stolen_lease_is_told_and_its_done_changes_nothing),
        SCENE(what_is_done_on_a_lease_that_was_stolen_unseen_is_reported_as_done_once),
        SCENE(a_lost_lease_is_told_once_however_long_its_job_runs),
        SCENE(the_heartbeat_does_not_steal_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
