/* SPDX-License-Identifier: MIT */

/* config/policy: what holds for the jobs of one event.
 * Idea       the configuration's values, overlaid by the handler's own JSON object; the table says which keys may be there.
 * Threads    any: policy_read touches nothing but its arguments. */
#ifndef QUERN_CONFIG_POLICY_H
#define QUERN_CONFIG_POLICY_H

#include <stdint.h>

#include "quern.h"

struct policy {
    int64_t timeout_ms;       /* 0: none */
    int64_t timeout_grace_ms; /* from the timeout until a handler that does not return is given up */
    int64_t retry_limit;      /* -1: for ever */
    int64_t retry_base_ms;    /* 0: at once */
    int64_t retry_factor, retry_max_ms;
    int64_t max_running; /* at once, in this process; 0: any number */
};

/* policy_json: a JSON object of per-event keys, or NULL. QUERN_E_CONFIG: err names the first key that is wrong; policy is
 * untouched. QUERN_E_MEMORY. */
int policy_read(const quern_config *config, const char *policy_json, struct policy *policy, quern_error *err) QUERN_MUST_USE;

#endif
