/* SPDX-License-Identifier: MIT */

/* promises/tls: rediss:// serves as redis:// does, and only where both ends are who they say they are. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/certs.h"
#include "support/mill.h"

static struct certs certs;
static char port[8], url[64];

static int make_certs(void **state)
{
    (void)state;
    certs_make(&certs);
    return 0;
}

static int remove_certs(void **state)
{
    (void)state;
    certs_remove(&certs);
    return 0;
}

/* A server that shows the certificate of this name; it wants one of its clients, or does not ("no"). */
static int open_with(void **state, const char *name, const char *wants_clients)
{
    char pem[16], key[16];
    snprintf(pem, sizeof pem, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    snprintf(port, sizeof port, "%d", redis_free_port());
    snprintf(url, sizeof url, "rediss://localhost:%s", port);
    const char *const more[] = {"--tls-port",
                                port,
                                "--tls-cert-file",
                                certs_file(&certs, pem),
                                "--tls-key-file",
                                certs_file(&certs, key),
                                "--tls-ca-cert-file",
                                certs_file(&certs, "ca.pem"),
                                "--tls-auth-clients",
                                wants_clients,
                                "--bind",
                                "127.0.0.1",
                                NULL};
    return scene_open_with(state, &(struct redis_options){.more = more});
}

static int open_good(void **state)
{
    return open_with(state, "server", "no");
}

static int open_wrong(void **state)
{
    return open_with(state, "wrong", "no");
}

static int open_expired(void **state)
{
    return open_with(state, "expired", "no");
}

static int open_stray(void **state)
{
    return open_with(state, "stray", "no");
}

static int open_mutual(void **state)
{
    return open_with(state, "server", "yes");
}

static struct mill *mill_over(struct scene *scene, const char *at)
{
    return mill_new(scene, "redis", at, "tls_ca", certs_file(&certs, "ca.pem"), NULL);
}

/* Does not start, with this code, and says so. */
static void refuses(struct mill *mill, int code, const char *said)
{
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    if (code != QUERN_E_CONNECT) mill_set(mill, "connect_ms", "60000");
    int64_t began_ms = wait_now_ms();
    assert_null(quern_pool_start(mill->config, &mill->error));
    if (mill->error.code != code) fail_msg("%s: %s", quern_code_name(mill->error.code), mill->error.text);
    if (!strstr(mill->error.text, said)) fail_msg("'%s' is not in: %s", said, mill->error.text);
    if (code != QUERN_E_CONNECT) assert_true(wait_now_ms() - began_ms < SOON_MS); /* it is no use to wait */
}

/* ── it serves ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void publish_through(struct mill *mill, int n, size_t bytes)
{
    quern_publisher *publisher = quern_publisher_open(mill->config, &mill->error);
    assert_non_null(publisher);
    for (int i = 0; i < n; i++) {
        char *data = malloc(bytes + 24);
        size_t len = (size_t)sprintf(data, "%d", i);
        for (; len < bytes; len++) data[len] = ' ';
        quern_message message = {.size = sizeof message, .event = "job", .data = {data, len}};
        if (quern_publish(publisher, &message, 1, NULL, &mill->error)) fail_msg("%s", mill->error.text);
        free(data);
    }
    assert_int_equal(quern_publisher_close(publisher), QUERN_OK);
}

static void jobs_are_done(struct mill *mill)
{
    enum { SMALL = 500, LARGE = 12 };
    mill_started(mill);
    publish_through(mill, SMALL, 0);
    wait_for(mill_stat(mill, "jobs", "done") == SMALL);
    publish_through(mill, LARGE, 500000); /* many records, more than a socket takes at once */
    wait_for(mill_stat(mill, "jobs", "done") == SMALL + LARGE);
    char *stats = quern_queue_stats(mill->config, 0, &mill->error);
    if (!stats) fail_msg("%s", mill->error.text);
    quern_free(stats);
    mill_stop(mill);
}

static void a_pool_works_over_tls(void **state)
{
    jobs_are_done(mill_over(*state, url));
}

static void an_address_is_as_good_as_a_name(void **state)
{
    char at[64];
    snprintf(at, sizeof at, "rediss://127.0.0.1:%s", port);
    jobs_are_done(mill_over(*state, at));
}

static void a_reader_that_waits_is_woken_over_tls(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_over(scene, url);
    mill_set(mill, "block_ms", "60000");
    mill_set(mill, "lease_ms", "600000");
    mill_started(mill);
    for (int i = 0; i < 20; i++) {
        wait_for(redis_info(&scene->redis, "clients", "blocked_clients") > 0);
        scene_publish(scene, i, 1);
        wait_for(mill->ended == i + 1); /* not only when its wait is over */
    }
    mill_stop(mill);
}

static void a_broken_connection_is_made_again_over_tls(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_started(mill_over(scene, url));
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    assert_true(redis_cut(&scene->redis, ":dispatcher") + redis_cut(&scene->redis, ":settler") == 2);
    scene_publish(scene, 1, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 2);
    mill_stop(mill);
}

/* Its answers cannot be written any more, and the server is killed: SIGPIPE would end this test. */
static void a_server_that_dies_raises_no_signal(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "redis", url, "tls_ca", certs_file(&certs, "ca.pem"), "drain_ms", "500", NULL);
    mill_started(mill);
    signal(SIGPIPE, SIG_DFL);
    mill->is_shut = true;
    scene_publish(scene, 0, 2);
    wait_for(mill->inside == 2);
    redis_kill(&scene->redis);
    atomic_store(&mill->is_shut, false);
    wait_for(mill->told[QUERN_NOTICE_OUTAGE] > 0);
    mill_stop(mill);
}

static void a_client_certificate_opens_a_server_that_wants_one(void **state)
{
    struct mill *mill = mill_over(*state, url);
    mill_set(mill, "tls_cert", certs_file(&certs, "client.pem"));
    mill_set(mill, "tls_key", certs_file(&certs, "client.key"));
    jobs_are_done(mill);
}

static void put_in_place(const char *pem, const char *key)
{
    char command[512];
    snprintf(command, sizeof command, "cd %s; cp %s mine.pem; cp %s mine.key", certs.dir, pem, key);
    assert_int_equal(system(command), 0);
}

static void renewed_files_are_used_by_the_next_connection(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_over(scene, url);
    put_in_place("client.pem", "client.key");
    mill_set(mill, "tls_cert", certs_file(&certs, "mine.pem"));
    mill_set(mill, "tls_key", certs_file(&certs, "mine.key"));
    mill_started(mill);
    put_in_place("stray.pem", "stray.key");
    redis_cut(&scene->redis, ":dispatcher");
    wait_for(mill->told[QUERN_NOTICE_OUTAGE] == 1);
    put_in_place("client.pem", "client.key");
    wait_for(mill->told[QUERN_NOTICE_BACK] == 1);
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    mill_stop(mill);
}

static void a_name_that_is_set_counts_instead_of_the_host(void **state)
{
    struct mill *mill = mill_over(*state, url);
    mill_set(mill, "tls_name", "elsewhere.test");
    jobs_are_done(mill);
}

/* ── it refuses ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_certificate_of_another_name_is_refused(void **state)
{
    char at[64];
    refuses(mill_over(*state, url), QUERN_E_AUTH, "it is not of localhost");
    snprintf(at, sizeof at, "rediss://127.0.0.1:%s", port);
    refuses(mill_over(*state, at), QUERN_E_AUTH, "it is not of 127.0.0.1");
}

static void a_certificate_that_has_expired_is_refused(void **state)
{
    refuses(mill_over(*state, url), QUERN_E_AUTH, "certificate has expired");
}

static void a_certificate_of_an_unknown_authority_is_refused(void **state)
{
    refuses(mill_over(*state, url), QUERN_E_AUTH, "is not trusted");
    refuses(mill_new(*state, "redis", url, NULL), QUERN_E_AUTH, "is not trusted"); /* nor does the system know it */
}

static void a_server_that_wants_a_certificate_is_told_of(void **state)
{
    struct mill *mill = mill_over(*state, url);
    refuses(mill, QUERN_E_AUTH, "tls_cert");
    struct mill *stray = mill_over(*state, url);
    mill_set(stray, "tls_cert", certs_file(&certs, "stray.pem"));
    mill_set(stray, "tls_key", certs_file(&certs, "stray.key"));
    refuses(stray, QUERN_E_AUTH, "tls_cert");
    char named[80];
    snprintf(named, sizeof named, "rediss://somebody@%s", url + strlen("rediss://"));
    refuses(mill_over(*state, named), QUERN_E_AUTH, "tls_cert"); /* which is not for want of a password */
}

static int open_plain(void **state)
{
    snprintf(port, sizeof port, "%d", redis_free_port());
    snprintf(url, sizeof url, "rediss://localhost:%s", port);
    const char *const more[] = {"--port", port, "--bind", "127.0.0.1", NULL};
    return scene_open_with(state, &(struct redis_options){.more = more});
}

static void a_server_without_tls_is_told_of(void **state)
{
    struct mill *mill = mill_over(*state, url);
    mill_set(mill, "connect_ms", "300");
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    assert_null(quern_pool_start(mill->config, &mill->error));
    if (!strstr(mill->error.text, "is its port the tls-port?")) fail_msg("%s", mill->error.text);
}

static void a_plain_connection_to_a_tls_port_does_not_hang_and_is_told_of_tls(void **state)
{
    char at[64];
    snprintf(at, sizeof at, "redis://localhost:%s", port);
    struct mill *mill = mill_new(*state, "redis", at, "connect_ms", "300", NULL);
    refuses(mill, QUERN_E_CONNECT, "rediss://");
}

/* ── files that are not what they should be ──────────────────────────────────────────────────────────────────────── */

static void bad_files_are_named_before_anything_is_dialled(void **state)
{
    static const char *const table[][5] = {
        {"tls_ca", "none.pem", NULL, NULL, "tls_ca: "},
        {"tls_ca", "ca.key", NULL, NULL, "no certificates in it"},
        {"tls_cert", "none.pem", NULL, NULL, "tls_cert: "},
        {"tls_cert", "client.key", NULL, NULL, "no certificate in it"},
        {"tls_cert", "client.pem", NULL, NULL, "no private key"},
        {"tls_cert", "client.pem", "tls_key", "server.key", "not the key of the certificate"},
        {"tls_cert", "client.pem", "tls_key", "open.key", "others may read"},
        {"tls_cert", "client.pem", "tls_key", "locked.key", "without a passphrase"},
        {"tls_key", "client.key", NULL, NULL, "no tls_cert"},
    };
    char command[512];
    snprintf(command, sizeof command,
             "cd %s; cp client.key open.key; chmod 644 open.key; openssl pkey -in client.key -aes128 -passout pass:x -out "
             "locked.key",
             certs.dir);
    assert_int_equal(system(command), 0);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct mill *mill = mill_new(*state, "redis", "rediss://localhost:1", NULL);
        mill_set(mill, table[i][0], certs_file(&certs, table[i][1]));
        if (table[i][2]) mill_set(mill, table[i][2], certs_file(&certs, table[i][3]));
        refuses(mill, QUERN_E_CONFIG, table[i][4]);
    }
}

static void keys_of_tls_without_tls_are_refused(void **state)
{
    struct mill *mill = mill_over(*state, "redis://localhost:1");
    refuses(mill, QUERN_E_CONFIG, "right would be rediss://");
}

/* ── it costs nothing where it is not used ───────────────────────────────────────────────────────────────────────── */

static bool is_loaded(const char *library)
{
    char line[512];
    bool is_there = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) is_there |= strstr(line, library) != NULL;
    fclose(maps);
    return is_there;
}

static void openssl_is_loaded_when_it_is_needed(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, NULL);
    scene_publish(scene, 0, 1);
    wait_for(mill_stat(mill, "jobs", "done") == 1);
    mill_stop(mill);
    assert_false(is_loaded("/libssl."));
}

int main(void)
{
#define TLS(test, open) cmocka_unit_test_setup_teardown(test, open, scene_close)
    const struct CMUnitTest tests[] = {
        TLS(openssl_is_loaded_when_it_is_needed, scene_open), /* first: nothing unloads it */
        TLS(a_pool_works_over_tls, open_good),
        TLS(an_address_is_as_good_as_a_name, open_good),
        TLS(a_reader_that_waits_is_woken_over_tls, open_good),
        TLS(a_broken_connection_is_made_again_over_tls, open_good),
        TLS(a_server_that_dies_raises_no_signal, open_good),
        TLS(a_client_certificate_opens_a_server_that_wants_one, open_mutual),
        TLS(renewed_files_are_used_by_the_next_connection, open_mutual),
        TLS(a_name_that_is_set_counts_instead_of_the_host, open_wrong),
        TLS(a_certificate_of_another_name_is_refused, open_wrong),
        TLS(a_certificate_that_has_expired_is_refused, open_expired),
        TLS(a_certificate_of_an_unknown_authority_is_refused, open_stray),
        TLS(a_server_that_wants_a_certificate_is_told_of, open_mutual),
        TLS(a_server_without_tls_is_told_of, open_plain),
        TLS(a_plain_connection_to_a_tls_port_does_not_hang_and_is_told_of_tls, open_good),
        TLS(bad_files_are_named_before_anything_is_dialled, scene_open),
        TLS(keys_of_tls_without_tls_are_refused, scene_open),
    };
    return cmocka_run_group_tests(tests, make_certs, remove_certs);
}
