/* SPDX-License-Identifier: MIT */
/* Workers on jobs that nobody read from Redis: the test plays dispatcher and settler. */
#include "run/crew.h"
#include "queue/gate.h"
#include "queue/orders.h"

#include "base/thread.h"
#include "base/waker.h"
#include "support/unit.h"

enum { SLOTS = 256, THREADS_MOST = 8, CHANGES = 1000 };

static struct {
    struct slots *slots;
    struct ready *ready;
    struct done *done;
    struct registry *registry;
    struct crew *crew;
    struct orders *orders;
    struct waker refill;
    struct gate gate;
    _Atomic int64_t drain_ns;
    _Atomic uint32_t runs, opened, closed, wrong;
    _Atomic bool is_changed; /* the crew has been changed often enough */
    uint8_t *runs_of;        /* by the number of the job, which is its entry's */
    uint32_t fed, settled;
    uint32_t outcomes[OUTCOME_RELEASED + 1];
    int64_t deadline_ns;
} mill;

enum { NUMBERS = 4000000 };

static int open_thread(void **thread, void *user)
{
    (void)user;
    *thread = (void *)&mill;
    atomic_fetch_add(&mill.opened, 1);
    return 0;
}

static void close_thread(void *thread, void *user)
{
    (void)user;
    if (thread != (void *)&mill) atomic_fetch_add(&mill.wrong, 1);
    atomic_fetch_add(&mill.closed, 1);
}

static quern_verdict grind(quern_job *job, void *thread, void *user)
{
    (void)user;
    if (thread != (void *)&mill || thread_role() != ROLE_WORKER) atomic_fetch_add(&mill.wrong, 1);
    mill.runs_of[job->message.entry.ms]++; /* one job, one thread at a time */
    atomic_fetch_add(&mill.runs, 1);
    return job->message.entry.ms % 7 ? QUERN_DONE : (quern_verdict)99;
}

static void make(void)
{
    memset(&mill, 0, sizeof mill);
    mill.drain_ns = CLOCK_NEVER;
    mill.deadline_ns = unit_deadline_ns();
    mill.runs_of = calloc(NUMBERS, 1);
    assert_int_equal(0, waker_open(&mill.refill));
    mill.slots = slots_open(SLOTS, &mill.drain_ns);
    mill.ready = ready_open(SLOTS, &mill.refill);
    mill.done = done_open();
    mill.orders = orders_open(1);
    quern_handler handler = {
        .size = sizeof handler, .event = "grind", .run = grind, .thread_open = open_thread, .thread_close = close_thread};
    mill.registry = registry_open(
        &(struct registry_setup){.handlers = &(struct handler_setup){.handler = &handler, .policies = &(struct policy){0}},
                                 .count = 1,
                                 .queues = 1,
                                 .policies = &(struct policy){0},
                                 .unhandled = &(int){0}});
    mill.crew = crew_open(&(struct worker_needs){.ready = mill.ready,
                                                 .done = mill.done,
                                                 .slots = mill.slots,
                                                 .registry = mill.registry,
                                                 .gate = &mill.gate,
                                                 .orders = mill.orders});
    assert_true(mill.runs_of && mill.slots && mill.ready && mill.done && mill.registry && mill.orders && mill.crew);
}

static void drop(void)
{
    crew_free(mill.crew);
    registry_close(mill.registry);
    done_free(mill.done);
    orders_free(mill.orders);
    ready_free(mill.ready);
    slots_close(mill.slots);
    waker_close(&mill.refill);
    free(mill.runs_of);
}

static void feed(const char *event)
{
    struct quern_job *job = slots_reserve(mill.slots);
    if (!job) return;
    job->message = (struct message){.event = bytes_of(event), .data = bytes_of("{}"), .entry = {mill.fed++, 0}};
    slot_lease(job, &(struct admission){.deliveries = 1, .now_ns = 1});
    if (!slot_move(job, SLOT_FREE, SLOT_READY)) atomic_fetch_add(&mill.wrong, 1);
    ready_push(mill.ready, job->index);
    ready_wake(mill.ready);
}

static void settle(void)
{
    for (struct quern_job *job; (job = done_take(mill.done)); mill.settled++) {
        if (slot_state(job) != SLOT_DONE || !job->started_ns || job->ended_ns < job->started_ns)
            atomic_fetch_add(&mill.wrong, 1);
        mill.outcomes[job->outcome]++;
        slots_free(mill.slots, job);
    }
}

static void settle_all(void)
{
    while (mill.settled < mill.fed && !unit_is_over(mill.deadline_ns)) {
        done_wait(mill.done, 1, mill.deadline_ns);
        settle();
    }
}

static void each_fed_job_ran_once(void)
{
    assert_int_equal(mill.fed, mill.settled);
    assert_int_equal(mill.fed, mill.runs);
    for (uint32_t i = 0; i < mill.fed; i++)
        if (mill.runs_of[i] != 1) fail_msg("job %u ran %u times", i, mill.runs_of[i]);
    assert_int_equal(0, mill.wrong);
    assert_int_equal(mill.opened, mill.closed);
}

/* ── */

static void jobs_run_and_become_what_their_handlers_said(void **state)
{
    (void)state;
    make();
    quern_error err;
    assert_int_equal(QUERN_OK, crew_set(mill.crew, 2, &err));
    for (int i = 0; i < 70; i++) feed("grind");
    settle_all();
    assert_int_equal(60, mill.outcomes[OUTCOME_DONE]);
    assert_int_equal(10, mill.outcomes[OUTCOME_RETRY]); /* no verdict counts as one */
    struct crew_sums sums;
    ready_close(mill.ready);
    crew_join(mill.crew);
    crew_read(mill.crew, &sums);
    assert_true(sums.jobs == 70 && sums.running == 0 && sums.run_ns > 0 && sums.threads == 2);
    each_fed_job_ran_once();
    assert_in_range(mill.opened, 1, 2); /* one context for each thread that ran one */
    drop();
}

static void what_nobody_handles_is_said_and_not_run(void **state)
{
    (void)state;
    make();
    quern_error err;
    assert_int_equal(QUERN_OK, crew_set(mill.crew, 1, &err));
    for (int i = 0; i < 10; i++) feed("unknown");
    settle_all();
    assert_int_equal(10, mill.outcomes[OUTCOME_UNHANDLED]);
    assert_int_equal(0, mill.runs);
    ready_close(mill.ready);
    crew_join(mill.crew);
    drop();
}

static void a_close_lets_what_is_inside_run_and_closes_the_next_queue(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        make();
        quern_error err;
        for (int i = 0; i < 100; i++) feed("grind");
        assert_int_equal(QUERN_OK, crew_set(mill.crew, 3, &err));
        ready_close(mill.ready);
        while (!done_is_closed(mill.done) && !unit_is_over(mill.deadline_ns)) done_wait(mill.done, SLOTS, mill.deadline_ns);
        assert_true(done_is_closed(mill.done));
        crew_join(mill.crew);
        settle();
        each_fed_job_ran_once();
        assert_int_equal(QUERN_E_GONE, crew_set(mill.crew, 4, &err));
        drop();
    }
}

/* ── up and down ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static void change_often(void)
{
    uint64_t seed = 31;
    for (int i = 0; i < CHANGES; i++) {
        quern_error err;
        uint32_t n = 1 + (uint32_t)unit_random(&seed) % THREADS_MOST;
        if (crew_set(mill.crew, n, &err) != QUERN_OK) atomic_fetch_add(&mill.wrong, 1);
        struct crew_sums sums;
        crew_read(mill.crew, &sums);
        if (sums.threads != n) atomic_fetch_add(&mill.wrong, 1);
        for (uint32_t more = atomic_load(&mill.runs) + 1 + (uint32_t)unit_random(&seed) % 50;
             (int32_t)(more - atomic_load(&mill.runs)) > 0 && !unit_is_over(mill.deadline_ns);)
            sched_yield(); /* somebody works on, whatever was changed */
    }
    atomic_store(&mill.is_changed, true);
}

static void feed_and_settle(void)
{
    uint64_t seed = 37;
    while (!atomic_load(&mill.is_changed) && mill.fed < NUMBERS - SLOTS && !unit_is_over(mill.deadline_ns)) {
        for (uint64_t n = unit_random(&seed) % 16; n; n--) feed("grind");
        settle();
        if (unit_random(&seed) % 4 == 0) sched_yield();
    }
    settle_all();
    ready_close(mill.ready);
}

static void change_or_feed(void *user, unsigned number)
{
    (void)user;
    if (number)
        change_often();
    else
        feed_and_settle();
}

static void a_thousand_changes_of_the_crew_lose_no_job(void **state)
{
    (void)state;
    make();
    quern_error err;
    assert_int_equal(QUERN_OK, crew_set(mill.crew, 1, &err));
    unit_together(2, change_or_feed, NULL);
    crew_join(mill.crew);
    assert_true(mill.is_changed);
    assert_false(unit_is_over(mill.deadline_ns));
    assert_true(done_is_closed(mill.done));
    each_fed_job_ran_once();
    struct crew_sums sums;
    crew_read(mill.crew, &sums);
    assert_int_equal(mill.fed, sums.jobs);
    drop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_and_become_what_their_handlers_said),
        cmocka_unit_test(what_nobody_handles_is_said_and_not_run),
        cmocka_unit_test(a_close_lets_what_is_inside_run_and_closes_the_next_queue),
        cmocka_unit_test(a_thousand_changes_of_the_crew_lose_no_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
