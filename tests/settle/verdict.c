/* SPDX-License-Identifier: MIT */
#include "settle/verdict.h"

#include "support/unit.h"

static void what_is_asked_follows_from_outcome_lease_and_log(void **state)
{
    enum { ACK = ACTION_ACK, DONE = ACTION_DONE, RELEASE = ACTION_RELEASE, LEAVE = ACTION_LEAVE };
    static const struct {
        enum slot_outcome outcome;
        int actions[8]; /* the eight cases below, in this order */
    } table[] = {
        {OUTCOME_DONE, {ACK, DONE, DONE, DONE, DONE, DONE, DONE, DONE}}, /* a plain XACK only where nothing is in doubt */
        {OUTCOME_RELEASED, {RELEASE, RELEASE, RELEASE, RELEASE, RELEASE, RELEASE, RELEASE, RELEASE}},
        {OUTCOME_NONE, {LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE}},
        {OUTCOME_RETRY, {LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE}},
        {OUTCOME_DEAD, {LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE}},
        {OUTCOME_MALFORMED, {LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE}},
        {OUTCOME_UNHANDLED, {LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE, LEAVE}},
    };
    static const struct {
        bool is_fresh, is_lost, keeps_log;
    } cases[8] = {{true, false, false},  {true, false, true},  {true, true, false},  {true, true, true},
                  {false, false, false}, {false, false, true}, {false, true, false}, {false, true, true}};
    (void)state;
    for (size_t row = 0; row < COUNT_OF(table); row++)
        for (size_t i = 0; i < 8; i++) {
            struct verdict_facts facts = {table[row].outcome, cases[i].is_fresh, cases[i].is_lost, cases[i].keeps_log};
            if ((int)verdict(&facts) != table[row].actions[i]) fail_msg("outcome %d, case %zu", (int)facts.outcome, i);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_asked_follows_from_outcome_lease_and_log)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
