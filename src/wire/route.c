/* SPDX-License-Identifier: MIT */
#include "wire/route.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "wire/dial.h"
#include "wire/errors.h"
#include "wire/nodes.h"

enum { HOPS = 5 };

/* What no other one would say otherwise. */
static bool is_final(int code, const quern_error *err)
{
    return code == QUERN_E_AUTH || code == QUERN_E_CONFIG || code == QUERN_E_MEMORY ||
           (code == QUERN_E_SERVER && !err->is_retriable);
}

static int ask(struct conn *conn, int64_t deadline_ns, const struct reply **reply, quern_error *err)
{
    int code = conn_send(conn, deadline_ns, err);
    if (!code) code = conn_reply(conn, deadline_ns, reply, err);
    if (code == QUERN_E_TIMEOUT) return err_set(err, QUERN_E_CONNECT, "%s: connected, but no answer", conn_shown(conn));
    return code;
}

static bool set_place(struct url_place *place, quern_bytes host, uint64_t port)
{
    if (!host.len || host.len >= sizeof place->host || port < 1 || port > 65535) return false;
    memcpy(place->host, host.at, host.len);
    place->host[host.len] = 0;
    place->port = (uint16_t)port;
    return true;
}

/* ── by sentinels ────────────────────────────────────────────────────────────────────────────────────────────────── */

static int sentinel_refused(const struct conn *conn, const struct reply *reply, quern_error *err)
{
    if (!reply_is_error(reply, "NOAUTH")) return conn_refused(reply, conn_shown(conn), err);
    return err_set(err, QUERN_E_AUTH,
                   "%s: the sentinel asks for a password; right would be sentinel://…/%s?sentinel=user:password",
                   conn_shown(conn), conn_url(conn)->master);
}

/* Whom this sentinel takes for the primary. */
static int ask_sentinel(struct conn *conn, const struct conn_options *options, const struct url_place *sentinel,
                        int64_t deadline_ns, struct url_place *primary, quern_error *err)
{
    const struct reply *reply;
    uint64_t port = 0;
    const char *master = options->url->master;
    int code = conn_reach(conn, options, sentinel, CONN_SENTINEL, deadline_ns, err);
    if (code) return code;
    conn_command(conn, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", master, NULL);
    if ((code = ask(conn, deadline_ns, &reply, err))) return code;
    if (reply->type == REPLY_ERROR) return sentinel_refused(conn, reply, err);
    if (reply->type == REPLY_NIL)
        return err_set(err, QUERN_E_CONFIG, "%s: the sentinel knows no primary of the name \"%s\"", conn_shown(conn), master);
    bool is_told =
        bytes_number(reply_bytes(reply_item(reply, 1)), &port) && set_place(primary, reply_bytes(reply_item(reply, 0)), port);
    return is_told ? QUERN_OK : err_set(err, QUERN_E_SERVER, "%s: not a sentinel: it names no address", conn_shown(conn));
}

/* A sentinel may not know yet, or a replica not be done with its promotion. */
static int must_be_primary(struct conn *conn, int64_t deadline_ns, quern_error *err)
{
    static const char replica[] = "role:slave";
    const struct reply *reply;
    conn_command(conn, "INFO", "replication", NULL);
    int code = ask(conn, deadline_ns, &reply, err);
    if (code || reply_is_error(reply, "NOPERM")) return code;
    if (reply->type == REPLY_ERROR) return conn_refused(reply, conn_shown(conn), err);
    quern_bytes info = reply_bytes(reply);
    if (!info.len || !memmem(info.at, info.len, replica, sizeof replica - 1)) return QUERN_OK;
    return err_set(err, QUERN_E_CONNECT, "%s: a replica, though a sentinel takes it for the primary: a failover is under way",
                   conn_shown(conn));
}

static int by_sentinels(struct conn *conn, const struct conn_options *options, int64_t deadline_ns, quern_error *err)
{
    struct url_place list[NODES_MAX], primary;
    struct nodes *sentinels = options->url->nodes;
    uint32_t count = nodes_list(sentinels, list);
    int code = QUERN_E_CONNECT;
    bool has_named = false;
    quern_error nameless = {0};
    for (uint32_t i = 0; i < count; i++) {
        int64_t share = dial_share_ns(deadline_ns, count - i);
        code = ask_sentinel(conn, options, &list[i], share, &primary, err);
        if (code == QUERN_E_CONFIG) nameless = *err; /* it may be new: the others are asked, too */
        has_named |= !code;
        if (!code) code = conn_reach(conn, options, &primary, CONN_SERVER, share, err);
        if (!code) code = must_be_primary(conn, share, err);
        if (!code || (is_final(code, err) && code != QUERN_E_CONFIG)) return code;
        nodes_defer(sentinels, &list[i]);
    }
    if (nameless.code && !has_named) *err = nameless;
    return err->code;
}

/* ── by the nodes of a Cluster ───────────────────────────────────────────────────────────────────────────────────── */

bool route_moved(quern_bytes text, struct url_place *place)
{
    static const char word[] = "MOVED ";
    uint64_t port;
    if (text.len < sizeof word || memcmp(text.at, word, sizeof word - 1) != 0) return false;
    const char *end = text.at + text.len, *space = memchr(text.at + sizeof word - 1, ' ', text.len - (sizeof word - 1));
    const char *colon = space ? memrchr(space, ':', (size_t)(end - space)) : NULL;
    if (!colon || !bytes_number((quern_bytes){colon + 1, (size_t)(end - colon - 1)}, &port)) return false;
    quern_bytes host = {space + 1, (size_t)(colon - space - 1)};
    return set_place(place, host.len ? host : bytes_of(place->host), port);
}

static void add_place(struct url_place *list, uint32_t *count, const struct reply *node, const char *this_host)
{
    quern_bytes host = reply_bytes(reply_item(node, 0));
    if (*count < NODES_MAX &&
        set_place(&list[*count], host.len ? host : bytes_of(this_host), (uint64_t)reply_number(reply_item(node, 1), 0)))
        ++*count;
}

/* A range of slots: from, to, its primary, replicas. */
static bool is_range_of(const struct reply *range, const struct url_place *primary)
{
    struct url_place found;
    uint32_t count = 0;
    add_place(&found, &count, reply_item(range, 2), primary->host);
    return count && url_place_equal(&found, primary);
}

/* Those that have our slot, then the others. It is a convenience: what fails here fails nobody. */
static void learn(struct conn *conn, const struct url_place *here, int64_t deadline_ns)
{
    const struct reply *reply;
    struct url_place list[NODES_MAX];
    uint32_t count = 0;
    conn_command(conn, "CLUSTER", "SLOTS", NULL);
    if (ask(conn, deadline_ns, &reply, NULL) || reply->type != REPLY_ARRAY) return;
    for (int is_other = 0; is_other < 2; is_other++)
        for (uint32_t i = 0; i < reply->count; i++) {
            const struct reply *range = reply_item(reply, i);
            if (is_range_of(range, here) == is_other) continue;
            for (uint32_t n = 2; n < range->count; n++) add_place(list, &count, reply_item(range, n), here->host);
        }
    if (count) nodes_learn(conn_url(conn)->nodes, list, count);
}

/* Goes from node to node, as they say, until one has the slot. While a slot is on its way, where it comes from is the right one. */
static int follow(struct conn *conn, const struct conn_options *options, struct url_place *here, int64_t deadline_ns,
                  quern_error *err)
{
    for (int hop = 0; hop < HOPS; hop++) {
        const struct reply *reply;
        conn_command(conn, "TYPE", options->url->key, NULL);
        int code = ask(conn, deadline_ns, &reply, err);
        if (code) return code;
        bool is_here = reply->type != REPLY_ERROR || reply_is_error(reply, "ASK") || reply_is_error(reply, "NOPERM");
        if (is_here) return QUERN_OK;
        if (!route_moved(reply_bytes(reply), here)) return conn_refused(reply, conn_shown(conn), err);
        if ((code = conn_reach(conn, options, here, CONN_SERVER, deadline_ns, err))) return code;
    }
    return err_set(err, QUERN_E_CONNECT, "%s: the Cluster's nodes send each other in circles: they do not agree yet",
                   conn_shown(conn));
}

static int by_node(struct conn *conn, const struct conn_options *options, const struct url_place *node, int64_t deadline_ns,
                   quern_error *err)
{
    struct url_place here = *node;
    int code = conn_reach(conn, options, &here, CONN_SERVER, deadline_ns, err);
    if (code) return code;
    if (!conn_is_cluster(conn) && options->url->place_count > 1)
        return err_set(err, QUERN_E_CONFIG,
                       "redis: %s is no Redis Cluster; right would be one host, or sentinel://host,host/name",
                       conn_shown(conn));
    if (!conn_is_cluster(conn) || !options->url->key) return QUERN_OK;
    if ((code = follow(conn, options, &here, deadline_ns, err))) return code;
    learn(conn, &here, deadline_ns);
    nodes_prefer(options->url->nodes, &here);
    return conn_is_broken(conn) ? err_set(err, QUERN_E_CONNECT, "%s: the connection is broken", conn_shown(conn)) : QUERN_OK;
}

static int by_nodes(struct conn *conn, const struct conn_options *options, int64_t deadline_ns, quern_error *err)
{
    struct url_place list[NODES_MAX];
    struct nodes *nodes = options->url->nodes;
    uint32_t count = nodes_list(nodes, list);
    int code = QUERN_E_CONNECT;
    for (uint32_t i = 0; i < count; i++) {
        code = by_node(conn, options, &list[i], count == 1 ? deadline_ns : dial_share_ns(deadline_ns, count - i - 1), err);
        if (!code || is_final(code, err)) return code;
        nodes_defer(nodes, &list[i]);
    }
    return code;
}

int route_connect(struct conn *conn, const struct conn_options *options, int64_t deadline_ns, quern_error *err)
{
    quern_error own;
    if (!err) err = &own;
    if (options->url->is_unix) return conn_reach(conn, options, NULL, CONN_SERVER, deadline_ns, err);
    return options->url->master ? by_sentinels(conn, options, deadline_ns, err) : by_nodes(conn, options, deadline_ns, err);
}
