/* SPDX-License-Identifier: MIT */

/* promises/fence: what a handler needs so that its own database refuses a late owner: whose lease it is, and which. */
#include <stdio.h>
#include <string.h>

#include "support/mill.h"

/* A database of one row, in the way that quern.h describes. */
struct row {
    pthread_mutex_t lock;
    char job[64], consumer[200];
    unsigned deliveries;
    int taken, refused_claims, written, refused;
};

static struct row row;

static void row_begin(void)
{
    row = (struct row){.lock = PTHREAD_MUTEX_INITIALIZER};
}

static bool text_is(quern_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.at, text, bytes.len) == 0;
}

/* "put the pair into the row, unless a pair with more deliveries is there" */
static bool row_claim(const quern_job *job)
{
    pthread_mutex_lock(&row.lock);
    bool is_mine = !row.job[0] || (text_is(quern_job_id(job), row.job) && row.deliveries <= quern_job_deliveries(job));
    if (is_mine) {
        snprintf(row.job, sizeof row.job, "%s", quern_job_id(job).at);
        snprintf(row.consumer, sizeof row.consumer, "%s", quern_job_consumer(job).at);
        row.deliveries = quern_job_deliveries(job);
        row.taken++;
    } else {
        row.refused_claims++;
    }
    pthread_mutex_unlock(&row.lock);
    return is_mine;
}

/* "WHERE job = id AND consumer = mine AND deliveries = mine" */
static void row_write(const quern_job *job)
{
    pthread_mutex_lock(&row.lock);
    bool is_mine = text_is(quern_job_id(job), row.job) && text_is(quern_job_consumer(job), row.consumer) &&
                   quern_job_deliveries(job) == row.deliveries;
    if (is_mine)
        row.written++;
    else
        row.refused++;
    pthread_mutex_unlock(&row.lock);
}

/* Claims, stands still while the mill is shut (if it is the job's first owner), and writes without asking whether it has lost the job. */
static quern_verdict claim_and_write(quern_job *job, void *thread, void *user)
{
    struct mill *mill = user;
    (void)thread;
    row_claim(job);
    atomic_fetch_add(&mill->started, 1);
    while (atomic_load(&mill->is_shut) && quern_job_deliveries(job) == 1) wait_breathe();
    row_write(job);
    atomic_fetch_add(&mill->ended, 1);
    return (quern_verdict)atomic_load(&mill->verdict);
}

static struct mill *start(struct scene *scene, bool is_shut)
{
    struct mill *mill = mill_new(scene, "lease_ms", "400", "reap_ms", "50", "retry_base_ms", "0", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = claim_and_write});
    atomic_store(&mill->is_shut, is_shut);
    mill_start(mill);
    return mill;
}

/* An operator takes the job from its owner, and lets it lie; a reaper gives it to whoever has a thread. */
static void take_away(struct scene *scene)
{
    char id[64];
    const struct answer *rows = redis_ask(&scene->redis, "XPENDING", "jobs", "g", "-", "+", "1");
    snprintf(id, sizeof id, "%s", answer_at(answer_at(rows, 0), 0)->text);
    assert_int_equal(redis_number(&scene->redis, "XCLAIM", "jobs", "g", "operator", "0", id), 1);
}

static void a_late_owners_write_is_told_by_consumer_and_deliveries(void **state)
{
    struct scene *scene = *state;
    row_begin();
    struct mill *late = start(scene, true);
    scene_publish(scene, 1, 1);
    wait_for(late->started == 1);
    struct mill *next = start(scene, false);
    take_away(scene);
    wait_for(next->ended + late->ended == 1); /* on whichever thread was free */
    assert_int_equal(row.taken, 2);
    assert_int_equal(row.written, 1);
    assert_true(row.deliveries > 1);
    atomic_store(&late->is_shut, false);
    wait_for(next->ended + late->ended == 2);
    assert_int_equal(row.refused, 1);
    assert_int_equal(row.written, 1);
    mill_stop(late);
    mill_stop(next);
}

static void each_attempt_of_a_job_has_a_name_of_its_own(void **state)
{
    struct scene *scene = *state;
    row_begin();
    struct mill *mill = mill_new(scene, "retry_base_ms", "0", "retry_limit", "4", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = claim_and_write});
    mill->verdict = QUERN_RETRY;
    mill_start(mill);
    scene_publish(scene, 1, 1);
    wait_for(redis_number(&scene->redis, "XLEN", "jobs:failed") == 1);
    mill_stop(mill);
    assert_int_equal(row.taken, 5);
    assert_int_equal(row.written, 5);
    assert_int_equal(row.refused + row.refused_claims, 0);
    assert_int_equal(row.deliveries, 5);
}

static void two_pools_have_two_consumers_and_redis_knows_them_by_those_names(void **state)
{
    struct scene *scene = *state;
    char first[200];
    row_begin();
    struct mill *mill = start(scene, true);
    scene_publish(scene, 1, 1);
    wait_for(mill->started == 1);
    snprintf(first, sizeof first, "%s", row.consumer);
    const struct answer *rows = redis_ask(&scene->redis, "XPENDING", "jobs", "g", "-", "+", "1");
    assert_true(answer_is(answer_at(answer_at(rows, 0), 1), first));
    atomic_store(&mill->is_shut, false);
    mill_stop(mill);
    row_begin();
    struct mill *other = start(scene, false);
    scene_publish(scene, 2, 1);
    wait_for(other->ended == 1);
    assert_string_not_equal(row.consumer, first);
    mill_stop(other);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_late_owners_write_is_told_by_consumer_and_deliveries),
        SCENE(each_attempt_of_a_job_has_a_name_of_its_own),
        SCENE(two_pools_have_two_consumers_and_redis_knows_them_by_those_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
