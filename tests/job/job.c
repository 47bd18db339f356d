/* SPDX-License-Identifier: MIT */
/* The public accessors, on a slot without a pool. */
#include <jansson.h>

#include "job/slot.h"
#include "support/unit.h"

enum { RESULT_MAX = 64 * 1024, ERROR_MAX = 1000 };

static _Atomic int64_t drain_ns;
static struct slots *slots;
static quern_job *job;

/* The one slot, as a worker has it. */
static void begin(void)
{
    job = slots_reserve(slots);
    job->message = (struct message){.id = bytes_of("job-1"),
                                    .event = bytes_of("sum"),
                                    .data = bytes_of("{\"a\":1}"),
                                    .entry = {1700000000000, 3},
                                    .retries = 4,
                                    .deliveries_before = 5};
    entry_id_text(job->message.entry, job->message.entry_text);
    slot_lease(job, &(struct admission){.origin = 0, .deliveries = 2, .granted_ns = 1, .now_ns = 1});
    slot_move(job, SLOT_FREE, SLOT_READY);
    slot_move(job, SLOT_READY, SLOT_RUNNING);
}

static int make(void **state)
{
    (void)state;
    drain_ns = CLOCK_NEVER;
    slots = slots_open(1, &drain_ns);
    begin();
    return 0;
}

static int drop(void **state)
{
    (void)state;
    slot_move(job, SLOT_RUNNING, SLOT_DONE);
    slots_free(slots, job);
    slots_close(slots);
    return 0;
}

static void a_job_says_what_it_is(void **state)
{
    (void)state;
    assert_true(bytes_is(quern_job_id(job), "job-1"));
    assert_true(bytes_is(quern_job_event(job), "sum"));
    assert_true(bytes_is(quern_job_data(job), "{\"a\":1}"));
    assert_true(bytes_is(quern_job_entry(job), "1700000000000-3"));
    assert_null(quern_job_field(job, "none").at);
    assert_int_equal(4, quern_job_retries(job));
    assert_int_equal(7, quern_job_deliveries(job)); /* here and, before it was put back, elsewhere */
    assert_null(quern_job_consumer(job).at);
    char stream[] = "urgent";
    const struct source source = {.stream = stream};
    assert_null(quern_job_stream(job).at);
    slots_set_owner(slots, "host-1-abcd", &source, 0);
    assert_true(bytes_is(quern_job_stream(job), "urgent"));
    assert_true(bytes_is(quern_job_consumer(job), "host-1-abcd"));
    int64_t age_ms = quern_job_age_ms(job);
    assert_in_range(age_ms, clock_unix_ms() - 1700000000000 - 60000, clock_unix_ms() - 1700000000000);
    job->message.entry.ms = UINT64_C(9000000000000); /* published by a clock that is ahead */
    assert_int_equal(0, quern_job_age_ms(job));
}

static void an_error_is_cut_and_the_last_one_counts(void **state)
{
    (void)state;
    char longer[3000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_null(job->error);
    quern_job_error(job, "%s", longer);
    assert_int_equal(ERROR_MAX, strlen(job->error));
    longer[ERROR_MAX] = 0;
    quern_job_error(job, "%s", longer);
    assert_int_equal(ERROR_MAX, strlen(job->error));
    quern_job_error(job, "%s of %d", "second", 2);
    assert_string_equal("second of 2", job->error);
}

static void a_result_is_copied_up_to_its_bound(void **state)
{
    (void)state;
    static char bytes[RESULT_MAX + 1];
    memset(bytes, 'r', sizeof bytes);
    assert_int_equal(QUERN_OK, quern_job_result(job, bytes, RESULT_MAX));
    assert_int_equal(QUERN_E_FULL, quern_job_result(job, bytes, RESULT_MAX + 1));
    assert_int_equal(QUERN_E_FULL, quern_job_result(job, bytes, SIZE_MAX));
    assert_int_equal(QUERN_E_ARGUMENT, quern_job_result(job, NULL, 1));
    bytes[0] = 'x';
    assert_int_equal(RESULT_MAX, job->result_len); /* what was there before is kept */
    assert_int_equal('r', job->result[0]);
    assert_int_equal(QUERN_OK, quern_job_result(job, "a\0b", 3));
    assert_memory_equal("a\0b", job->result, 4);
    assert_int_equal(QUERN_OK, quern_job_result(job, NULL, 0));
    assert_int_equal(0, job->result_len);
}

static void json_is_parsed_once_when_it_is_asked_for(void **state)
{
    (void)state;
    assert_null(job->json);
    json_t *value = quern_job_json(job);
    assert_int_equal(1, json_integer_value(json_object_get(value, "a")));
    assert_ptr_equal(value, quern_job_json(job));
    assert_false(job->is_not_json);
}

static void data_that_is_no_json_is_told(void **state)
{
    (void)state;
    job->message.data = UNIT_BYTES("{\"a\":");
    assert_null(quern_job_json(job));
    assert_null(quern_job_json(job));
    assert_true(job->is_not_json);
    assert_non_null(strstr(job->error, "the data is not JSON"));
}

static void a_job_is_cancelled_by_its_timeout_the_drain_or_its_loss(void **state)
{
    (void)state;
    int64_t now_ns = clock_now_ns();
    assert_int_equal(-1, quern_job_left_ms(job));
    assert_false(quern_job_cancelled(job) || quern_job_lost(job));
    job->deadline_ns = now_ns + 3600 * NS_PER_S;
    assert_in_range(quern_job_left_ms(job), 3500000, 3600000);
    assert_false(quern_job_cancelled(job));
    job->deadline_ns = now_ns;
    assert_int_equal(0, quern_job_left_ms(job));
    assert_true(quern_job_cancelled(job));
    job->deadline_ns = CLOCK_NEVER;
    drain_ns = now_ns + 3600 * NS_PER_S;
    assert_false(quern_job_cancelled(job));
    drain_ns = now_ns;
    assert_true(quern_job_cancelled(job));
    drain_ns = CLOCK_NEVER;
    struct lease lease;
    assert_true(slot_lease_of(job, &lease) && slot_mark(job, lease.generation, SLOT_LOST));
    assert_true(quern_job_cancelled(job) && quern_job_lost(job));
}

static void nothing_of_a_job_is_left_for_the_next_one(void **state)
{
    (void)state;
    quern_job_error(job, "failed");
    assert_int_equal(QUERN_OK, quern_job_result(job, "r", 1));
    job->message.data = UNIT_BYTES("no json");
    assert_null(quern_job_json(job));
    struct lease before, after;
    assert_true(slot_lease_of(job, &before) && slot_mark(job, before.generation, SLOT_LOST));
    (void)quern_job_ticket(job);
    slot_move(job, SLOT_RUNNING, SLOT_DONE);
    slots_free(slots, job);
    begin();
    assert_true(slot_lease_of(job, &after));
    assert_int_equal(before.generation + 1, after.generation);
    assert_true(job->error == NULL && job->result == NULL && job->json == NULL && job->result_len == 0);
    assert_false(job->is_not_json || quern_job_lost(job) || quern_job_cancelled(job));
    assert_non_null(quern_job_json(job));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_job_says_what_it_is, make, drop),
        cmocka_unit_test_setup_teardown(an_error_is_cut_and_the_last_one_counts, make, drop),
        cmocka_unit_test_setup_teardown(a_result_is_copied_up_to_its_bound, make, drop),
        cmocka_unit_test_setup_teardown(json_is_parsed_once_when_it_is_asked_for, make, drop),
        cmocka_unit_test_setup_teardown(data_that_is_no_json_is_told, make, drop),
        cmocka_unit_test_setup_teardown(a_job_is_cancelled_by_its_timeout_the_drain_or_its_loss, make, drop),
        cmocka_unit_test_setup_teardown(nothing_of_a_job_is_left_for_the_next_one, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
