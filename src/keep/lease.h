/* SPDX-License-Identifier: MIT */

/* keep/lease: is a lease fresh enough to act on it without asking?
 * Rule       granted or renewed less than half a lease ago, by time taken before that command was sent, and after the connection
 *            that acts was made: whatever an earlier connection left behind is settled by the owner-checked script. */
#ifndef QUERN_KEEP_LEASE_H
#define QUERN_KEEP_LEASE_H

#include <stdbool.h>
#include <stdint.h>

static inline bool lease_is_fresh(int64_t granted_ns, int64_t now_ns, int64_t lease_ns, int64_t connected_ns)
{
    return granted_ns > connected_ns && now_ns - granted_ns < lease_ns / 2;
}

/* Another may have it by now, and may even have settled it. */
static inline bool lease_is_over(int64_t granted_ns, int64_t now_ns, int64_t lease_ns)
{
    return now_ns - granted_ns >= lease_ns;
}

/* Renewed when a third of it is over. */
static inline bool lease_is_due(int64_t granted_ns, int64_t now_ns, int64_t lease_ns)
{
    return now_ns - granted_ns >= lease_ns / 3;
}

#endif
