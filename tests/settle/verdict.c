/* SPDX-License-Identifier: MIT */
#include "settle/verdict.h"

#include "support/unit.h"

enum {
    ACK = ACTION_ACK,
    LOG = ACTION_LOG,
    DONE = ACTION_DONE,
    PASS = ACTION_PASS,
    RETRY = ACTION_RETRY,
    RELEASE = ACTION_RELEASE,
    DEAD = ACTION_DEAD
};
enum { FORGET = ACTION_FORGET };

/* In the order of the bits: fresh, lost, keeps a log. */
static enum action of(enum slot_outcome outcome, int bits)
{
    return verdict(&(struct verdict_facts){
        .outcome = outcome, .retry_limit = 3, .is_fresh = bits & 1, .is_lost = bits & 2, .keeps_log = bits & 4});
}

static void a_plain_acknowledgement_is_for_what_is_done_and_in_no_doubt(void **state)
{
    static const int done[8] = {DONE, ACK, DONE, DONE, DONE, LOG, DONE, DONE};
    static const int passed[8] = {PASS, ACK, PASS, PASS, PASS, ACK, PASS, PASS};
    (void)state;
    for (int bits = 0; bits < 8; bits++) {
        if ((int)of(OUTCOME_DONE, bits) != done[bits]) fail_msg("done, case %d", bits);
        if ((int)of(OUTCOME_PASSED, bits) != passed[bits]) fail_msg("passed, case %d", bits);
    }
}

/* Where the log cannot be written without the script: the server is full, or what is acknowledged is deleted, or was never pending. */
static void a_log_may_need_the_script_whatever_the_lease(void **state)
{
    (void)state;
    struct verdict_facts facts = {.outcome = OUTCOME_DONE, .is_fresh = true, .keeps_log = true};
    assert_int_equal(LOG, verdict(&facts));
    facts.is_log_scripted = true;
    assert_int_equal(DONE, verdict(&facts));
    facts.is_log_scripted = false;
    facts.is_unpended = true;
    assert_int_equal(DONE, verdict(&facts));
}

/* Whatever the lease, the log and the delivery: the script counts it. */
static void what_is_of_a_batch_is_never_merely_acknowledged(void **state)
{
    (void)state;
    for (int bits = 0; bits < 16; bits++) {
        struct verdict_facts facts = {.outcome = OUTCOME_DONE,
                                      .is_of_batch = true,
                                      .is_fresh = bits & 1,
                                      .is_lost = bits & 2,
                                      .keeps_log = bits & 4,
                                      .is_unpended = bits & 8};
        assert_int_equal(DONE, verdict(&facts));
        facts.outcome = OUTCOME_PASSED;
        assert_int_equal(PASS, verdict(&facts));
        facts.outcome = OUTCOME_DEAD;
        assert_int_equal(DEAD, verdict(&facts));
    }
}

static void what_is_not_done_goes_by_its_outcome(void **state)
{
    static const struct {
        enum slot_outcome outcome;
        int action;
    } table[] = {
        {OUTCOME_NONE, RETRY},    {OUTCOME_RETRY, RETRY},      {OUTCOME_TIMEOUT, RETRY}, {OUTCOME_UNHANDLED, RETRY},
        {OUTCOME_DEAD, DEAD},     {OUTCOME_MALFORMED, DEAD},   {OUTCOME_EXPIRED, DEAD},  {OUTCOME_TOO_LARGE, DEAD},
        {OUTCOME_UNWANTED, DEAD}, {OUTCOME_RELEASED, RELEASE},
    };
    (void)state;
    for (size_t row = 0; row < COUNT_OF(table); row++)
        for (int bits = 0; bits < 8; bits++)
            if ((int)of(table[row].outcome, bits) != table[row].action)
                fail_msg("outcome %d, case %d", (int)table[row].outcome, bits);
}

static void a_failed_attempt_is_dead_when_the_limit_of_retries_is_reached(void **state)
{
    static const enum slot_outcome outcomes[] = {OUTCOME_RETRY, OUTCOME_TIMEOUT, OUTCOME_UNHANDLED};
    static const struct {
        int64_t limit;
        uint32_t retries;
        int action;
    } table[] = {
        {3, 0, RETRY}, {3, 2, RETRY}, {3, 3, DEAD}, {3, 4, DEAD},
        {0, 0, DEAD},  {1, 0, RETRY}, {1, 1, DEAD}, {-1, 1000000000, RETRY},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(outcomes); i++)
        for (size_t row = 0; row < COUNT_OF(table); row++) {
            struct verdict_facts facts = {
                .outcome = outcomes[i], .retries = table[row].retries, .retry_limit = table[row].limit};
            if ((int)verdict(&facts) != table[row].action) fail_msg("outcome %d, row %zu", (int)outcomes[i], row);
        }
}

/* With at-most-once there is nothing to acknowledge; a log and the private stream want to be told all the same. */
static void what_was_never_pending_needs_no_acknowledgement(void **state)
{
    (void)state;
    struct verdict_facts facts = {.outcome = OUTCOME_DONE, .is_lost = true, .is_unpended = true};
    assert_int_equal(FORGET, verdict(&facts));
    facts.keeps_log = true;
    assert_int_equal(DONE, verdict(&facts));
    facts.outcome = OUTCOME_PASSED;
    assert_int_equal(FORGET, verdict(&facts));
    facts.outcome = OUTCOME_RETRY;
    facts.retry_limit = 1;
    assert_int_equal(RETRY, verdict(&facts));
    facts.is_unpended = false; /* from the private stream */
    facts.outcome = OUTCOME_DONE;
    facts.keeps_log = false;
    assert_int_equal(DONE, verdict(&facts));
}

static void each_outcome_has_the_reason_of_its_dead_letter(void **state)
{
    (void)state;
    assert_string_equal("retries_exhausted", verdict_reason(OUTCOME_RETRY).name);
    assert_string_equal("rejected", verdict_reason(OUTCOME_DEAD).name);
    assert_string_equal("malformed", verdict_reason(OUTCOME_MALFORMED).name);
    assert_string_equal("too_large", verdict_reason(OUTCOME_TOO_LARGE).name);
    assert_string_equal("expired", verdict_reason(OUTCOME_EXPIRED).name);
    assert_string_equal("timeout", verdict_reason(OUTCOME_TIMEOUT).name);
    assert_string_equal("unhandled", verdict_reason(OUTCOME_UNHANDLED).name);
    assert_string_equal("unhandled", verdict_reason(OUTCOME_UNWANTED).name);
    for (int outcome = 0; outcome < OUTCOMES; outcome++) assert_true(verdict_reason((enum slot_outcome)outcome).error[0]);
}

/* ── delays ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static const struct policy defaults = {.retry_base_ms = 15000, .retry_factor = 4, .retry_max_ms = 3600000};

static void a_delay_grows_by_its_factor_up_to_its_maximum_and_half_of_it_is_random(void **state)
{
    static const int64_t whole[] = {15000, 60000, 240000, 960000, 3600000, 3600000, 3600000};
    (void)state;
    for (uint32_t retries = 0; retries < COUNT_OF(whole); retries++) {
        int64_t least = INT64_MAX, most = 0;
        for (uint64_t random = 0; random < 20000; random++) {
            int64_t ms = verdict_delay_ms(&defaults, retries, -1, random * UINT64_C(0x9e3779b97f4a7c15));
            if (ms < least) least = ms;
            if (ms > most) most = ms;
        }
        assert_in_range(least, whole[retries] / 2, whole[retries] / 2 + whole[retries] / 100);
        assert_in_range(most, whole[retries] - whole[retries] / 100, whole[retries]);
    }
    assert_int_equal(3600000, verdict_delay_ms(&defaults, UINT32_MAX, -1, 0));
}

static void a_base_of_zero_is_at_once_and_what_the_handler_asked_for_is_exact(void **state)
{
    struct policy at_once = defaults;
    at_once.retry_base_ms = 0;
    (void)state;
    for (uint32_t retries = 0; retries < 100; retries++)
        assert_int_equal(0, verdict_delay_ms(&at_once, retries, -1, UINT64_MAX));
    assert_int_equal(0, verdict_delay_ms(&defaults, 5, 0, UINT64_MAX));
    assert_int_equal(7, verdict_delay_ms(&at_once, 5, 7, UINT64_MAX));
    assert_int_equal(4000000, verdict_delay_ms(&defaults, 0, 4000000, UINT64_MAX)); /* beyond the maximum too */
}

static void a_factor_of_one_and_a_maximum_below_the_base_hold(void **state)
{
    struct policy flat = {.retry_base_ms = 1000, .retry_factor = 1, .retry_max_ms = 3600000};
    (void)state;
    assert_int_equal(1000, verdict_delay_ms(&flat, 1000000, -1, 0));
    flat.retry_max_ms = 10;
    assert_int_equal(10, verdict_delay_ms(&flat, 0, -1, 0));
    flat.retry_max_ms = 0;
    assert_int_equal(0, verdict_delay_ms(&flat, 0, -1, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_acknowledgement_is_for_what_is_done_and_in_no_doubt),
        cmocka_unit_test(a_log_may_need_the_script_whatever_the_lease),
        cmocka_unit_test(what_is_of_a_batch_is_never_merely_acknowledged),
        cmocka_unit_test(what_is_not_done_goes_by_its_outcome),
        cmocka_unit_test(a_failed_attempt_is_dead_when_the_limit_of_retries_is_reached),
        cmocka_unit_test(what_was_never_pending_needs_no_acknowledgement),
        cmocka_unit_test(each_outcome_has_the_reason_of_its_dead_letter),
        cmocka_unit_test(a_delay_grows_by_its_factor_up_to_its_maximum_and_half_of_it_is_random),
        cmocka_unit_test(a_base_of_zero_is_at_once_and_what_the_handler_asked_for_is_exact),
        cmocka_unit_test(a_factor_of_one_and_a_maximum_below_the_base_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
