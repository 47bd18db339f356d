/* SPDX-License-Identifier: MIT */
#include "inspect/health.h"

#include "support/unit.h"

enum { BLOCK_MS = 2000, ANSWER_MS = 5000, LEASE_MS = 30000 };

static const int64_t now_ns = 1000 * NS_PER_S;

/* A pool that is owed nothing. */
static struct health_facts idle(void)
{
    return (struct health_facts){
        .is_up = true, .now_ns = now_ns, .block_ms = BLOCK_MS, .answer_ms = ANSWER_MS, .lease_ms = LEASE_MS};
}

/* Healthy for so long, and not a moment longer. */
static void lasts(struct health_facts *facts, int64_t *since_ns, int64_t bound_ms, const char *words)
{
    *since_ns = now_ns - bound_ms * NS_PER_MS;
    assert_null(health_why_not(facts));
    *since_ns -= 1;
    assert_non_null(health_why_not(facts));
    assert_non_null(strstr(health_why_not(facts), words));
}

static void who_is_owed_nothing_is_healthy(void **state)
{
    (void)state;
    struct health_facts facts = idle();
    assert_null(health_why_not(&facts));
}

static void a_pool_without_redis_is_not(void **state)
{
    (void)state;
    struct health_facts facts = idle();
    facts.is_up = false;
    assert_non_null(strstr(health_why_not(&facts), "away"));
}

static void an_answer_may_take_its_time_and_no_longer(void **state)
{
    (void)state;
    struct health_facts facts = idle();
    lasts(&facts, &facts.read_since_ns, BLOCK_MS + ANSWER_MS, "read");
    facts = idle();
    lasts(&facts, &facts.settle_since_ns, ANSWER_MS, "came to");
    facts = idle();
    lasts(&facts, &facts.renewal_since_ns, LEASE_MS / 3, "renewed");
    facts = idle();
    facts.lease_ms = 300; /* an answer may take longer than a third of that */
    lasts(&facts, &facts.renewal_since_ns, ANSWER_MS, "renewed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_owed_nothing_is_healthy),
        cmocka_unit_test(a_pool_without_redis_is_not),
        cmocka_unit_test(an_answer_may_take_its_time_and_no_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
