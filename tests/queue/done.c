/* SPDX-License-Identifier: MIT */
#include "queue/done.h"

#include "job/slot.h"
#include "support/unit.h"

enum { PUSHERS = 4, JOBS = 400000, BATCH = 64 };

static void jobs_come_out_in_the_order_of_their_pushes(void **state)
{
    (void)state;
    struct done *done = done_open();
    struct quern_job *jobs = slots_loose(100);
    assert_null(done_take(done));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) done_push(done, &jobs[i]);
        assert_int_equal(100, done_length(done));
        for (int i = 0; i < 100; i++) assert_ptr_equal(&jobs[i], done_take(done));
        assert_null(done_take(done));
        assert_int_equal(0, done_length(done));
    }
    free(jobs);
    done_free(done);
}

static void who_has_enough_does_not_wait_and_who_has_not_waits_to_the_deadline(void **state)
{
    (void)state;
    struct done *done = done_open();
    struct quern_job jobs[3] = {0};
    for (int i = 0; i < 3; i++) done_push(done, &jobs[i]);
    done_wait(done, 3, CLOCK_NEVER);
    done_rest(done, 3, CLOCK_NEVER);
    int64_t before_ns = clock_now_ns();
    done_wait(done, 4, before_ns + 20 * NS_PER_MS);
    done_rest(done, 4, before_ns + 40 * NS_PER_MS);
    assert_true(clock_now_ns() >= before_ns + 40 * NS_PER_MS);
    while (done_take(done)) continue;
    done_free(done);
}

static void one_that_ran_alone_is_not_lingered_over(void **state)
{
    (void)state;
    struct done *done = done_open();
    struct quern_job jobs[2] = {0};
    atomic_store(&jobs[1].origin, LANE_ALONE);
    done_push(done, &jobs[0]);
    done_push(done, &jobs[1]); /* while nobody sleeps: there is nobody to be woken */
    done_wait(done, 100, CLOCK_NEVER);
    done_rest(done, 100, CLOCK_NEVER);
    while (done_take(done)) continue;
    int64_t before_ns = clock_now_ns();
    done_wait(done, 100, before_ns + 20 * NS_PER_MS);
    assert_true(clock_now_ns() >= before_ns + 20 * NS_PER_MS);
    done_free(done);
}

static void a_closed_queue_is_not_waited_for_but_rested_in(void **state)
{
    (void)state;
    struct done *done = done_open();
    struct quern_job job = {0};
    assert_false(done_is_closed(done));
    done_close(done);
    assert_true(done_is_closed(done));
    done_wait(done, 1, CLOCK_NEVER);
    int64_t before_ns = clock_now_ns();
    done_rest(done, 1, before_ns + 20 * NS_PER_MS);
    assert_true(clock_now_ns() >= before_ns + 20 * NS_PER_MS);
    done_push(done, &job); /* a ticket's */
    done_rest(done, 1, CLOCK_NEVER);
    assert_ptr_equal(&job, done_take(done));
    done_free(done);
}

/* ── four pushers and the settler ────────────────────────────────────────────────────────────────────────────────── */

struct mill {
    struct done *done;
    struct quern_job *jobs;
    uint8_t *seen;
    _Atomic uint32_t pushing;
    uint32_t taken, wrong;
    bool is_stuck;
    int64_t deadline_ns;
};

static void push_own(struct mill *mill, unsigned pusher)
{
    uint64_t seed = pusher;
    for (uint32_t i = pusher - 1; i < JOBS; i += PUSHERS) {
        mill->jobs[i].started_ns = i; /* what is written before the push is seen behind the take */
        done_push(mill->done, &mill->jobs[i]);
        if (unit_random(&seed) % 1000 == 0) sched_yield();
    }
    if (atomic_fetch_sub(&mill->pushing, 1) == 1) done_close(mill->done);
}

static void take_batch(struct mill *mill, int64_t last[PUSHERS])
{
    for (struct quern_job *job; (job = done_take(mill->done)); mill->taken++) {
        uint32_t i = (uint32_t)(job - mill->jobs);
        mill->wrong += mill->seen[i] || job->started_ns != i || last[i % PUSHERS] >= i;
        mill->seen[i] = 1;
        last[i % PUSHERS] = i;
    }
}

/* As the settler does it: asleep for the first, then for a batch or a moment. */
static void settle(struct mill *mill)
{
    int64_t last[PUSHERS] = {-1, -1, -1, -1};
    while (!(done_is_closed(mill->done) && done_length(mill->done) == 0) && !mill->is_stuck) {
        done_wait(mill->done, 1, mill->deadline_ns);
        mill->is_stuck = unit_is_over(mill->deadline_ns);
        done_wait(mill->done, BATCH, clock_now_ns() + NS_PER_MS / 5);
        take_batch(mill, last);
    }
}

static void push_or_settle(void *given, unsigned number)
{
    if (number)
        push_own(given, number);
    else
        settle(given);
}

static void four_pushers_and_one_settler_meet_each_job_once(void **state)
{
    (void)state;
    struct mill mill = {.done = done_open(),
                        .jobs = slots_loose(JOBS),
                        .seen = calloc(JOBS, 1),
                        .pushing = PUSHERS,
                        .deadline_ns = unit_deadline_ns()};
    unit_together(1 + PUSHERS, push_or_settle, &mill);
    assert_false(mill.is_stuck);
    assert_int_equal(0, mill.wrong);
    assert_int_equal(JOBS, mill.taken);
    done_free(mill.done);
    free(mill.jobs);
    free(mill.seen);
}

/* ── waking ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

enum { ROUNDS = 3000 };

struct sleeper {
    struct done *done;
    struct quern_job jobs[BATCH];
    void (*wait)(struct done *done, uint64_t at_least, int64_t deadline_ns);
    void (*end)(struct sleeper *sleeper); /* what must wake it */
    _Atomic uint32_t round, woken;
    int64_t deadline_ns;
};

static void push_a_batch(struct sleeper *sleeper)
{
    for (int i = 0; i < BATCH; i++) done_push(sleeper->done, &sleeper->jobs[i]);
}

static void wake(struct sleeper *sleeper)
{
    done_wake(sleeper->done);
}

static void sleep_or_wake(void *given, unsigned number)
{
    struct sleeper *sleeper = given;
    for (uint32_t round = 1; round <= ROUNDS && !unit_is_over(sleeper->deadline_ns); round++) {
        if (number) {
            while (atomic_load(&sleeper->round) < round && !unit_is_over(sleeper->deadline_ns)) sched_yield();
            sleeper->end(sleeper);
            while (atomic_load(&sleeper->woken) < round && !unit_is_over(sleeper->deadline_ns))
                if (sleeper->end == wake)
                    done_wake(sleeper->done); /* it may not have slept yet */
                else
                    sched_yield();
        } else {
            atomic_store(&sleeper->round, round);
            do sleeper->wait(sleeper->done, BATCH, sleeper->deadline_ns);
            while (sleeper->end != wake && done_length(sleeper->done) < BATCH && !unit_is_over(sleeper->deadline_ns));
            while (done_take(sleeper->done)) continue;
            atomic_store(&sleeper->woken, round);
        }
    }
}

static void the_last_of_a_batch_wakes_and_so_does_a_wake(void **state)
{
    static const struct {
        void (*wait)(struct done *done, uint64_t at_least, int64_t deadline_ns);
        void (*end)(struct sleeper *sleeper);
    } table[] = {{done_wait, push_a_batch}, {done_rest, push_a_batch}, {done_wait, wake}, {done_rest, wake}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct sleeper *sleeper = calloc(1, sizeof *sleeper);
        *sleeper = (struct sleeper){
            .done = done_open(), .wait = table[i].wait, .end = table[i].end, .deadline_ns = unit_deadline_ns()};
        unit_together(2, sleep_or_wake, sleeper);
        assert_int_equal(ROUNDS, sleeper->woken);
        done_free(sleeper->done);
        free(sleeper);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_come_out_in_the_order_of_their_pushes),
        cmocka_unit_test(who_has_enough_does_not_wait_and_who_has_not_waits_to_the_deadline),
        cmocka_unit_test(one_that_ran_alone_is_not_lingered_over),
        cmocka_unit_test(a_closed_queue_is_not_waited_for_but_rested_in),
        cmocka_unit_test(four_pushers_and_one_settler_meet_each_job_once),
        cmocka_unit_test(the_last_of_a_batch_wakes_and_so_does_a_wake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
