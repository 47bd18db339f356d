/* SPDX-License-Identifier: MIT */
#include "settle/verdict.h"

static enum action finished(const struct verdict_facts *facts, enum action by_script)
{
    if (facts->is_of_batch) return by_script;
    if (facts->is_unpended && (!facts->keeps_log || by_script == ACTION_PASS)) return ACTION_FORGET;
    if (!facts->is_fresh || facts->is_lost) return by_script;
    if (!facts->keeps_log || by_script == ACTION_PASS) return ACTION_ACK;
    return facts->is_log_scripted || facts->is_unpended ? by_script : ACTION_LOG;
}

static enum action failed(const struct verdict_facts *facts)
{
    bool has_more = facts->retry_limit < 0 || facts->retries < facts->retry_limit;
    return has_more ? ACTION_RETRY : ACTION_DEAD;
}

enum action verdict(const struct verdict_facts *facts)
{
    switch (facts->outcome) {
    case OUTCOME_DONE:
        return finished(facts, ACTION_DONE);
    case OUTCOME_PASSED:
        return finished(facts, ACTION_PASS);
    case OUTCOME_RELEASED:
    case OUTCOME_POSTPONED:
        return ACTION_RELEASE;
    case OUTCOME_DEAD:
    case OUTCOME_MALFORMED:
    case OUTCOME_TOO_LARGE:
    case OUTCOME_EXPIRED:
    case OUTCOME_UNWANTED:
    case OUTCOME_POISON:
    case OUTCOME_CANCELLED:
        return ACTION_DEAD;
    default:
        return failed(facts);
    }
}

struct verdict_reason verdict_reason(enum slot_outcome outcome)
{
    switch (outcome) {
    case OUTCOME_DEAD:
        return (struct verdict_reason){"rejected", "its handler said dead"};
    case OUTCOME_MALFORMED:
        return (struct verdict_reason){"malformed", "it cannot be read"};
    case OUTCOME_TOO_LARGE:
        return (struct verdict_reason){"too_large", "its data is larger than payload_max_bytes"};
    case OUTCOME_EXPIRED:
        return (struct verdict_reason){"expired", "its time was over (expire_at) before it could be run"};
    case OUTCOME_TIMEOUT:
        return (struct verdict_reason){"timeout", "its handler took longer than timeout_ms"};
    case OUTCOME_POISON:
        return (struct verdict_reason){"poison", "it was handed out too often without an outcome"};
    case OUTCOME_CANCELLED:
        return (struct verdict_reason){"cancelled", "an operator has cancelled it"};
    case OUTCOME_UNHANDLED:
    case OUTCOME_UNWANTED:
        return (struct verdict_reason){"unhandled", "no handler here takes its event"};
    default:
        return (struct verdict_reason){"retries_exhausted", "its handler said retry"};
    }
}

int64_t verdict_delay_ms(const struct policy *policy, uint32_t retries, int64_t after_ms, uint64_t random)
{
    if (after_ms >= 0) return after_ms;
    int64_t wait_ms = policy->retry_base_ms;
    for (uint32_t i = 0; i < retries && wait_ms < policy->retry_max_ms && wait_ms && policy->retry_factor > 1; i++)
        wait_ms *= policy->retry_factor; /* at most retry_max_ms × retry_factor, far from overflowing */
    if (wait_ms > policy->retry_max_ms) wait_ms = policy->retry_max_ms;
    return wait_ms - (int64_t)(random % (uint64_t)(wait_ms / 2 + 1));
}
