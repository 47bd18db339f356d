/* SPDX-License-Identifier: MIT */

/* promises/nodes: on a Cluster of six nodes a queue is served wherever its slot is, and wherever it goes: moved by an operator, or by a
 * failover. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/feeder.h"

enum { PRIMARIES = 3, NODES = 2 * PRIMARIES, SLOTS = 16384, NAME_SIZE = 48 };

/* The i-th primary's replica is PRIMARIES + i, to begin with. */
static struct redis nodes[NODES];
static char ports[NODES][8], bus_ports[NODES][8], ids[NODES][NAME_SIZE], slot[8];
static int owner; /* the node that has the slot */
static struct feeder feeder;

/* ── the Cluster ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static void start_node(int i)
{
    snprintf(ports[i], sizeof ports[i], "%d", redis_free_port());
    snprintf(bus_ports[i], sizeof bus_ports[i], "%d", redis_free_port());
    const char *const more[] = {"--port",
                                ports[i],
                                "--bind",
                                "127.0.0.1",
                                "--cluster-enabled",
                                "yes",
                                "--cluster-port",
                                bus_ports[i],
                                "--cluster-node-timeout",
                                "2000",
                                "--cluster-replica-validity-factor",
                                "0",
                                "--repl-diskless-sync-delay",
                                "0",
                                NULL};
    redis_start(&nodes[i], &(struct redis_options){.more = more});
    nodes[i].options.more = NULL;
    snprintf(ids[i], sizeof ids[i], "%s", redis_ask(&nodes[i], "CLUSTER", "MYID")->text);
}

static void take_slots(int i)
{
    char from[16], to[16], epoch[16];
    snprintf(from, sizeof from, "%d", SLOTS * i / PRIMARIES);
    snprintf(to, sizeof to, "%d", SLOTS * (i + 1) / PRIMARIES - 1);
    snprintf(epoch, sizeof epoch, "%d", i + 1);
    redis_ask(&nodes[i], "CLUSTER", "SET-CONFIG-EPOCH", epoch);
    redis_ask(&nodes[i], "CLUSTER", "ADDSLOTSRANGE", from, to);
    if (atoi(from) <= atoi(slot) && atoi(slot) <= atoi(to)) owner = i;
}

static bool knows_all(int i)
{
    const char *info = redis_ask(&nodes[i], "CLUSTER", "INFO")->text;
    return strstr(info, "cluster_state:ok") && strstr(info, "cluster_known_nodes:6");
}

static bool is_followed(int i)
{
    return redis_info(&nodes[i], "replication", "connected_slaves") == 1 &&
           strstr(redis_ask(&nodes[i], "INFO", "replication")->text, "state=online");
}

static int open_cluster(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) start_node(i);
    snprintf(slot, sizeof slot, "%lld", redis_number(&nodes[0], "CLUSTER", "KEYSLOT", "{jobs}"));
    for (int i = 0; i < PRIMARIES; i++) take_slots(i);
    for (int i = 1; i < NODES; i++) redis_ask(&nodes[0], "CLUSTER", "MEET", "127.0.0.1", ports[i], bus_ports[i]);
    for (int i = 0; i < NODES; i++) wait_for(knows_all(i));
    for (int i = PRIMARIES; i < NODES; i++)
        wait_for(answer_is(redis_ask(&nodes[i], "CLUSTER", "REPLICATE", ids[i - PRIMARIES]), "OK"));
    for (int i = 0; i < PRIMARIES; i++) wait_for(is_followed(i));
    return 0;
}

static int close_cluster(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) redis_end(&nodes[i]);
    return 0;
}

/* Does node i say that the slot is of node whose? */
static bool says_owner(int i, int whose)
{
    const struct answer *ranges = redis_ask(&nodes[i], "CLUSTER", "SLOTS");
    for (size_t r = 0; r < ranges->count; r++) {
        const struct answer *range = answer_at(ranges, r);
        bool is_ours = answer_at(range, 0)->number <= atoi(slot) && atoi(slot) <= answer_at(range, 1)->number;
        if (is_ours) return answer_is(answer_at(answer_at(range, 2), 2), ids[whose]);
    }
    return false;
}

/* The other one of a primary and its replica. */
static int partner(int i)
{
    return i < PRIMARIES ? i + PRIMARIES : i - PRIMARIES;
}

/* A pool for this stream that is told of node i only. */
static struct mill *mill_by(struct scene *scene, int i, const char *stream)
{
    char url[64];
    snprintf(url, sizeof url, "redis://127.0.0.1:%s", ports[i]);
    return mill_run(scene, "redis", url, "stream", stream, "trim", "false", "lease_ms", "2000", "reap_ms", "200",
                    "backoff_max_ms", "200", NULL);
}

/* Publishes some more; then all of it must be done, and little of it missing: returns how much was lost. */
static int settles(struct mill *mill, const char *stream, int more)
{
    int at = feeder.confirmed;
    wait_for(feeder.confirmed >= at + more);
    feeder_stop(&feeder);
    wait_for(feeder_is_done(&feeder, mill, &nodes[owner], stream));
    int lost = feeder_account(&feeder, mill, &nodes[owner], stream);
    wait_for(mill->told[QUERN_NOTICE_OUTAGE] ==
             mill->told[QUERN_NOTICE_BACK]); /* some connections have nothing to ask for a while */
    mill_stop(mill);
    return lost;
}

/* ── it goes there ───────────────────────────────────────────────────────────────────────────────────────────────── */

static void any_node_leads_to_the_one_that_has_the_slot(void **state)
{
    struct scene *scene = *state;
    for (int i = 0; i < NODES; i++) {
        char stream[NAME_SIZE];
        snprintf(stream, sizeof stream, "{jobs}:by-%d", i);
        struct mill *mill = mill_by(scene, i, stream);
        feeder_start(&feeder, mill);
        wait_for(feeder.confirmed >= 20);
        char *stats = quern_queue_stats(mill->config, 0, &mill->error);
        if (!stats) fail_msg("%s", mill->error.text);
        quern_free(stats);
        assert_int_equal(settles(mill, stream, 20), 0);
        assert_int_equal(mill->told[QUERN_NOTICE_OUTAGE], 0);
    }
}

static void several_nodes_may_be_named_and_the_first_be_dead(void **state)
{
    char url[128];
    snprintf(url, sizeof url, "redis://127.0.0.1:%d,127.0.0.1:%s", redis_free_port(), ports[1]);
    struct mill *mill = mill_run(*state, "redis", url, "stream", "{jobs}:named", NULL);
    mill_stop(mill);
}

static void hosts_that_are_no_cluster_are_refused(void **state)
{
    struct redis alone;
    char port[8], url[128];
    snprintf(port, sizeof port, "%d", redis_free_port());
    redis_start(&alone, &(struct redis_options){.more = (const char *const[]){"--port", port, "--bind", "127.0.0.1", NULL}});
    snprintf(url, sizeof url, "redis://127.0.0.1:%s,127.0.0.1:%s", port, ports[0]);
    struct mill *mill = mill_new(*state, "redis", url, "stream", "{jobs}", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    assert_null(quern_pool_start(mill->config, &mill->error));
    redis_end(&alone);
    assert_int_equal(mill->error.code, QUERN_E_CONFIG);
    assert_non_null(strstr(mill->error.text, "is no Redis Cluster"));
}

static void queues_of_one_pool_must_have_one_slot(void **state)
{
    char url[64];
    snprintf(url, sizeof url, "redis://127.0.0.1:%s", ports[0]);
    struct mill *good = mill_run(*state, "redis", url, "queues", "[\"{jobs}:a\", \"{jobs}:b\"]", NULL);
    mill_stop(good);
    struct mill *mill = mill_new(*state, "redis", url, "queues", "[\"{jobs}:a\", \"{others}:b\"]", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    assert_null(quern_pool_start(mill->config, &mill->error));
    assert_int_equal(mill->error.code, QUERN_E_CONFIG);
    assert_non_null(strstr(mill->error.text, "different slots"));
}

/* ── and follows ─────────────────────────────────────────────────────────────────────────────────────────────────── */

/* As redis-cli --cluster reshard does it. */
static void move_slot(int from, int to)
{
    redis_ask(&nodes[to], "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from]);
    redis_ask(&nodes[from], "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to]);
    for (;;) {
        const struct answer *keys = redis_ask(&nodes[from], "CLUSTER", "GETKEYSINSLOT", slot, "1");
        if (!keys->count) break;
        char *key = strdup(answer_at(keys, 0)->text);
        const struct answer *moved = redis_ask(&nodes[from], "MIGRATE", "127.0.0.1", ports[to], key, "0", "5000");
        if (!answer_is(moved, "OK") && !answer_is(moved, "NOKEY")) fail_msg("%s: %s", key, moved->text);
        free(key);
    }
    redis_ask(&nodes[to], "CLUSTER", "SETSLOT", slot, "NODE", ids[to]);
    redis_ask(&nodes[from], "CLUSTER", "SETSLOT", slot, "NODE", ids[to]);
    owner = to;
    for (int i = 0; i < NODES; i++) wait_for(says_owner(i, to));
}

static void a_slot_is_moved_under_load_and_nothing_is_lost(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_by(scene, owner, "{jobs}:moved");
    int first = owner;
    feeder_start(&feeder, mill);
    wait_for(feeder.confirmed >= 400);
    move_slot(first, (first + 1) % PRIMARIES);
    int at = feeder.confirmed;
    wait_for(feeder.confirmed >= at + 200);
    move_slot(owner, first); /* and back */
    assert_int_equal(settles(mill, "{jobs}:moved", 200), 0);
    if (mill_lines(mill, "group_made_again")) fail_msg("a group was made anew where it had only moved");
}

/* A slot that is on its way for long: nothing can be done, and nothing is lost. */
static void a_slot_that_is_half_way_is_waited_for(void **state)
{
    struct scene *scene = *state;
    int from = owner, to = (owner + 1) % PRIMARIES;
    struct mill *mill = mill_by(scene, owner, "{jobs}:half");
    feeder_start(&feeder, mill);
    wait_for(feeder.confirmed >= 200);
    redis_ask(&nodes[to], "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from]);
    redis_ask(&nodes[from], "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to]);
    redis_ask(&nodes[from], "MIGRATE", "127.0.0.1", ports[to], "{jobs}:half", "0", "5000");
    wait_for(mill->told[QUERN_NOTICE_OUTAGE] > 0);
    stays(!feeder.failed, 300);
    move_slot(from, to);
    assert_int_equal(settles(mill, "{jobs}:half", 100), 0);
}

/* The primary waits for its replica: what Redis promises to keep is kept. */
static void a_planned_failover_of_a_node_loses_nothing(void **state)
{
    struct scene *scene = *state;
    int replica = partner(owner);
    struct mill *mill = mill_by(scene, owner, "{jobs}:planned");
    feeder_start(&feeder, mill);
    wait_for(feeder.confirmed >= 200);
    assert_true(answer_is(redis_ask(&nodes[replica], "CLUSTER", "FAILOVER"), "OK"));
    wait_for(says_owner(replica, replica));
    owner = replica;
    assert_int_equal(settles(mill, "{jobs}:planned", 200), 0);
    wait_for(is_followed(owner)); /* by the one that was the primary */
}

static void a_node_that_dies_is_followed_by_its_replica(void **state)
{
    struct scene *scene = *state;
    int replica = partner(owner);
    struct mill *mill = mill_by(scene, owner, "{jobs}:dies");
    feeder_start(&feeder, mill);
    wait_for(feeder.confirmed >= 400);
    redis_kill(&nodes[owner]);
    wait_for(says_owner(replica, replica));
    owner = replica;
    assert_in_range(settles(mill, "{jobs}:dies", 200), 0, 64);
}

int main(void)
{
#define ON(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        ON(any_node_leads_to_the_one_that_has_the_slot),
        ON(several_nodes_may_be_named_and_the_first_be_dead),
        ON(hosts_that_are_no_cluster_are_refused),
        ON(queues_of_one_pool_must_have_one_slot),
        ON(a_slot_is_moved_under_load_and_nothing_is_lost),
        ON(a_slot_that_is_half_way_is_waited_for),
        ON(a_planned_failover_of_a_node_loses_nothing),
        ON(a_node_that_dies_is_followed_by_its_replica), /* last: it stays dead */
    };
    return cmocka_run_group_tests(tests, open_cluster, close_cluster);
}
