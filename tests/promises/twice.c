/* SPDX-License-Identifier: MIT */

/* promises/twice: every script is asked twice when its first answer is lost, and does its work once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/letters.h"
#include "support/mill.h"
#include "support/proxy.h"
#include "wire/script.h"

/* With leases of up to three seconds an answer may take one. */
enum { IN_TIME_MS = 1, TOO_LATE_MS = 1500, NUMBERS = 4000 };

struct twice {
    struct scene *scene;
    struct proxy *proxy;
    struct mill *mill;
    int published; /* jobs 0, 1, …; what becomes of one is in its number */
    struct {
        int done, dead;
    } found[NUMBERS];
};

static struct twice twice;

static bool is_to_die(int number)
{
    return number % 3 == 2;
}

/* Of three jobs one is done, one is done at the second attempt, and one is dead. The record says which it was. */
static quern_verdict by_number(quern_job *job, void *thread, void *user)
{
    quern_bytes data = quern_job_data(job);
    int number = atoi(data.at);
    mill_grind(job, thread, user);
    if (quern_job_result(job, data.at, data.len) || is_to_die(number)) return QUERN_DEAD;
    return number % 3 == 1 && quern_job_retries(job) == 0 ? QUERN_RETRY : QUERN_DONE;
}

static void start(void **state, const char *lease_ms, const char *completed_max)
{
    memset(&twice, 0, sizeof twice);
    twice.scene = *state;
    twice.proxy = proxy_open(NULL, twice.scene->redis.socket, NULL);
    assert_non_null(twice.proxy);
    twice.mill = mill_new(twice.scene, "redis", proxy_url(twice.proxy), "lease_ms", lease_ms, "reap_ms", "50", "block_ms",
                          "100", "retry_base_ms", "20", "threads", "3", "completed_max", completed_max, NULL);
    mill_on(twice.mill, &(quern_handler){.event = "*", .run = by_number});
    mill_start(twice.mill);
}

static void end(void)
{
    mill_stop(twice.mill);
    proxy_close(twice.proxy);
}

static void publish(int n)
{
    scene_publish(twice.scene, twice.published, n);
    twice.published += n;
    assert_true(twice.published <= NUMBERS);
}

/* ── where the jobs are ──────────────────────────────────────────────────────────────────────────────────────────── */

static void find_done(void)
{
    const struct answer *list = redis_ask(&twice.scene->redis, "XRANGE", "jobs:g:completed", "-", "+");
    for (size_t i = 0; i < list->count; i++) {
        int number = atoi(answer_of(answer_at(answer_at(list, i), 1), "result")->text);
        assert_in_range(number, 0, twice.published - 1);
        twice.found[number].done++;
    }
}

static void find_dead(void)
{
    size_t count = (size_t)redis_number(&twice.scene->redis, "XLEN", "jobs:failed");
    for (size_t i = 0; i < count; i++) {
        struct dead_letter letter = letter_at(&twice.scene->redis, "jobs:failed", i);
        long long number = letter_number(&letter, "original_data");
        assert_in_range(number, 0, twice.published - 1);
        twice.found[number].dead++;
        letter_drop(&letter);
    }
}

static bool is_quiet(void)
{
    struct redis *redis = &twice.scene->redis;
    return redis_pending(redis, "jobs", "g") == 0 && redis_pending(redis, "jobs:g:retry", "g") == 0 &&
           redis_number(redis, "EXISTS", "jobs:g:delayed", "jobs:g:delayed:jobs") == 0 &&
           redis_number(redis, "XLEN", "jobs:g:retry") == 0;
}

static int dead_of(int published)
{
    return published / 3;
}

/* The pool has heard of the end of every job. */
static bool is_heard(void)
{
    int dead = dead_of(twice.published);
    return mill_stat(twice.mill, "jobs", "dead") == dead && mill_stat(twice.mill, "jobs", "done") == twice.published - dead;
}

/* Each job is in the log or in a dead letter, once, and nowhere else; and so the pool has counted. */
static void each_is_there_once(void)
{
    wait_for(is_heard());
    wait_for(is_quiet());
    memset(twice.found, 0, sizeof twice.found);
    find_done();
    find_dead();
    for (int i = 0; i < twice.published; i++)
        if (twice.found[i].done != !is_to_die(i) || twice.found[i].dead != is_to_die(i))
            fail_msg("job %d: %d times done, %d dead letters", i, twice.found[i].done, twice.found[i].dead);
    wait_for(mill_stat(twice.mill, "jobs", "retry") == dead_of(twice.published + 1));
    assert_int_equal(mill_stat(twice.mill, "leases", "lost") + mill_stat(twice.mill, "leases", "ambiguous"), 0);
    assert_int_equal(mill_stat(twice.mill, "jobs", "left_pending"), 0);
}

/* ── what befalls an answer ──────────────────────────────────────────────────────────────────────────────────────── */

/* question: its first bytes hold this: a script's name, or the word that begins a transaction. */
static void strike(const char *role, const char *question, struct proxy_fault fault)
{
    fault.name = role;
    fault.question = question;
    fault.times = 1;
    proxy_fault(twice.proxy, &fault);
}

static const struct proxy_fault quick[] = {{.kind = PROXY_CLOSE},
                                           {.kind = PROXY_CLOSE, .after = 2},
                                           {.kind = PROXY_CLOSE, .after = 5},
                                           {.kind = PROXY_RESET},
                                           {.kind = PROXY_RESET, .after = 3},
                                           {.kind = PROXY_DRIP, .pause_ms = IN_TIME_MS}},
                                slow[] = {{.kind = PROXY_SILENT},
                                          {.kind = PROXY_DELAY, .pause_ms = TOO_LATE_MS},
                                          {.kind = PROXY_DRIP, .pause_ms = TOO_LATE_MS / 5},
                                          {.kind = PROXY_SILENT, .after = 4}};
enum { QUICK = sizeof quick / sizeof *quick, SLOW = sizeof slow / sizeof *slow };

static void meets(const char *role, const char *question, struct proxy_fault fault)
{
    int before = proxy_swallowed(twice.proxy);
    strike(role, question, fault);
    publish(9);
    wait_for(proxy_swallowed(twice.proxy) == before + 1);
    each_is_there_once();
}

static void what_became_of_a_job_is_written_once(void **state)
{
    const struct {
        const char *role, *question;
    } asked[] = {{":settler", "MULTI"}, /* what is done, with its record */
                 {":settler", script_retry.sha1},
                 {":settler", script_dead.sha1},
                 {":reaper", script_due.sha1}};
    start(state, "3000", "100000");
    publish(9); /* the scripts are known after these */
    each_is_there_once();
    for (size_t i = 0; i < 4; i++) {
        for (size_t kind = 0; kind < QUICK; kind++) meets(asked[i].role, asked[i].question, quick[kind]);
        if (i % 3 == 0) meets(asked[i].role, asked[i].question, slow[i]);
    }
    end();
}

static void a_renewal_is_asked_for_again_and_no_lease_is_lost(void **state)
{
    start(state, "1500", "100000");
    atomic_store(&twice.mill->is_shut, true);
    publish(3);
    wait_for(twice.mill->inside == 3);
    for (size_t kind = 0; kind < 3; kind++) {
        long long renewed = mill_stat(twice.mill, "leases", "renewed");
        wait_for(mill_stat(twice.mill, "leases", "renewed") > renewed);
        strike(":heartbeat", script_renew.sha1, quick[kind]);
        wait_for(proxy_swallowed(twice.proxy) == (int)kind + 1);
    }
    assert_int_equal(mill_stat(twice.mill, "leases", "lost"), 0);
    atomic_store(&twice.mill->is_shut, false);
    each_is_there_once();
    end();
}

/* ── what others have left ───────────────────────────────────────────────────────────────────────────────────────── */

/* n more jobs are read by this consumer, before any pool can, and look idle for so long. */
static void read_by(const char *consumer, int n, const char *idle_ms)
{
    static const char script[] =
        "for i = 1, tonumber(ARGV[3]) do redis.call('XADD', 'jobs', '*', 'event', 'job', 'data', ARGV[2] + i - 1) end "
        "for _, entry in ipairs(redis.call('XREADGROUP', 'GROUP', 'g', ARGV[1], 'COUNT', ARGV[3], 'STREAMS', 'jobs', "
        "'>')[1][2]) "
        "do redis.call('XCLAIM', 'jobs', 'g', ARGV[1], 0, entry[1], 'IDLE', ARGV[4], 'RETRYCOUNT', 1, 'JUSTID') end "
        "return ARGV[3]";
    char from[16], count[16];
    snprintf(from, sizeof from, "%d", twice.published);
    snprintf(count, sizeof count, "%d", n);
    const struct answer *answer = redis_ask(&twice.scene->redis, "EVAL", script, "0", consumer, from, count, idle_ms);
    if (!answer_is(answer, count)) fail_msg("%s", answer->text);
    twice.published += n;
}

static void own_name(char name[200])
{
    const struct answer *consumers = redis_ask(&twice.scene->redis, "XINFO", "CONSUMERS", "jobs", "g");
    snprintf(name, 200, "%s", answer_of(answer_at(consumers, 0), "name")->text);
}

static void strand_and_cut(int n)
{
    char name[200];
    own_name(name);
    read_by(name, n, "0");
    assert_int_equal(redis_cut(&twice.scene->redis, ":dispatcher"), 1);
}

static void what_was_adopted_is_adopted_again_and_run_once(void **state)
{
    start(state, "3000", "100000");
    publish(9);
    each_is_there_once();
    strand_and_cut(9);
    each_is_there_once();
    for (size_t kind = 0; kind < QUICK; kind++) {
        wait_for(redis_clients(&twice.scene->redis, ":dispatcher") == 1);
        strike(":dispatcher", script_adopt.sha1, quick[kind]);
        strand_and_cut(9);
        wait_for(proxy_swallowed(twice.proxy) == (int)kind + 1);
        each_is_there_once();
    }
    assert_true(mill_has_seen(twice.mill, 0, twice.published));
    end();
}

static void a_group_is_made_again_once_and_each_job_is_run_once(void **state)
{
    start(state, "3000", "100000");
    publish(9);
    each_is_there_once();
    for (size_t kind = 0; kind < QUICK; kind++) {
        wait_for(redis_clients(&twice.scene->redis, ":dispatcher") == 1);
        strike(":dispatcher", script_heal.sha1, quick[kind]);
        assert_int_equal(redis_number(&twice.scene->redis, "XGROUP", "DESTROY", "jobs", "g"), 1);
        publish(9);
        wait_for(proxy_swallowed(twice.proxy) == (int)kind + 1);
        each_is_there_once();
    }
    end();
}

static void what_was_reclaimed_is_run_once(void **state)
{
    start(state, "3000", "100000");
    publish(9);
    each_is_there_once();
    read_by("gone", 9, "86400000");
    each_is_there_once();
    for (size_t kind = 0; kind < QUICK; kind++) {
        strike(":reaper", script_reclaim.sha1, quick[kind]);
        read_by("gone", 9, "86400000");
        wait_for(proxy_swallowed(twice.proxy) == (int)kind + 1);
        each_is_there_once();
    }
    end();
}

static void a_trim_that_is_repeated_takes_nothing_that_is_needed(void **state)
{
    start(state, "3000", "100000");
    for (size_t kind = 0; kind < QUICK; kind++) {
        wait_for(mill_stat(twice.mill, "redis", "up") == 1);
        publish(300);
        strike(":reaper", script_trim.sha1, quick[kind]);
        wait_for(proxy_swallowed(twice.proxy) == (int)kind + 1);
    }
    each_is_there_once();
    wait_for(redis_number(&twice.scene->redis, "XLEN", "jobs") < 300);
    end();
}

static void a_sweep_that_is_repeated_takes_nobody_who_is_needed(void **state)
{
    char name[16];
    start(state, "100", "100000");
    struct redis *redis = &twice.scene->redis;
    for (size_t kind = 0; kind < QUICK; kind++) {
        for (int i = 0; i < 5; i++) {
            snprintf(name, sizeof name, "gone-%d", i);
            redis_ask(redis, "XGROUP", "CREATECONSUMER", "jobs", "g", name);
        }
        strike(":reaper", script_sweep.sha1, quick[kind]);
        wait_for(proxy_swallowed(twice.proxy) == (int)kind + 1);
    }
    wait_for(redis_number(redis, "XINFO", "CONSUMERS", "jobs", "g") <= 1);
    assert_int_equal(redis_number(redis, "XINFO", "CONSUMERS", "jobs:g:retry", "g"), 1);
    publish(9);
    wait_for(is_heard());
    end();
}

/* ── at the end ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static void what_a_stop_gives_back_is_given_back_once(void **state)
{
    char name[200];
    start(state, "3000", "100000");
    publish(9);
    each_is_there_once();
    struct mill *mill = twice.mill;
    quern_pool_pause(mill->pool);
    own_name(name);
    read_by(name, 90, "0");
    strike(":settler", script_retry.sha1, quick[0]);
    mill_stop(mill);
    assert_int_equal(proxy_swallowed(twice.proxy), 1);
    assert_int_equal(redis_number(&twice.scene->redis, "XLEN", "jobs:g:retry"), 90);
    assert_int_equal(redis_pending(&twice.scene->redis, "jobs", "g"), 0);
    mill_start(mill);
    wait_for(mill_stat(mill, "jobs", "done") + mill_stat(mill, "jobs", "dead") == 90);
    assert_int_equal(redis_number(&twice.scene->redis, "XLEN", "jobs:g:completed"), 66);
    assert_int_equal(redis_number(&twice.scene->redis, "XLEN", "jobs:failed"), 33);
    end();
}

static void a_farewell_whose_answer_is_lost_is_said_again(void **state)
{
    start(state, "3000", "0");
    publish(9);
    wait_for(is_heard());
    mill_stop(twice.mill);
    mill_start(twice.mill);
    strike(":settler", script_sweep.sha1, quick[0]);
    end();
    assert_int_equal(redis_number(&twice.scene->redis, "XINFO", "CONSUMERS", "jobs", "g"), 0);
    assert_int_equal(redis_number(&twice.scene->redis, "EXISTS", "jobs:g:retry", "jobs:g:settles"), 0);
}

/* The second gear of trimming: an acknowledgement that deletes. Not ours any more, but it was we who ended it: ambiguous, not lost. */
static void an_acknowledgement_that_deletes_is_ambiguous_and_not_lost(void **state)
{
    enum { BEHIND = 10500, MORE = 10 };
    struct scene *scene = *state;
    struct proxy *proxy = proxy_open(NULL, scene->redis.socket, NULL);
    assert_non_null(proxy);
    struct mill *holder = mill_new(scene, "threads", "1", NULL);
    holder->is_shut = true;
    mill_started(holder);
    scene_publish(scene, 0, 1);
    wait_for(holder->inside == 1);
    assert_int_equal(quern_pool_pause(holder->pool), QUERN_OK);
    struct mill *mill = mill_run(scene, "redis", proxy_url(proxy), "reap_ms", "50", "lease_ms", "60000", NULL);
    scene_publish(scene, 1, BEHIND);
    wait_for(mill_stat(mill, "upkeep", "second_gear") == 1);
    long long done = mill_stat(mill, "jobs", "done");
    scene_publish(scene, BEHIND + 1, MORE); /* the script is known after these */
    wait_for(mill_stat(mill, "jobs", "done") == done + MORE);
    long long kept = redis_number(&scene->redis, "XLEN", "jobs");
    proxy_fault(proxy, &(struct proxy_fault){.name = ":settler", .question = script_ack.sha1, .times = 1});
    scene_publish(scene, BEHIND + MORE + 1, MORE);
    wait_for(mill_stat(mill, "jobs", "done") == done + 2 * MORE);
    assert_int_equal(proxy_swallowed(proxy), 1);
    assert_in_range(mill_stat(mill, "leases", "ambiguous"), 1, MORE);
    assert_int_equal(mill_stat(mill, "leases", "lost"), 0);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs"), kept);
    atomic_store(&holder->is_shut, false);
    mill_stop(holder);
    mill_stop(mill);
    proxy_close(proxy);
}

/* ── one entry of a batch that cannot be written ─────────────────────────────────────────────────────────────────── */

/* A stream whose last ids are taken but one. */
static void leave_one_id(struct scene *scene, const char *stream)
{
    const struct answer *answer =
        redis_ask(&scene->redis, "XADD", stream, "18446744073709551615-18446744073709551614", "a", "b");
    assert_int_equal(answer->kind, '$');
}

/* Three jobs of this verdict, of which one can be written to that stream. */
static void spoils_only_itself(struct scene *scene, quern_verdict verdict, const char *stream, const char *counter)
{
    struct mill *mill = mill_new(scene, "threads", "3", "completed_max", "1000", "retry_base_ms", "0", "block_ms", "10",
                                 "lease_ms", "60000", NULL);
    mill->verdict = (int)verdict;
    mill->is_shut = true;
    mill_started(mill);
    scene_publish(scene, 0, 3);
    wait_for(mill->inside == 3);
    /* What goes back stays there: no read is under way. */
    assert_int_equal(quern_pool_pause(mill->pool), QUERN_OK);
    wait_for(strstr(redis_ask(&scene->redis, "INFO", "clients")->text, "blocked_clients:0"));
    leave_one_id(scene, stream);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "left_pending") == 2);
    wait_for(mill_stat(mill, "jobs", counter) == 1);
    assert_int_equal(redis_number(&scene->redis, "XLEN", stream), 2);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 2);
    assert_int_equal(mill_stat(mill, "redis", "outages"), 0);
    wait_for(mill_lines(mill, "event=job_left") == 2);
}

static void a_record_that_cannot_be_written_keeps_its_own_job_only(void **state)
{
    spoils_only_itself(*state, QUERN_DONE, "jobs:g:completed", "done");
}

static void a_retry_that_cannot_be_written_keeps_its_own_job_only(void **state)
{
    spoils_only_itself(*state, QUERN_RETRY, "jobs:g:retry", "retry");
}

static void a_letter_that_cannot_be_written_keeps_its_own_job_only(void **state)
{
    spoils_only_itself(*state, QUERN_DEAD, "jobs:failed", "dead");
}

/* ── by the dice ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static uint64_t roll(uint64_t *dice, uint64_t sides)
{
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;
    return *dice % sides;
}

static void whatever_befalls_whom_every_job_is_accounted_for(void **state)
{
    enum { ROUNDS = 30 };
    static const char *const roles[] = {":dispatcher", ":settler", ":reaper", ":heartbeat"};
    uint64_t dice = UINT64_C(88172645463325252);
    start(state, "3000", "100000");
    for (int round = 0; round < ROUNDS; round++) {
        struct proxy_fault fault = roll(&dice, 12) ? quick[roll(&dice, QUICK)] : slow[roll(&dice, SLOW)];
        fault.name = roles[roll(&dice, 4)];
        fault.after = roll(&dice, 2) ? 0 : roll(&dice, 60);
        fault.times = 1 + (int)roll(&dice, 2);
        if (fault.pause_ms == IN_TIME_MS && fault.kind == PROXY_DRIP) fault.after += 100; /* some answers are long */
        proxy_fault(twice.proxy, &fault);
        publish(3 + 3 * (int)roll(&dice, 15));
        wait_for(redis_number(&twice.scene->redis, "XLEN", "jobs:g:completed") +
                     redis_number(&twice.scene->redis, "XLEN", "jobs:failed") >=
                 twice.published);
    }
    proxy_fault(twice.proxy, NULL);
    assert_true(proxy_swallowed(twice.proxy) >= ROUNDS / 2);
    each_is_there_once();
    end();
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(what_became_of_a_job_is_written_once),
        SCENE(a_renewal_is_asked_for_again_and_no_lease_is_lost),
        SCENE(what_was_adopted_is_adopted_again_and_run_once),
        SCENE(a_group_is_made_again_once_and_each_job_is_run_once),
        SCENE(what_was_reclaimed_is_run_once),
        SCENE(a_trim_that_is_repeated_takes_nothing_that_is_needed),
        SCENE(a_sweep_that_is_repeated_takes_nobody_who_is_needed),
        SCENE(what_a_stop_gives_back_is_given_back_once),
        SCENE(a_farewell_whose_answer_is_lost_is_said_again),
        SCENE(an_acknowledgement_that_deletes_is_ambiguous_and_not_lost),
        SCENE(a_record_that_cannot_be_written_keeps_its_own_job_only),
        SCENE(a_retry_that_cannot_be_written_keeps_its_own_job_only),
        SCENE(a_letter_that_cannot_be_written_keeps_its_own_job_only),
        SCENE(whatever_befalls_whom_every_job_is_accounted_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
