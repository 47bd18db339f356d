/* SPDX-License-Identifier: MIT */
#include "job/slot.h"

#include "support/unit.h"

enum { SLOTS = 1000, RACES = 200000, RECYCLED = 300000 };

static _Atomic int64_t drain_ns = CLOCK_NEVER;
static struct slots *slots;

static int make(void **state)
{
    (void)state;
    slots = slots_open(SLOTS, &drain_ns);
    return slots ? 0 : -1;
}

static int drop(void **state)
{
    (void)state;
    bool all_free = slots_free_count(slots) == SLOTS && slots_held_count(slots) == 0;
    slots_close(slots);
    return all_free ? 0 : -1;
}

static struct quern_job *held(void)
{
    struct quern_job *job = slots_reserve(slots);
    assert_non_null(job);
    slot_lease(job, &(struct admission){.origin = 1, .deliveries = 2, .granted_ns = 3, .now_ns = 4});
    return job;
}

/* A job in this state, by allowed moves. */
static struct quern_job *job_in(enum slot_state wanted)
{
    struct quern_job *job = held();
    if (wanted != SLOT_FREE) assert_true(slot_move(job, SLOT_FREE, SLOT_READY));
    if (wanted > SLOT_READY) assert_true(slot_move(job, SLOT_READY, SLOT_RUNNING));
    if (wanted > SLOT_RUNNING) assert_true(slot_move(job, SLOT_RUNNING, wanted));
    assert_int_equal(wanted, slot_state(job));
    return job;
}

static void job_ends(struct quern_job *job)
{
    if (slot_state(job) != SLOT_DONE) assert_true(slot_move(job, slot_state(job), SLOT_DONE));
    slots_free(slots, job);
}

/* ── moves ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

static const bool allowed[SLOT_STATES][SLOT_STATES] = {
    [SLOT_FREE] = {[SLOT_READY] = true, [SLOT_DONE] = true},
    [SLOT_READY] = {[SLOT_RUNNING] = true, [SLOT_DONE] = true},
    [SLOT_RUNNING] = {[SLOT_READY] = true, [SLOT_PENDING] = true, [SLOT_DONE] = true},
    [SLOT_PENDING] = {[SLOT_DONE] = true},
};

static void each_allowed_move_is_made_and_only_from_its_state(void **state)
{
    (void)state;
    for (int is = SLOT_FREE; is < SLOT_STATES; is++)
        for (int from = SLOT_FREE; from < SLOT_STATES; from++)
            for (int to = SLOT_FREE; to < SLOT_STATES; to++) {
                if (!allowed[from][to]) continue;
                struct quern_job *job = job_in((enum slot_state)is);
                assert_int_equal(is == from, slot_move(job, (enum slot_state)from, (enum slot_state)to));
                assert_int_equal(is == from ? to : is, slot_state(job));
                job_ends(job);
            }
}

/* Where assertions are on they end the process: a bug of the caller's. */
static void a_forbidden_move_is_refused(void **state)
{
    (void)state;
#ifdef NDEBUG
    for (int from = SLOT_FREE; from < SLOT_STATES; from++)
        for (int to = SLOT_FREE; to < SLOT_STATES; to++) {
            if (allowed[from][to] || (from == SLOT_DONE && to == SLOT_FREE)) continue; /* that one is slots_free()'s */
            struct quern_job *job = job_in((enum slot_state)from);
            assert_false(slot_move(job, (enum slot_state)from, (enum slot_state)to));
            assert_int_equal(from, slot_state(job));
            job_ends(job);
        }
#endif
}

static void slots_are_reserved_once_and_come_back(void **state)
{
    (void)state;
    bool seen[SLOTS] = {false};
    struct quern_job *jobs[SLOTS];
    for (uint32_t i = 0; i < SLOTS; i++) {
        assert_int_equal(SLOTS - i, slots_free_count(slots));
        jobs[i] = slots_reserve(slots);
        assert_false(seen[jobs[i]->index]);
        seen[jobs[i]->index] = true;
        assert_ptr_equal(jobs[i], slots_at(slots, jobs[i]->index));
    }
    assert_null(slots_reserve(slots));
    assert_int_equal(0, slots_held_count(slots)); /* reserved is not held */
    for (uint32_t i = 0; i < SLOTS; i++) slots_unreserve(slots, jobs[i]);
    assert_int_equal(SLOTS, slots_count(slots));
}

/* ── tickets ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_ticket_is_good_once_and_for_its_own_job(void **state)
{
    (void)state;
    struct quern_job *job = job_in(SLOT_RUNNING);
    uint64_t ticket = slot_ticket(job);
    assert_true(ticket == slot_ticket(job) && ticket != 0);
    assert_null(slots_claim(slots, 0));
    assert_null(slots_claim(slots, UINT64_MAX));
    assert_null(slots_claim(slots, (ticket & UINT64_C(0xffffffff00000000)) | (SLOTS + 1)));
    assert_null(slots_claim(slots, ticket + (UINT64_C(1) << 32)));
    assert_null(slots_claim(slots, ticket - (UINT64_C(1) << 32)));
    assert_int_equal(END_THEIRS, slot_end(job, true));
    assert_int_equal(SLOT_PENDING, slot_state(job));
    assert_ptr_equal(job, slots_claim(slots, ticket));
    assert_null(slots_claim(slots, ticket));
    assert_true(slot_said(job));
    assert_int_equal(SLOT_DONE, slot_state(job));
    slots_free(slots, job);
    assert_null(slots_claim(slots, ticket));
    /* The next job of the same slot: the old ticket is still nobody's. */
    for (int i = 0; i < SLOTS; i++) {
        struct quern_job *next = job_in(SLOT_RUNNING);
        uint64_t own = slot_ticket(next);
        assert_null(slots_claim(slots, ticket));
        assert_true(own != ticket);
        job_ends(next);
        assert_null(slots_claim(slots, own));
    }
}

static void without_a_ticket_nobody_finishes_a_job(void **state)
{
    (void)state;
    struct quern_job *job = job_in(SLOT_RUNNING);
    struct lease lease;
    assert_true(slot_lease_of(job, &lease));
    assert_null(slots_claim(slots, (uint64_t)lease.generation << 32 | (job->index + 1)));
    assert_int_equal(END_OURS, slot_end(job, false));
    job_ends(job);
}

static void a_ticket_before_the_handlers_end_speaks_for_it(void **state)
{
    (void)state;
    for (int is_pending = 0; is_pending < 2; is_pending++) {
        struct quern_job *job = job_in(SLOT_RUNNING);
        assert_ptr_equal(job, slots_claim(slots, slot_ticket(job)));
        assert_false(slot_said(job)); /* its handler still runs: the worker will push it */
        assert_int_equal(END_SAID, slot_end(job, is_pending));
        job_ends(job);
        job = job_in(SLOT_RUNNING);
        assert_ptr_equal(job, slots_claim(slots, slot_ticket(job)));
        assert_int_equal(END_THEIRS, slot_end(job, is_pending)); /* between its claim and its word */
        assert_true(slot_said(job));
        job_ends(job);
    }
}

/* Worker and finisher meet over RACES jobs, SLOTS at a time, in the same order, so that they chase each other. */
struct race {
    pthread_barrier_t turn;
    struct quern_job *jobs[SLOTS];
    uint64_t tickets[SLOTS];
    uint8_t pushes[2][SLOTS];
    uint8_t claimed[SLOTS]; /* finisher's: it wrote the verdict */
    uint32_t wrong;
};

static void push_and_settle(struct race *race, int i)
{
    struct quern_job *job = race->jobs[i];
    race->wrong += race->pushes[0][i] + race->pushes[1][i] != 1 || slot_state(job) != SLOT_DONE;
    race->wrong += job->outcome != (race->claimed[i] ? OUTCOME_DEAD : OUTCOME_DONE);
    slots_free(slots, job);
}

static void prepare(struct race *race)
{
    memset(race->pushes, 0, sizeof race->pushes);
    memset(race->claimed, 0, sizeof race->claimed);
    for (int i = 0; i < SLOTS; i++) {
        race->jobs[i] = slots_reserve(slots);
        slot_lease(race->jobs[i], &(struct admission){.deliveries = 1});
        race->wrong += !slot_move(race->jobs[i], SLOT_FREE, SLOT_READY) || !slot_move(race->jobs[i], SLOT_READY, SLOT_RUNNING);
        race->tickets[i] = slot_ticket(race->jobs[i]);
    }
}

static void work(struct race *race, int i)
{
    enum slot_end end = slot_end(race->jobs[i], i % 3 != 0);
    if (end == END_OURS) race->jobs[i]->outcome = OUTCOME_DONE;
    race->pushes[0][i] = end != END_THEIRS;
}

static void finish(struct race *race, int i)
{
    struct quern_job *job = slots_claim(slots, race->tickets[i]);
    if (!job) return;
    race->claimed[i] = 1;
    job->outcome = OUTCOME_DEAD;
    race->pushes[1][i] = slot_said(job);
}

static void take_part(void *given, unsigned number)
{
    struct race *race = given;
    for (int batch = 0; batch < RACES / SLOTS; batch++) {
        if (number == 0) prepare(race);
        pthread_barrier_wait(&race->turn);
        for (int i = 0; i < SLOTS; i++) number ? finish(race, i) : work(race, i);
        pthread_barrier_wait(&race->turn);
        for (int i = 0; number == 0 && i < SLOTS; i++) push_and_settle(race, i);
    }
}

static void worker_and_finisher_push_each_job_once_however_they_meet(void **state)
{
    (void)state;
    struct race *race = calloc(1, sizeof *race);
    pthread_barrier_init(&race->turn, NULL, 2);
    unit_together(2, take_part, race);
    assert_int_equal(0, race->wrong);
    pthread_barrier_destroy(&race->turn);
    free(race);
}

/* ── seizing ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The same with a seizer in the finisher's place; a ghost counts as a push of its job. */
static void seize(struct race *race, int i)
{
    struct quern_job *job = race->jobs[i];
    if (!slot_seize(job, (uint32_t)(race->tickets[i] >> 32))) return;
    race->claimed[i] = 1;
    job->said.outcome = OUTCOME_SEIZED;
    if (slot_said(job)) job->outcome = OUTCOME_TIMEOUT;
    race->pushes[1][i] = 1;
}

static void end_handler(struct race *race, int i)
{
    struct quern_job *job = race->jobs[i];
    enum slot_end end = slot_end(job, i % 3 == 0);
    if (end == END_OURS) job->outcome = OUTCOME_DONE;
    if (end == END_SAID) slot_merge(job);
    race->pushes[0][i] = end != END_THEIRS;
}

static void count_seized(struct race *race, int i)
{
    struct quern_job *job = race->jobs[i];
    bool is_body = race->pushes[0][i] && race->pushes[1][i]; /* what is left when its ghost is pushed */
    if (slot_state(job) == SLOT_PENDING) {                   /* deferred, and not seized in time */
        race->wrong += race->claimed[i] || race->pushes[0][i];
        slot_move(job, SLOT_PENDING, SLOT_DONE);
        slots_free(slots, job);
        return;
    }
    race->wrong += slot_state(job) != SLOT_DONE || (race->claimed[i] && !race->pushes[1][i]);
    race->wrong += job->outcome != (is_body ? OUTCOME_SEIZED : race->claimed[i] ? OUTCOME_TIMEOUT : OUTCOME_DONE);
    slots_free(slots, job);
}

/* A third says "pending" too: such a job is seized while it waits for its ticket. */
static void take_part_in_seizing(void *given, unsigned number)
{
    struct race *race = given;
    for (int batch = 0; batch < RACES / SLOTS; batch++) {
        if (number == 0) prepare(race);
        pthread_barrier_wait(&race->turn);
        for (int i = 0; i < SLOTS; i++) number ? seize(race, i) : end_handler(race, i);
        pthread_barrier_wait(&race->turn);
        for (int i = 0; number == 0 && i < SLOTS; i++) count_seized(race, i);
    }
}

static void a_handler_and_its_seizer_settle_each_job_once_however_they_meet(void **state)
{
    (void)state;
    struct race *race = calloc(1, sizeof *race);
    pthread_barrier_init(&race->turn, NULL, 2);
    unit_together(2, take_part_in_seizing, race);
    assert_int_equal(0, race->wrong);
    pthread_barrier_destroy(&race->turn);
    free(race);
}

static void a_job_is_seized_once_and_only_while_it_runs(void **state)
{
    (void)state;
    struct quern_job *job = job_in(SLOT_READY);
    struct lease lease;
    assert_true(slot_look(job, &lease));
    assert_false(slot_seize(job, lease.generation));
    assert_true(slot_move(job, SLOT_READY, SLOT_RUNNING));
    assert_false(slot_seize(job, lease.generation + 1));
    uint64_t ticket = slot_ticket(job);
    assert_true(slot_seize(job, lease.generation));
    assert_false(slot_seize(job, lease.generation));
    assert_null(slots_claim(slots, ticket)); /* its ticket is too late */
    assert_false(slot_said(job));
    assert_int_equal(END_SAID, slot_end(job, false));
    job_ends(job);
}

/* Its acknowledgement may itself have ended the lease, but never the entry. */
static void a_job_that_has_ended_still_hears_that_its_entry_is_gone(void **state)
{
    (void)state;
    struct quern_job *job = job_in(SLOT_DONE);
    struct lease lease;
    assert_true(slot_look(job, &lease));
    assert_false(slot_mark(job, lease.generation, SLOT_LOST) || slot_is_gone(job));
    assert_true(slot_mark(job, lease.generation, SLOT_GONE) && slot_is_gone(job));
    job_ends(job);
    assert_false(slot_mark(job, lease.generation, SLOT_GONE) || slot_is_gone(job));
}

static void a_ghost_holds_what_settling_needs_and_takes_the_lease_with_it(void **state)
{
    (void)state;
    static const struct reply fields[] = {
        {REPLY_TEXT, 5, {.text = "event"}},
        {REPLY_TEXT, 1, {.text = "e"}},
        {REPLY_TEXT, 4, {.text = "data"}},
        {REPLY_TEXT, 1, {.text = "1"}},
    };
    const struct reply list = {REPLY_ARRAY, 4, {.items = fields}};
    struct entry entry = {.id = {5, 6}, .fields = &list};
    struct quern_job *job = slots_reserve(slots);
    struct lease lease;
    assert_int_equal(QUERN_OK, message_read(&job->message, &entry, false, 100, NULL));
    slot_lease(job, &(struct admission){.origin = 1, .deliveries = 2});
    job->policy.retry_limit = 7;
    assert_true(slot_move(job, SLOT_FREE, SLOT_READY) && slot_move(job, SLOT_READY, SLOT_RUNNING) && slot_look(job, &lease));
    assert_true(slot_seize(job, lease.generation));
    struct quern_job *ghost = slots_ghost(slots, job);
    assert_non_null(ghost);
    assert_int_equal(1, slots_ghost_count(slots));
    assert_true(bytes_is(ghost->message.event, "e") && bytes_is(ghost->message.data, "1"));
    assert_ptr_not_equal(ghost->message.data.at, job->message.data.at);
    assert_string_equal("5-6", ghost->message.entry_text);
    assert_true(ghost->origin == 1 && ghost->deliveries == 2 && ghost->policy.retry_limit == 7);
    assert_false(slot_said(job));
    assert_true(slot_lease_of(job, &lease)); /* renewed until the ghost is settled */
    assert_false(slot_is_gone(ghost));
    assert_true(slot_mark(job, lease.generation, SLOT_GONE) && slot_is_gone(ghost));
    slots_free(slots, ghost);
    assert_int_equal(0, slots_ghost_count(slots));
    assert_true(slot_has(job, SLOT_LOST));
    assert_int_equal(END_SAID, slot_end(job, false));
    job_ends(job);
}

/* ── leases ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A group was made again: the same entry is handed out once more, while the heartbeat has an answer about the old lease in hand. */
static void a_new_grant_of_the_same_lease_outdates_what_was_answered_before(void **state)
{
    (void)state;
    struct quern_job *job = slots_reserve(slots);
    struct lease old, lease;
    job->message.entry = (struct entry_id){5, 6};
    job->message.id = (quern_bytes){"job-1", 5};
    slot_lease(job, &(struct admission){.origin = 1, .deliveries = 1, .granted_ns = 10});
    assert_true(slot_move(job, SLOT_FREE, SLOT_READY) && slot_lease_of(job, &old));
    assert_int_equal(message_identity(&job->message), old.identity);
    assert_true(slot_mark(job, old.generation, SLOT_GONE));
    assert_false(slot_lose(job, &old)); /* pending for nobody, which the answer took for another's */
    assert_null(slots_find(slots, 0, old.entry, &lease));
    assert_ptr_equal(job, slots_find(slots, 1, old.entry, &lease));
    assert_false(slot_regrant(job, old.generation + 1, 3, 20));
    assert_true(slot_regrant(job, old.generation, 2, 30));
    assert_true(slot_lease_of(job, &lease) && lease.deliveries == 2 && lease.granted_ns == 30);
    assert_false(slot_lose(job, &old));
    assert_true(slot_lose(job, &lease) && slot_is_lost(job));
    assert_false(slot_regrant(job, old.generation, 2, 40)); /* its handler was told: the entry is run anew */
    assert_null(slots_find(slots, 1, old.entry, &lease));
    job->message = (struct message){0};
    job_ends(job);
}

static void a_superseded_job_is_lost_even_if_it_has_ended(void **state)
{
    (void)state;
    struct quern_job *job = job_in(SLOT_DONE);
    struct lease lease;
    assert_true(slot_look(job, &lease));
    assert_false(slot_supersede(job, lease.generation + 1));
    assert_true(slot_supersede(job, lease.generation) && slot_is_lost(job));
    assert_false(slot_supersede(job, lease.generation)); /* told once */
    job_ends(job);
    assert_false(slot_supersede(job, lease.generation) || slot_is_lost(job));
}

static void a_lease_is_what_was_admitted_until_it_ends(void **state)
{
    (void)state;
    struct quern_job *job = slots_reserve(slots);
    struct lease lease;
    assert_false(slot_lease_of(job, &lease));
    job->message.entry = (struct entry_id){5, 6};
    slot_lease(job, &(struct admission){.origin = 7, .deliveries = 8, .granted_ns = 9, .now_ns = 10});
    assert_false(slot_lease_of(job, &lease)); /* still FREE: not held */
    assert_true(slot_move(job, SLOT_FREE, SLOT_READY));
    assert_true(slot_lease_of(job, &lease));
    assert_true(lease.entry.ms == 5 && lease.entry.seq == 6 && lease.origin == 7 && lease.deliveries == 8);
    assert_true(lease.granted_ns == 9 && lease.index == job->index);
    slot_renewed(job, lease.generation + 1, 50); /* another lease's renewal */
    assert_true(slot_lease_of(job, &lease) && lease.granted_ns == 9);
    slot_renewed(job, lease.generation, 50);
    assert_true(slot_lease_of(job, &lease) && lease.granted_ns == 50);
    assert_false(slot_mark(job, lease.generation + 1, SLOT_LOST));
    assert_true(slot_mark(job, lease.generation, SLOT_LOST));
    assert_false(slot_mark(job, lease.generation, SLOT_LOST)); /* told once */
    assert_true(slot_has(job, SLOT_LOST));
    assert_false(slot_lease_of(job, &lease)); /* nothing to renew any more */
    job_ends(job);
    assert_false(slot_mark(job, lease.generation, SLOT_LOST) || slot_mark(job, lease.generation + 1, SLOT_LOST));
    assert_false(slot_has(job, SLOT_LOST));
}

/* One thread recycles a few slots as fast as it can; three look, renew and mark. All of a lease is its generation. */
struct recycling {
    _Atomic bool is_over;
    _Atomic uint32_t mixed, seen, lost, wrongly_lost;
};

static void recycle(struct recycling *all)
{
    static uint32_t generations[SLOTS];
    for (int i = 0; i < SLOTS; i++) generations[i] = 1;
    for (int i = 0; i < RECYCLED; i++) {
        struct quern_job *job = slots_at(slots, (uint32_t)i % 4);
        uint32_t generation = generations[job->index]++;
        job->message.entry = (struct entry_id){generation, generation};
        slot_lease(job, &(struct admission){.origin = generation, .deliveries = generation, .granted_ns = generation});
        slot_move(job, SLOT_FREE, i % 5 ? SLOT_READY : SLOT_DONE);
        if (i % 5) slot_move(job, SLOT_READY, SLOT_RUNNING);
        if (i % 5) slot_move(job, SLOT_RUNNING, SLOT_DONE);
        all->wrongly_lost += slot_has(job, SLOT_LOST) && generation % 3;
        slots_free(slots, job);
        all->mixed += slots_reserve(slots) != job; /* all others are taken */
    }
    atomic_store(&all->is_over, true);
}

static void look(void *given, unsigned number)
{
    struct recycling *all = given;
    if (number == 0) {
        recycle(all);
        return;
    }
    for (uint32_t i = 0; !atomic_load(&all->is_over); i++) {
        struct quern_job *job = slots_at(slots, i % 4);
        struct lease lease;
        if (!slot_lease_of(job, &lease)) continue;
        uint32_t is = lease.generation;
        atomic_fetch_add(&all->seen, 1);
        bool is_whole = lease.entry.ms == is && lease.entry.seq == is && lease.deliveries == is && lease.origin == is &&
                        (uint32_t)lease.granted_ns == is;
        if (!is_whole) atomic_fetch_add(&all->mixed, 1);
        if (number == 1) slot_renewed(job, is, lease.granted_ns + (INT64_C(1) << 32));
        if (number == 2 && is % 3 == 0 && slot_mark(job, is, SLOT_LOST)) atomic_fetch_add(&all->lost, 1);
    }
}

static void a_lease_is_never_mixed_from_two(void **state)
{
    (void)state;
    struct recycling all = {0};
    struct quern_job *rest[SLOTS];
    for (int i = 0; i < SLOTS; i++) rest[i] = slots_reserve(slots);
    unit_together(4, look, &all);
    for (int i = 0; i < SLOTS; i++) slots_unreserve(slots, rest[i]);
    assert_int_equal(0, all.mixed);
    assert_int_equal(0, all.wrongly_lost);
    assert_true(all.seen > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_allowed_move_is_made_and_only_from_its_state, make, drop),
        cmocka_unit_test_setup_teardown(a_forbidden_move_is_refused, make, drop),
        cmocka_unit_test_setup_teardown(slots_are_reserved_once_and_come_back, make, drop),
        cmocka_unit_test_setup_teardown(a_ticket_is_good_once_and_for_its_own_job, make, drop),
        cmocka_unit_test_setup_teardown(without_a_ticket_nobody_finishes_a_job, make, drop),
        cmocka_unit_test_setup_teardown(a_ticket_before_the_handlers_end_speaks_for_it, make, drop),
        cmocka_unit_test_setup_teardown(worker_and_finisher_push_each_job_once_however_they_meet, make, drop),
        cmocka_unit_test_setup_teardown(a_handler_and_its_seizer_settle_each_job_once_however_they_meet, make, drop),
        cmocka_unit_test_setup_teardown(a_job_is_seized_once_and_only_while_it_runs, make, drop),
        cmocka_unit_test_setup_teardown(a_job_that_has_ended_still_hears_that_its_entry_is_gone, make, drop),
        cmocka_unit_test_setup_teardown(a_ghost_holds_what_settling_needs_and_takes_the_lease_with_it, make, drop),
        cmocka_unit_test_setup_teardown(a_new_grant_of_the_same_lease_outdates_what_was_answered_before, make, drop),
        cmocka_unit_test_setup_teardown(a_superseded_job_is_lost_even_if_it_has_ended, make, drop),
        cmocka_unit_test_setup_teardown(a_lease_is_what_was_admitted_until_it_ends, make, drop),
        cmocka_unit_test_setup_teardown(a_lease_is_never_mixed_from_two, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
