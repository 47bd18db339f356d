/* SPDX-License-Identifier: MIT */
#include "settle/verdict.h"

enum action verdict(const struct verdict_facts *facts)
{
    switch (facts->outcome) {
    case OUTCOME_DONE:
        return facts->is_fresh && !facts->is_lost && !facts->keeps_log ? ACTION_ACK : ACTION_DONE;
    case OUTCOME_RELEASED:
        return ACTION_RELEASE;
    default:
        return ACTION_LEAVE;
    }
}
