/* SPDX-License-Identifier: MIT */
#include "inspect/faults.h"

#include "base/bytes.h"

#define LUA_2024_BIT \
    "CVE-2024-31449: a script of somebody who may run scripts can overflow the stack, and perhaps run code on the server"
#define LUA_2024_GC                                                                                                        \
    "CVE-2024-46981: a script of somebody who may run scripts can use memory that was freed, and perhaps run code on the " \
    "server"
#define LUA_2025                                                                                                              \
    "CVE-2025-49844 (also CVE-2025-46817, -46818, -46819): a script of somebody who may run scripts can use memory that was " \
    "freed, and run code on the server"
#define UNBLOCKED "CVE-2026-23479: memory that was freed is used when a blocked client, as each reader of a stream is, goes on"
#define LAG       "the lag of a group is wrong after a deletion or a trim, so counts of what waits are wrong, too"
#define RESTORED  "a crafted stream that is loaded or restored has memory used that was freed (CVE-2026-63639 in Valkey)"

/* By what can befall a queue; from the release notes of Redis and of Valkey, and the issues that they name. */
static const struct fault faults[] = {
    {PRODUCT_REDIS, {7, 0, 0}, {7, 0, 4}, "CVE-2022-31144: XAUTOCLAIM can overflow the heap"},
    {PRODUCT_REDIS, {7, 0, 0}, {7, 0, 5}, "CVE-2022-35951: XAUTOCLAIM with a crafted COUNT can overflow the heap"},
    {PRODUCT_REDIS, {7, 0, 0}, {7, 2, 6}, LUA_2024_BIT},
    {PRODUCT_REDIS, {7, 4, 0}, {7, 4, 1}, LUA_2024_BIT},
    {PRODUCT_REDIS, {7, 0, 0}, {7, 2, 7}, LUA_2024_GC},
    {PRODUCT_REDIS, {7, 4, 0}, {7, 4, 2}, LUA_2024_GC},
    {PRODUCT_REDIS, {7, 2, 0}, {7, 2, 7}, LAG},
    {PRODUCT_REDIS, {7, 4, 0}, {7, 4, 2}, LAG},
    {PRODUCT_REDIS, {7, 2, 0}, {7, 2, 5}, "a blocking read may last longer than it was asked to: others that read put it off"},
    {PRODUCT_REDIS, {7, 0, 0}, {7, 2, 11}, LUA_2025},
    {PRODUCT_REDIS, {7, 4, 0}, {7, 4, 6}, LUA_2025},
    {PRODUCT_REDIS, {8, 0, 0}, {8, 0, 4}, LUA_2025},
    {PRODUCT_REDIS, {8, 2, 0}, {8, 2, 2}, LUA_2025},
    {PRODUCT_REDIS, {8, 2, 0}, {8, 2, 3}, "CVE-2025-62507: XACKDEL can overflow the stack"},
    {PRODUCT_REDIS, {7, 4, 0}, {7, 4, 9}, UNBLOCKED},
    {PRODUCT_REDIS, {8, 2, 0}, {8, 2, 6}, UNBLOCKED},
    {PRODUCT_REDIS, {8, 4, 0}, {8, 4, 3}, UNBLOCKED},
    {PRODUCT_REDIS, {8, 6, 0}, {8, 6, 3}, UNBLOCKED},
    {PRODUCT_REDIS, {7, 4, 0}, {7, 4, 10}, RESTORED},
    {PRODUCT_REDIS, {8, 2, 0}, {8, 2, 8}, RESTORED},
    {PRODUCT_REDIS, {8, 4, 0}, {8, 4, 5}, RESTORED},
    {PRODUCT_REDIS, {8, 6, 0}, {8, 6, 5}, RESTORED},
    {PRODUCT_VALKEY, {8, 0, 0}, {8, 0, 1}, LUA_2024_BIT},
    {PRODUCT_VALKEY, {8, 0, 0}, {8, 0, 6}, LUA_2025},
    {PRODUCT_VALKEY, {8, 1, 0}, {8, 1, 4}, LUA_2025},
    {PRODUCT_VALKEY, {7, 2, 0}, {7, 2, 13}, UNBLOCKED},
    {PRODUCT_VALKEY, {8, 0, 0}, {8, 0, 8}, UNBLOCKED},
    {PRODUCT_VALKEY, {8, 1, 0}, {8, 1, 7}, UNBLOCKED},
    {PRODUCT_VALKEY, {9, 0, 0}, {9, 0, 4}, UNBLOCKED},
    {PRODUCT_VALKEY, {7, 2, 0}, {7, 2, 14}, RESTORED},
    {PRODUCT_VALKEY, {8, 0, 0}, {8, 0, 10}, RESTORED},
    {PRODUCT_VALKEY, {8, 1, 0}, {8, 1, 9}, RESTORED},
    {PRODUCT_VALKEY, {9, 0, 0}, {9, 0, 5}, RESTORED},
    {PRODUCT_VALKEY, {9, 1, 0}, {9, 1, 1}, RESTORED},
};

static const struct {
    enum product product;
    struct version version;
} distributed[] = {
    {PRODUCT_REDIS, {7, 0, 15}}, /* Debian 12 */
    {PRODUCT_REDIS, {8, 0, 2}},  /* Debian 13 */
};

static int number_at(const char **at, const char *end)
{
    int number = 0;
    if (*at == end || **at < '0' || **at > '9') return -1;
    for (; *at < end && **at >= '0' && **at <= '9' && number < 100000; ++*at) number = 10 * number + (**at - '0');
    return number;
}

bool version_read(quern_bytes text, struct version *version)
{
    const char *at = text.at, *end = text.at + text.len;
    struct version read = {.major = text.at ? number_at(&at, end) : -1};
    if (read.major < 0 || at == end || *at++ != '.' || (read.minor = number_at(&at, end)) < 0) return false;
    if (at < end && *at == '.' && ++at < end) read.patch = number_at(&at, end);
    if (read.patch < 0) read.patch = 0;
    *version = read;
    return true;
}

bool version_is_before(struct version a, struct version b)
{
    if (a.major != b.major) return a.major < b.major;
    if (a.minor != b.minor) return a.minor < b.minor;
    return a.patch < b.patch;
}

const struct fault *fault_next(enum product product, struct version version, size_t *at)
{
    while (*at < COUNT_OF(faults)) {
        const struct fault *fault = &faults[(*at)++];
        if (fault->product == product && !version_is_before(version, fault->from) && version_is_before(version, fault->mended))
            return fault;
    }
    return NULL;
}

bool version_is_served(enum product product, struct version version)
{
    static const struct version least[] = {[PRODUCT_REDIS] = {7, 0, 0}, [PRODUCT_VALKEY] = {7, 2, 0}};
    return !version_is_before(version, least[product]);
}

bool version_is_distributed(enum product product, struct version version)
{
    for (size_t i = 0; i < COUNT_OF(distributed); i++)
        if (distributed[i].product == product && !version_is_before(version, distributed[i].version) &&
            !version_is_before(distributed[i].version, version))
            return true;
    return false;
}
