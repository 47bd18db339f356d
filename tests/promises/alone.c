/* SPDX-License-Identifier: MIT */

/* promises/alone: jobs that may have ended a process run with nothing else beside them, in a pool without a parent. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "support/letters.h"
#include "support/mill.h"
#include "support/runner.h"

struct sight {
    struct mill *mill;
    _Atomic int alone_runs, company; /* how often one ran, and others that it has seen meanwhile */
    _Atomic int now_alone;
    _Atomic int verdict;
};

/* Jobs of event "alone" look whether anybody else is inside while they run; all others whether one of these is. */
static quern_verdict look_around(quern_job *job, void *thread, void *user)
{
    struct sight *sight = user;
    (void)thread;
    bool is_alone = quern_job_event(job).len == 5;
    if (!is_alone) {
        atomic_fetch_add(&sight->mill->inside, 1);
        if (atomic_load(&sight->now_alone)) atomic_fetch_add(&sight->company, 1);
        burn_us(2000);
        if (atomic_load(&sight->now_alone)) atomic_fetch_add(&sight->company, 1);
        atomic_fetch_sub(&sight->mill->inside, 1);
        return QUERN_DONE;
    }
    atomic_store(&sight->now_alone, 1);
    for (int i = 0; i < 10; i++) {
        atomic_fetch_add(&sight->company, atomic_load(&sight->mill->inside));
        burn_us(1000);
    }
    atomic_store(&sight->now_alone, 0);
    atomic_fetch_add(&sight->alone_runs, 1);
    return atomic_load(&sight->verdict);
}

static void put_alone(struct scene *scene, const char *root)
{
    redis_ask(&scene->redis, "XADD", "jobs:g:alone", "*", "event", "alone", "data", "7", "quern_entry", root);
}

static struct mill *looking(struct scene *scene, struct sight *sight, const char *key, const char *value)
{
    struct mill *mill = mill_new(scene, "threads", "4", "completed_max", "10000", key, value, NULL);
    sight->mill = mill;
    mill_on(mill, &(quern_handler){.event = "*", .run = look_around, .user = sight});
    mill_start(mill);
    return mill;
}

static bool lane_is_empty(struct scene *scene)
{
    return redis_number(&scene->redis, "EXISTS", "jobs:g:alone", "jobs:g:crashes") == 0;
}

static void a_suspect_runs_with_nothing_beside_it_while_others_wait(void **state)
{
    struct scene *scene = *state;
    struct sight sight = {.verdict = QUERN_DONE};
    struct mill *mill = looking(scene, &sight, "retry_base_ms", "0");
    scene_publish(scene, 0, 300);
    for (int i = 1; i <= 5; i++) {
        char root[16];
        snprintf(root, sizeof root, "%d-0", i);
        put_alone(scene, root);
    }
    scene_publish(scene, 300, 300);
    wait_for(sight.alone_runs == 5 && mill_stat(mill, "jobs", "done") == 605);
    assert_int_equal(sight.company, 0);
    wait_for(lane_is_empty(scene));
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:completed"), 605);
    mill_stop(mill);
}

static void any_outcome_clears_it(void **state)
{
    struct scene *scene = *state;
    struct sight sight = {.verdict = QUERN_RETRY};
    redis_ask(&scene->redis, "HSET", "jobs:g:crashes", "1-0", "1", "1-0:how", "SIGSEGV");
    struct mill *mill = looking(scene, &sight, "retry_base_ms", "3600000");
    put_alone(scene, "1-0");
    wait_for(mill_stat(mill, "jobs", "retry") == 1);
    assert_true(lane_is_empty(scene));
    assert_int_equal(redis_number(&scene->redis, "ZCARD", "jobs:g:delayed"), 1);
    atomic_store(&sight.verdict, QUERN_DEAD);
    put_alone(scene, "2-0");
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    assert_true(lane_is_empty(scene));
    mill_stop(mill);
}

static void one_that_was_counted_often_enough_is_buried_without_another_start(void **state)
{
    struct scene *scene = *state;
    struct sight sight = {.verdict = QUERN_DONE};
    redis_ask(&scene->redis, "HSET", "jobs:g:crashes", "1-0", "3", "1-0:how", "SIGSEGV\nhere\nthere");
    put_alone(scene, "1-0");
    struct mill *mill = looking(scene, &sight, "max_crashes", "3");
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    wait_for(mill_stat(mill, "jobs", "poison") == 1);
    struct dead_letter letter = letter_at(&scene->redis, "jobs:failed", 0);
    assert_string_equal(letter_word(&letter, "reason"), "poison");
    assert_string_equal(letter_word(&letter, "signal"), "SIGSEGV");
    assert_string_equal(letter_word(&letter, "backtrace"), "here\nthere");
    assert_string_equal(letter_word(&letter, "source_stream_id"), "1-0");
    letter_drop(&letter);
    assert_int_equal(sight.alone_runs, 0);
    assert_true(lane_is_empty(scene));
    mill_stop(mill);
}

/* A group that was made again may hand out twice what is a suspect then. The first one's start was counted, and is no crash yet. */
static void a_copy_that_is_under_way_is_not_counted_as_a_crash(void **state)
{
    struct scene *scene = *state;
    struct sight sight = {.verdict = QUERN_DONE};
    struct redis *redis = &scene->redis;
    redis_ask(redis, "XGROUP", "CREATE", "jobs:g:alone", "g", "0", "MKSTREAM");
    put_alone(scene, "1-0");
    redis_ask(redis, "XREADGROUP", "GROUP", "g", "other", "STREAMS", "jobs:g:alone", ">");
    redis_ask(redis, "HSET", "jobs:g:crashes", "1-0", "3"); /* blamed twice, and started by the other one */
    put_alone(scene, "1-0");
    struct mill *mill = looking(scene, &sight, "max_crashes", "3");
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(sight.alone_runs, 1);
    assert_int_equal(mill_stat(mill, "jobs", "poison"), 0);
    mill_stop(mill);
}

/* Its start was counted before, so that its crash would be its own; the stop takes that back. */
static void one_that_a_stop_gives_back_is_not_blamed_for_it(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "threads", "2", NULL);
    mill->is_shut = true;
    mill_started(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill->inside == 1);
    put_alone(scene, "1-0");
    wait_for(redis_number(&scene->redis, "EXISTS", "jobs:g:crashes") == 1); /* taken, and waiting for the other to end */
    quern_pool_stop(mill->pool);
    wait_for(redis_number(&scene->redis, "EXISTS", "jobs:g:crashes") == 0);
    atomic_store(&mill->is_shut, false);
    mill_stop(mill);
    assert_int_equal(mill->started, 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:alone"), 1);
}

/* Handed out five times, to processes that have died without a word. */
static void make_worn(struct scene *scene)
{
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs", "g", "0", "MKSTREAM");
    redis_ask(&scene->redis, "XADD", "jobs", "1-0", "event", "alone", "data", "7");
    redis_ask(&scene->redis, "XREADGROUP", "GROUP", "g", "gone", "STREAMS", "jobs", ">");
    redis_ask(&scene->redis, "XCLAIM", "jobs", "g", "gone", "0", "1-0", "IDLE", "31000", "RETRYCOUNT", "5", "JUSTID");
}

static void a_job_that_was_handed_out_too_often_runs_alone(void **state)
{
    struct scene *scene = *state;
    struct sight sight = {.verdict = QUERN_DONE};
    make_worn(scene);
    struct mill *mill = looking(scene, &sight, "reap_ms", "10");
    scene_publish(scene, 0, 100);
    wait_for(sight.alone_runs == 1 && mill_stat(mill, "jobs", "done") == 101);
    assert_int_equal(sight.company, 0);
    wait_for(mill_lines(mill, "event=runs_alone") == 1);
    wait_for(lane_is_empty(scene));
    mill_stop(mill);
}

static void or_is_buried_where_that_is_wished(void **state)
{
    struct scene *scene = *state;
    make_worn(scene);
    struct mill *mill = mill_run(scene, "on_max_deliveries", "dead", "reap_ms", "10", NULL);
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    struct dead_letter letter = letter_at(&scene->redis, "jobs:failed", 0);
    assert_string_equal(letter_word(&letter, "reason"), "poison");
    letter_drop(&letter);
    assert_int_equal(mill->started, 0);
    mill_stop(mill);
}

/* Retries are outcomes: they do not add up to a suspicion. */
static void a_job_whose_process_was_killed_once_is_dead_at_its_first_reclaim(void **state)
{
    struct scene *scene = *state;
    int status = 0, pidfd = runner_at_work(scene, "2");
    assert_int_equal(runner_signal(pidfd, SIGKILL), 0);
    wait_for(runner_has_exited(pidfd, &status));
    assert_int_equal(status, -SIGKILL);
    struct mill *mill =
        mill_run(scene, "max_deliveries", "1", "on_max_deliveries", "dead", "lease_ms", "300", "reap_ms", "10", NULL);
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    wait_for(mill_stat(mill, "upkeep", "reclaimed") == 1);
    assert_int_equal(mill->started, 0); /* never again */
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "done") == 10); /* and it holds up no other */
    struct dead_letter letter = letter_at(&scene->redis, "jobs:failed", 0);
    assert_string_equal(letter_word(&letter, "reason"), "poison");
    letter_drop(&letter);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:retry"), 0);
    assert_true(lane_is_empty(scene));
    mill_stop(mill);
}

static void failed_attempts_are_no_crashes(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "retry_limit", "8", "retry_base_ms", "0", NULL);
    mill->verdict = QUERN_RETRY;
    mill_started(mill);
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "dead") == 1);
    assert_int_equal(mill->started, 9);
    assert_int_equal(mill_lines(mill, "event=runs_alone"), 0);
    mill_stop(mill);
}

/* A journal is begun where a folder is named, and goes with the pool. */
/* As after a heal by who held a job for longer than a lease, which another has settled. */
static void an_empty_stream_goes_with_the_last_pool(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, NULL), *other = mill_run(scene, NULL);
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs:g:alone", "g", "0", "MKSTREAM");
    mill_stop(mill);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:g:alone"), 1);
    mill_stop(other);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:g:alone"), 0);
}

/* A supervised process that runs only these reads nothing, and would be known again by its next sweep: a pool that leaves before that would
 * take its stream with it. */
static void who_holds_one_when_all_is_deleted_is_known_again_at_once(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "lease_ms", "600", "reap_ms", "60000", NULL);
    mill->is_shut = true;
    mill->config->lanes = LANES_ALONE;
    put_alone(scene, "1-0");
    mill_started(mill);
    wait_for(mill->inside == 1);
    redis_ask(&scene->redis, "DEL", "jobs:g:retry", "jobs:g:alone");
    wait_for(redis_number(&scene->redis, "EXISTS", "jobs:g:retry", "jobs:g:alone") == 2);
    wait_for(redis_number(&scene->redis, "XINFO", "CONSUMERS", "jobs:g:retry", "g") == 1);
    mill_stop(mill_run(scene, NULL));
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:g:retry", "jobs:g:alone"), 2);
    mill->is_shut = false;
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    mill_stop(mill);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:g:retry", "jobs:g:alone"), 0);
}

/* Only the last one has a job for it. Then it ends by itself. */
static void who_runs_only_these_looks_into_each_of_its_queues(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "queues", "[\"first\", \"second\", \"jobs\"]", NULL);
    mill->config->lanes = LANES_ALONE;
    put_alone(scene, "1-0");
    mill_started(mill);
    wait_for(mill->ended == 1);
    wait_for(mill->told[QUERN_NOTICE_STOPPED] == 1);
    mill_stop(mill);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:g:alone"), 0);
}

/* Another holds it. */
static void delete_one_that_is_pending(struct scene *scene)
{
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs:g:alone", "g", "0", "MKSTREAM");
    put_alone(scene, "1-0");
    redis_ask(&scene->redis, "XREADGROUP", "GROUP", "g", "other", "STREAMS", "jobs:g:alone", ">");
    redis_ask(&scene->redis, "XTRIM", "jobs:g:alone", "MAXLEN", "0");
}

/* One whose entry was deleted is still somebody's. */
static void a_stream_in_which_something_is_pending_stays(void **state)
{
    struct scene *scene = *state;
    delete_one_that_is_pending(scene);
    struct mill *mill = mill_run(scene, "lease_ms", "60000", NULL);
    mill_stop(mill);
    assert_int_equal(redis_pending(&scene->redis, "jobs:g:alone", "g"), 1);
}

static void one_that_was_deleted_while_it_was_pending_hides_no_other(void **state)
{
    struct scene *scene = *state;
    delete_one_that_is_pending(scene);
    put_alone(scene, "2-0");
    struct mill *mill = mill_run(scene, "lease_ms", "600000", NULL);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_int_equal(redis_pending(&scene->redis, "jobs:g:alone", "g"), 1);
    mill_stop(mill);
}

/* Whose lease is over; another, that has come to its end before, has not taken the stream along. */
static void one_that_was_deleted_while_it_was_pending_is_counted_and_said(void **state)
{
    struct scene *scene = *state;
    delete_one_that_is_pending(scene);
    put_alone(scene, "3-0");
    struct mill *mill = mill_run(scene, "lease_ms", "1000", "reap_ms", "10", NULL);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    wait_for(mill_stat(mill, "upkeep", "deleted") == 1);
    wait_for(redis_number(&scene->redis, "EXISTS", "jobs:g:alone") == 0);
    wait_for(mill_lines(mill, "event=pending_deleted entries=1 stream=jobs:g:alone") == 1);
    put_alone(scene, "2-0");
    wait_for(mill_stat(mill, "jobs", "done") == 2);
    mill_stop(mill);
}

static void a_pool_with_a_journal_leaves_none_behind(void **state)
{
    struct scene *scene = *state;
    char dir[96];
    snprintf(dir, sizeof dir, "%s/journals", scene->redis.dir);
    struct mill *mill = mill_run(scene, "journal_dir", dir, NULL);
    scene_publish(scene, 0, 100);
    wait_for(mill_stat(mill, "jobs", "done") == 100);
    mill_stop(mill);
    assert_int_equal(rmdir(dir), 0);
}

static void a_folder_that_cannot_be_had_is_said_and_no_reason_not_to_work(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "journal_dir", "/dev/null/journals", NULL);
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "done") == 10);
    wait_for(mill_lines(mill, "event=no_journal") == 1);
    mill_stop(mill);
}

/* What it comes to here is too late: as after a standstill, another was given it meanwhile, and is counted for that. */
static void late_owner_is_not_counted(struct scene *scene, quern_verdict verdict)
{
    struct mill *mill = mill_new(scene, "threads", "1", "lease_ms", "60000", "retry_base_ms", "0", NULL);
    mill->is_shut = true;
    mill->verdict = verdict;
    put_alone(scene, "1-0");
    mill_started(mill);
    wait_for(mill->inside == 1);
    assert_int_equal(redis_number(&scene->redis, "HINCRBY", "jobs:g:crashes", "1-0", "1"), 2);
    const struct answer *rows = redis_ask(&scene->redis, "XPENDING", "jobs:g:alone", "g", "-", "+", "1");
    char entry[64];
    snprintf(entry, sizeof entry, "%s", answer_at(answer_at(rows, 0), 0)->text);
    redis_ask(&scene->redis, "XCLAIM", "jobs:g:alone", "g", "other", "0", entry);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "held") == 0);
    wait_for(mill_stat(mill, "leases", "lost") == 1);
    assert_true(answer_is(redis_ask(&scene->redis, "HGET", "jobs:g:crashes", "1-0"), "1"));
    assert_int_equal(redis_pending(&scene->redis, "jobs:g:alone", "g"), 1);
    mill_stop(mill);
}

static void a_late_owner_of_a_job_that_runs_alone_has_not_crashed_by_it(void **state)
{
    static const quern_verdict verdicts[] = {QUERN_DONE, QUERN_RETRY, QUERN_DEAD};
    struct scene *scene = *state;
    for (int i = 0; i < 3; i++) {
        late_owner_is_not_counted(scene, verdicts[i]);
        redis_ask(&scene->redis, "DEL", "jobs:g:alone", "jobs:g:crashes");
    }
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_suspect_runs_with_nothing_beside_it_while_others_wait),
        SCENE(any_outcome_clears_it),
        SCENE(a_copy_that_is_under_way_is_not_counted_as_a_crash),
        SCENE(one_that_was_counted_often_enough_is_buried_without_another_start),
        SCENE(one_that_a_stop_gives_back_is_not_blamed_for_it),
        SCENE(a_job_that_was_handed_out_too_often_runs_alone),
        SCENE(or_is_buried_where_that_is_wished),
        SCENE(a_job_whose_process_was_killed_once_is_dead_at_its_first_reclaim),
        SCENE(failed_attempts_are_no_crashes),
        SCENE(a_late_owner_of_a_job_that_runs_alone_has_not_crashed_by_it),
        SCENE(an_empty_stream_goes_with_the_last_pool),
        SCENE(who_holds_one_when_all_is_deleted_is_known_again_at_once),
        SCENE(who_runs_only_these_looks_into_each_of_its_queues),
        SCENE(a_stream_in_which_something_is_pending_stays),
        SCENE(one_that_was_deleted_while_it_was_pending_hides_no_other),
        SCENE(one_that_was_deleted_while_it_was_pending_is_counted_and_said),
        SCENE(a_pool_with_a_journal_leaves_none_behind),
        SCENE(a_folder_that_cannot_be_had_is_said_and_no_reason_not_to_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
