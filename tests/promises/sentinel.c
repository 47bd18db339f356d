/* SPDX-License-Identifier: MIT */

/* promises/sentinel: sentinel:// finds the primary, and finds it again after a failover: nothing is lost but what replication had not
 * carried over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/certs.h"
#include "support/feeder.h"

enum { SENTINELS = 3 };

static struct redis replica, sentinels[SENTINELS];
static struct feeder feeder;
static char port[8], replica_port[8], url[160];
static int sentinel_count;

/* ── a primary, a replica, and who watches them ──────────────────────────────────────────────────────────────────── */

static void start_primary(void **state, bool has_replica)
{
    snprintf(port, sizeof port, "%d", redis_free_port());
    const char *const more[] = {
        "--port", port, "--bind", "127.0.0.1", "--masterauth", "swordfish", "--repl-diskless-sync-delay", "0", NULL};
    scene_open_with(state, &(struct redis_options){.more = more, .password = "swordfish"});
    struct scene *scene = *state;
    if (!has_replica) return;
    snprintf(replica_port, sizeof replica_port, "%d", redis_free_port());
    const char *const of[] = {"--port",    replica_port,  "--bind",    "127.0.0.1", "--masterauth",
                              "swordfish", "--replicaof", "127.0.0.1", port,        NULL};
    redis_start(&replica, &(struct redis_options){.more = of, .password = "swordfish"});
    wait_for(redis_info(&scene->redis, "replication", "connected_slaves") == 1);
    wait_for(strstr(redis_ask(&replica, "INFO", "replication")->text, "master_link_status:up"));
}

/* Watches the server at this port; more: lines of its own. */
static void start_sentinel(const char *watched, const char *more, const char *password)
{
    char lines[1000], own[8];
    struct redis *sentinel = &sentinels[sentinel_count++];
    snprintf(own, sizeof own, "%d", redis_free_port());
    snprintf(lines, sizeof lines,
             "port %s\nsentinel monitor shop 127.0.0.1 %s %d\nsentinel auth-pass shop swordfish\n"
             "sentinel down-after-milliseconds shop 500\nsentinel failover-timeout shop 4000\n%s",
             own, watched, 2, more);
    size_t len = strlen(url);
    snprintf(url + len, sizeof url - len, "%s127.0.0.1:%s", len && url[len - 1] != '@' ? "," : "", own);
    redis_start(sentinel, &(struct redis_options){.sentinel = lines, .password = password});
    sentinel->options.sentinel = NULL;
}

static long long known(struct redis *sentinel, const char *what)
{
    const struct answer *number = answer_of(redis_ask(sentinel, "SENTINEL", "MASTER", "shop"), what);
    return number->text ? atoll(number->text) : -1;
}

/* All of them know of each other and of the replica. */
static int open_watched(void **state)
{
    start_primary(state, true);
    strcpy(url, "sentinel://:swordfish@");
    for (int i = 0; i < SENTINELS; i++) start_sentinel(port, "", NULL);
    strcat(url, "/shop");
    for (int i = 0; i < SENTINELS; i++) {
        wait_for(known(&sentinels[i], "num-other-sentinels") == SENTINELS - 1);
        wait_for(known(&sentinels[i], "num-slaves") == 1);
    }
    return 0;
}

static int close_watched(void **state)
{
    int code = scene_close(state);
    redis_end(&replica);
    for (; sentinel_count; sentinel_count--) redis_end(&sentinels[sentinel_count - 1]);
    memset(&replica, 0, sizeof replica);
    replica.pidfd = -1;
    return code;
}

static struct mill *mill_of_shop(struct scene *scene)
{
    return mill_run(scene, "redis", url, "trim", "false", "lease_ms", "2000", "reap_ms", "200", "backoff_max_ms", "200", NULL);
}

/* Has the replica been promoted? Then the connections to it were closed, in the same step. */
static bool is_promoted(void)
{
    const struct answer *named = redis_ask(&sentinels[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "shop");
    return answer_is(answer_at(named, 1), replica_port);
}

/* Is the old primary a replica by now? Likewise. */
static bool is_demoted(void)
{
    const struct answer *old = answer_at(redis_ask(&sentinels[0], "SENTINEL", "REPLICAS", "shop"), 0);
    return answer_is(answer_of(old, "port"), port) && answer_is(answer_of(old, "role-reported"), "slave");
}

/* ── it follows ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_failover_loses_only_what_replication_had_not_carried_over(void **state)
{
    enum { CARRIED = 400, NOT_CARRIED = 60, AFTER = 400 };
    struct scene *scene = *state;
    struct mill *mill = mill_of_shop(scene);
    feeder_start(&feeder, mill);
    wait_for(feeder.confirmed >= CARRIED);
    /* The replica cannot come back; from here on nothing reaches it. Nothing is run either, so that what is lost shows. */
    atomic_store(&mill->is_shut, true);
    redis_ask(&replica, "CONFIG", "SET", "masterauth", "wrong");
    redis_ask(&scene->redis, "CLIENT", "KILL", "TYPE", "replica");
    wait_for(redis_info(&scene->redis, "replication", "connected_slaves") == 0);
    int before = feeder.confirmed;
    wait_for(feeder.confirmed >= before + NOT_CARRIED);
    redis_kill(&scene->redis);
    wait_for(is_promoted());
    redis_rejoin(&replica);
    int at = feeder.confirmed;
    atomic_store(&mill->is_shut, false);
    wait_for(feeder.confirmed >= at + AFTER);
    feeder_stop(&feeder);
    wait_for(feeder_is_done(&feeder, mill, &replica, "jobs"));
    int lost = feeder_account(&feeder, mill, &replica, "jobs");
    assert_in_range(lost, 1, NOT_CARRIED + 2 * 64); /* what was confirmed meanwhile, but for what had been fetched */
    wait_for(mill->told[QUERN_NOTICE_OUTAGE] == mill->told[QUERN_NOTICE_BACK]);
    mill_stop(mill);
}

/* The old primary is still there, as a replica. */
static void a_planned_failover_is_followed(void **state)
{
    enum { BEFORE = 400, AFTER = 400 };
    struct scene *scene = *state;
    struct mill *mill = mill_of_shop(scene);
    feeder_start(&feeder, mill);
    wait_for(feeder.confirmed >= BEFORE);
    wait_for(answer_is(redis_ask(&sentinels[0], "SENTINEL", "FAILOVER", "shop"), "OK"));
    wait_for(is_promoted() && is_demoted());
    redis_rejoin(&replica);
    int at = feeder.confirmed;
    wait_for(feeder.confirmed >= at + AFTER);
    feeder_stop(&feeder);
    wait_for(feeder_is_done(&feeder, mill, &replica, "jobs"));
    feeder_account(&feeder, mill, &replica,
                   "jobs"); /* the old one goes on taking jobs until it is told: those are a gap, too */
    mill_stop(mill);
}

static int open_last(void **state)
{
    start_primary(state, false);
    snprintf(url, sizeof url, "sentinel://:swordfish@127.0.0.1:%d,127.0.0.1:%d", redis_free_port(), redis_free_port());
    start_sentinel(port, "", NULL);
    strcat(url, "/shop");
    return 0;
}

static void sentinels_that_are_gone_are_passed_over(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "redis", url, NULL);
    feeder_start(&feeder, mill);
    wait_for(feeder.confirmed >= 20);
    feeder_stop(&feeder);
    wait_for(feeder_is_done(&feeder, mill, &scene->redis, "jobs"));
    char *stats = quern_queue_stats(mill->config, 0, &mill->error);
    if (!stats) fail_msg("%s", mill->error.text);
    quern_free(stats);
    mill_stop(mill);
}

/* ── it refuses ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static void refuses(struct scene *scene, const char *at, int code, const char *said)
{
    struct mill *mill = mill_new(scene, "redis", at, "connect_ms", "3000", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    assert_null(quern_pool_start(mill->config, &mill->error));
    if (mill->error.code != code || !strstr(mill->error.text, said))
        fail_msg("%s: %s", quern_code_name(mill->error.code), mill->error.text);
    if (strstr(mill->error.text, "swordfish") || strstr(mill->error.text, "pike")) fail_msg("it tells: %s", mill->error.text);
}

/* One sentinel, with a password of its own. */
static int open_locked(void **state)
{
    start_primary(state, false);
    strcpy(url, "sentinel://:swordfish@");
    start_sentinel(port, "requirepass pike\n", "pike");
    return 0;
}

static void a_sentinel_with_a_password_is_told_it(void **state)
{
    char at[400];
    struct scene *scene = *state;
    snprintf(at, sizeof at, "%s/shop?sentinel=:pike", url);
    struct mill *mill = mill_run(scene, "redis", at, NULL);
    mill_stop(mill);
    if (mill_lines(mill, "pike")) fail_msg("the log tells the password");
    snprintf(at, sizeof at, "%s/shop", url);
    refuses(scene, at, QUERN_E_AUTH, "the sentinel asks for a password");
    snprintf(at, sizeof at, "%s/shop?sentinel=:perch", url);
    refuses(scene, at, QUERN_E_AUTH, "wrong user or password");
    snprintf(at, sizeof at, "%s/shop?sentinel=", url);
    refuses(scene, at, QUERN_E_CONFIG, "?sentinel=user:password");
}

static void a_name_that_no_sentinel_knows_is_told_of(void **state)
{
    char at[400];
    snprintf(at, sizeof at, "%s/stop?sentinel=:pike", url);
    refuses(*state, at, QUERN_E_CONFIG, "no primary of the name \"stop\"");
}

static void a_server_that_is_no_sentinel_is_told_of(void **state)
{
    char at[400];
    snprintf(at, sizeof at, "sentinel://:swordfish@127.0.0.1:%s/shop?sentinel=:swordfish", port);
    refuses(*state, at, QUERN_E_SERVER, "SENTINEL");
    snprintf(at, sizeof at, "sentinel://127.0.0.1:%d/shop", redis_free_port());
    refuses(*state, at, QUERN_E_CONNECT, "Connection refused");
}

/* One that has not seen yet what has become of the server that it watches. */
static int open_stale(void **state)
{
    start_primary(state, true);
    strcpy(url, "sentinel://:swordfish@");
    start_sentinel(replica_port, "", NULL);
    return 0;
}

static void a_replica_is_not_taken_for_the_primary(void **state)
{
    char at[400];
    snprintf(at, sizeof at, "%s/shop", url);
    refuses(*state, at, QUERN_E_CONNECT, "a replica, though a sentinel takes it for the primary");
}

/* ── over TLS ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct certs certs;

static int open_over_tls(void **state)
{
    char lines[800];
    certs_make(&certs);
    snprintf(port, sizeof port, "%d", redis_free_port());
    const char *const more[] = {"--tls-port",
                                port,
                                "--tls-cert-file",
                                certs_file(&certs, "server.pem"),
                                "--tls-key-file",
                                certs_file(&certs, "server.key"),
                                "--tls-ca-cert-file",
                                certs_file(&certs, "ca.pem"),
                                "--tls-auth-clients",
                                "no",
                                "--bind",
                                "127.0.0.1",
                                NULL};
    scene_open_with(state, &(struct redis_options){.more = more, .password = "swordfish"});
    strcpy(url, "sentinels://:swordfish@");
    snprintf(lines, sizeof lines,
             "port 0\ntls-port %d\ntls-cert-file %s\ntls-key-file %s\ntls-ca-cert-file %s\ntls-auth-clients "
             "no\ntls-replication yes\n",
             redis_free_port(), certs_file(&certs, "server.pem"), certs_file(&certs, "server.key"),
             certs_file(&certs, "ca.pem"));
    start_sentinel(port, lines, NULL);
    snprintf(url, sizeof url, "sentinels://:swordfish@localhost:%d/shop", atoi(strstr(lines, "tls-port ") + 9));
    return 0;
}

static int close_over_tls(void **state)
{
    certs_remove(&certs);
    return close_watched(state);
}

static void sentinels_and_server_are_spoken_to_over_tls(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "redis", url, "tls_ca", certs_file(&certs, "ca.pem"), NULL);
    mill_stop(mill);
    refuses(scene, url, QUERN_E_AUTH, "is not trusted");
}

int main(void)
{
#define OF(test, open) cmocka_unit_test_setup_teardown(test, open, close_watched)
    const struct CMUnitTest tests[] = {
        OF(a_failover_loses_only_what_replication_had_not_carried_over, open_watched),
        OF(a_planned_failover_is_followed, open_watched),
        OF(sentinels_that_are_gone_are_passed_over, open_last),
        OF(a_sentinel_with_a_password_is_told_it, open_locked),
        OF(a_name_that_no_sentinel_knows_is_told_of, open_locked),
        OF(a_server_that_is_no_sentinel_is_told_of, open_locked),
        OF(a_replica_is_not_taken_for_the_primary, open_stale),
        cmocka_unit_test_setup_teardown(sentinels_and_server_are_spoken_to_over_tls, open_over_tls, close_over_tls),
    };
    replica.pidfd = -1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
