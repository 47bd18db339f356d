/* SPDX-License-Identifier: MIT */
#include "wire/cluster.h"

#include <string.h>

#include "base/bytes.h"
#include "base/err.h"

enum { NAME_SIZE = 513 };

quern_bytes cluster_tag(const char *key)
{
    const char *open = strchr(key, '{'), *close = open ? strchr(open, '}') : NULL;
    bool is_tag = close && close > open + 1; /* an empty one does not count */
    return is_tag ? (quern_bytes){open + 1, (size_t)(close - open - 1)} : (quern_bytes){NULL, 0};
}

/* The name without braces. */
static void bare(const char *name, char text[NAME_SIZE])
{
    size_t len = 0;
    for (; *name && len < NAME_SIZE - 1; name++)
        if (*name != '{' && *name != '}') text[len++] = *name;
    text[len] = 0;
}

bool cluster_same(const struct conn *conn, const char *stream, const char *other)
{
    return !conn_is_cluster(conn) || bytes_equal(cluster_tag(stream), cluster_tag(other));
}

int cluster_check(const struct conn *conn, const char *stream, const char *dead, quern_error *err)
{
    char name[NAME_SIZE];
    if (!conn_is_cluster(conn)) return QUERN_OK;
    quern_bytes tag = cluster_tag(stream), other = dead ? cluster_tag(dead) : tag;
    bare(stream, name);
    if (!tag.at)
        return err_set(err, QUERN_E_CONFIG,
                       "stream: \"%s\" would have its keys in several slots of this Redis Cluster; right would be {%s}", stream,
                       *name ? name : "jobs");
    if (other.at && other.len == tag.len && !memcmp(other.at, tag.at, tag.len)) return QUERN_OK;
    bare(dead, name);
    return err_set(
        err, QUERN_E_CONFIG,
        "dead_letter_stream: \"%s\" lies in another slot of this Redis Cluster than \"%s\"; right would be {%.*s}:%s, "
        "or null",
        dead, stream, (int)tag.len, tag.at, *name ? name : "failed");
}
