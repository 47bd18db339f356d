/* SPDX-License-Identifier: MIT */

/* promises/conditions: a Redis that is there and does not do what it should: full, unable to save, a replica for a while, busy,
 * paused, or shutting its doors. The pool waits without a hot loop, goes on by itself, and loses nothing that Redis still has. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/mill.h"

enum { HOLD_MS = 1500, TRIES_PER_S = 150, CONNECTIONS_PER_S = 40 };

/* ── what a pool asks of Redis ───────────────────────────────────────────────────────────────────────────────────── */

struct toll {
    long long tries, connections, at_ms;
};

/* Commands that were run or refused, and connections, so far. */
static struct toll toll(struct scene *scene)
{
    struct redis *redis = &scene->redis;
    return (struct toll){redis_info(redis, "stats", "total_commands_processed") +
                             redis_info(redis, "stats", "total_error_replies"),
                         redis_info(redis, "stats", "total_connections_received"), wait_now_ms()};
}

static void is_no_hot_loop(struct scene *scene, struct toll before)
{
    struct toll now = toll(scene);
    long long seconds = (now.at_ms - before.at_ms) / 1000 + 1;
    assert_in_range(now.tries - before.tries, 0, TRIES_PER_S * seconds);
    assert_in_range(now.connections - before.connections, 0, CONNECTIONS_PER_S * seconds);
}

static bool is_clean(struct scene *scene)
{
    return redis_pending(&scene->redis, "jobs", "g") == 0 && redis_pending(&scene->redis, "jobs:g:retry", "g") == 0;
}

/* Jobs from..from+n-1 were all run, new ones are too, and the pool can be stopped. */
static void goes_on(struct scene *scene, struct mill *mill, int from, int n)
{
    wait_for(mill_has_seen(mill, from, n));
    scene_publish(scene, from + n, 10);
    wait_for(mill_has_seen(mill, from + n, 10));
    wait_for(mill_stat(mill, "jobs", "held") == 0 && is_clean(scene));
    wait_for(mill_stat(mill, "redis", "up") == 1);
    mill_stop(mill);
}

static void is_set(struct scene *scene, const char *key, const char *value)
{
    const struct answer *answer = redis_ask(&scene->redis, "CONFIG", "SET", key, value);
    if (!answer_is(answer, "OK")) fail_msg("CONFIG SET %s: %s", key, answer->text);
}

/* Two jobs inside, eight behind them. */
static struct mill *with_jobs_inside(struct scene *scene, const char *lease_ms)
{
    struct mill *mill = mill_run(scene, "lease_ms", lease_ms, NULL);
    atomic_store(&mill->is_shut, true);
    scene_publish(scene, 0, 10);
    wait_for(mill->inside == 2);
    return mill;
}

/* ── all is forgotten ────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_restart_that_has_forgotten_everything_is_gone_on_with(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = with_jobs_inside(scene, "60000");
    redis_kill(&scene->redis);
    wait_for(mill->told[QUERN_NOTICE_OUTAGE] == 1);
    redis_again(&scene->redis);
    struct toll before = toll(scene);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "held") == 0); /* no command of ours, while those of the pool are counted */
    stays(mill_stat(mill, "jobs", "held") == 0, HOLD_MS);
    is_no_hot_loop(scene, before);
    wait_for(is_clean(scene));
    scene_publish(scene, 10, 10);
    goes_on(scene, mill, 10, 10);
}

/* ── full ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void publishing_into_a_full_server_is_refused_cleanly(struct scene *scene)
{
    quern_error error;
    quern_config *config = quern_config_new();
    assert_false(quern_config_set(config, "redis", scene->redis.url, NULL) ||
                 quern_config_set(config, "stream", "jobs", NULL) || quern_config_set(config, "publish_ms", "300", NULL));
    quern_publisher *publisher = quern_publisher_open(config, &error);
    long long length = redis_number(&scene->redis, "XLEN", "jobs");
    quern_message message = {.size = sizeof message, .event = "job", .data = {"1", 1}};
    assert_int_equal(quern_publish(publisher, &message, 1, NULL, &error), QUERN_E_SERVER);
    assert_true(error.is_retriable && strstr(error.text, "OOM"));
    assert_in_range(redis_number(&scene->redis, "XLEN", "jobs"), 0, length);
    quern_publisher_close(publisher);
    quern_config_free(config);
}

static void a_full_server_is_drained_and_then_takes_jobs_again(void **state)
{
    enum { JOBS = 500 };
    struct scene *scene = *state;
    struct mill *mill =
        mill_run(scene, "retry_base_ms", "20", "retry_limit", "-1", "reap_ms", "100", "completed_max", "1000", NULL);
    atomic_store(&mill->is_shut, true);
    atomic_store(&mill->verdict, QUERN_RETRY);
    scene_publish(scene, 0, JOBS);
    wait_for(mill->inside == 2);
    is_set(scene, "maxmemory", "1");
    publishing_into_a_full_server_is_refused_cleanly(scene);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "jobs", "retry") >= JOBS); /* a retry is a write, too */
    atomic_store(&mill->verdict, QUERN_DONE);
    wait_for(mill_has_seen(mill, 0, JOBS) && mill_stat(mill, "jobs", "done") == JOBS);
    wait_for(is_clean(scene));
    struct toll before = toll(scene);
    stays(mill_stat(mill, "redis", "up") == 1, HOLD_MS); /* the reaper's turns come and go */
    is_no_hot_loop(scene, before);
    assert_int_equal(mill->told[QUERN_NOTICE_OUTAGE], 0);
    is_set(scene, "maxmemory", "0");
    goes_on(scene, mill, 0, JOBS);
}

static void what_a_dead_process_held_comes_back_from_a_full_server(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "lease_ms", "400", "reap_ms", "50", NULL);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "job", "data", "1");
    wait_for(mill_has_seen(mill, 1, 1));
    redis_ask(&scene->redis, "MULTI");
    redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "job", "data", "2");
    redis_ask(&scene->redis, "XREADGROUP", "GROUP", "g", "dead", "STREAMS", "jobs", ">");
    redis_ask(&scene->redis, "EXEC");
    is_set(scene, "maxmemory", "1");
    wait_for(mill_has_seen(mill, 2, 1));
    is_set(scene, "maxmemory", "0");
    goes_on(scene, mill, 1, 2);
}

enum { THERE = 50 };

/* A pool that comes when there is no room any more makes some, and leaves. */
static void a_pool_comes_to(struct scene *scene, int from)
{
    scene_publish(scene, from, THERE);
    is_set(scene, "maxmemory", "1");
    struct mill *mill = mill_run(scene, NULL);
    wait_for(mill_has_seen(mill, from, THERE) && mill_stat(mill, "jobs", "held") == 0 && is_clean(scene));
    mill_stop(mill);
    is_set(scene, "maxmemory", "0");
}

/* Nobody else makes room there: were it refused, the jobs would lie there for ever. */
static void a_pool_starts_at_a_full_server_and_drains_it(void **state)
{
    struct scene *scene = *state;
    a_pool_comes_to(scene, 0); /* the first that ever came */
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    assert_int_equal(redis_number(&scene->redis, "EXISTS", "jobs:g:retry"), 0); /* it went with the last pool */
    a_pool_comes_to(scene, THERE);
    redis_ask(&scene->redis, "XGROUP", "CREATE", "jobs:g:retry", "g", "0", "MKSTREAM");
    a_pool_comes_to(scene, 2 * THERE);
}

/* ── cannot save, is a replica, is busy ──────────────────────────────────────────────────────────────────────────── */

static void a_server_that_cannot_save_is_waited_for(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = with_jobs_inside(scene, "60000");
    char dump[100];
    snprintf(dump, sizeof dump, "%s/dump.rdb", scene->redis.dir);
    assert_int_equal(mkdir(dump, 0700), 0); /* no file can take its place, not even root's */
    is_set(scene, "save", "3600 1");
    redis_ask(&scene->redis, "BGSAVE");
    wait_for(redis_ask(&scene->redis, "PING")->kind == '-');
    struct toll before = toll(scene);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "redis", "up") == 0);
    stays(mill_stat(mill, "redis", "up") == 0 && mill_stat(mill, "jobs", "done") == 0, HOLD_MS);
    is_no_hot_loop(scene, before);
    assert_int_equal(rmdir(dump), 0);
    redis_ask(&scene->redis, "BGSAVE");
    goes_on(scene, mill, 0, 10);
    assert_true(mill_lines(mill, "MISCONF") > 0);
}

static void a_primary_that_is_a_replica_for_a_while_is_waited_for(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = with_jobs_inside(scene, "60000");
    struct toll before = toll(scene);
    redis_ask(&scene->redis, "REPLICAOF", "127.0.0.1", "1");
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "redis", "up") == 0);
    stays(mill_stat(mill, "redis", "up") == 0 && mill_stat(mill, "jobs", "done") == 0, HOLD_MS);
    is_no_hot_loop(scene, before);
    redis_ask(&scene->redis, "REPLICAOF", "NO", "ONE");
    goes_on(scene, mill, 0, 10);
    assert_int_equal(mill_lines(mill, "event=group_made_again"), 0);
}

static void a_busy_server_is_waited_for(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = with_jobs_inside(scene, "60000");
    struct resp *other = resp_open(scene->redis.socket);
    is_set(scene, "lua-time-limit", "20");
    struct toll before = toll(scene);
    resp_say(other, "EVAL", "while true do end", "0", (char *)NULL);
    wait_for(redis_ask(&scene->redis, "PING")->kind == '-');
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "redis", "up") == 0);
    stays(mill_stat(mill, "redis", "up") == 0, HOLD_MS);
    redis_ask(&scene->redis, "SCRIPT", "KILL");
    assert_int_equal(resp_hear(other)->kind, '-');
    is_no_hot_loop(scene, before);
    resp_close(other);
    goes_on(scene, mill, 0, 10);
}

/* It answers what only reads, and refuses the rest: that is one outage, not one after each answer. */
static void an_idle_pool_tells_a_server_that_refuses_once(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "reap_ms", "100", NULL);
    scene_publish(scene, 0, 10);
    wait_for(mill_stat(mill, "jobs", "done") == 10 && mill_stat(mill, "jobs", "held") == 0);
    struct toll before = toll(scene);
    is_set(scene, "min-replicas-to-write", "1");
    wait_for(mill_stat(mill, "redis", "up") == 0);
    stays(mill_stat(mill, "redis", "up") == 0, 2 * HOLD_MS);
    is_no_hot_loop(scene, before);
    is_set(scene, "min-replicas-to-write", "0");
    wait_for(mill->told[QUERN_NOTICE_BACK] == 1);
    goes_on(scene, mill, 0, 10);
    wait_for(mill->told[QUERN_NOTICE_OUTAGE] == 1);
    wait_for(mill_lines(mill, "event=redis_lost") == 1);
}

static void *start_pool(void *given)
{
    struct mill *mill = given;
    mill->pool = quern_pool_start(mill->config, &mill->error);
    return NULL;
}

static void a_start_waits_connect_ms_for_a_server_that_refuses(void **state)
{
    struct scene *scene = *state;
    pthread_t thread;
    struct mill *mill = mill_new(scene, "connect_ms", "300", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind, .user = mill});
    is_set(scene, "min-replicas-to-write", "1");
    start_pool(mill);
    assert_null(mill->pool);
    assert_int_equal(mill->error.code, QUERN_E_SERVER);
    assert_true(mill->error.is_retriable && strstr(mill->error.text, "NOREPLICAS"));
    mill_set(mill, "connect_ms", "30000");
    long long refused = redis_info(&scene->redis, "errorstats", "errorstat_NOREPLICAS:count");
    assert_int_equal(pthread_create(&thread, NULL, start_pool, mill), 0);
    wait_for(redis_info(&scene->redis, "errorstats", "errorstat_NOREPLICAS:count") >= refused + 2);
    is_set(scene, "min-replicas-to-write", "0");
    pthread_join(thread, NULL);
    if (!mill->pool) fail_msg("%s", mill->error.text);
    scene_publish(scene, 0, 10);
    goes_on(scene, mill, 0, 10);
}

/* ── paused, unblocked ───────────────────────────────────────────────────────────────────────────────────────────── */

/* Longer than an answer may take, which is a second here. */
static void survives_a_pause(struct scene *scene, const char *what)
{
    struct mill *mill = with_jobs_inside(scene, "2000");
    struct toll before = toll(scene);
    assert_true(answer_is(redis_ask(&scene->redis, "CLIENT", "PAUSE", "4000", what), "OK"));
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "redis", "up") == 0);
    wait_for(mill_stat(mill, "redis", "up") == 1);
    is_no_hot_loop(scene, before);
    goes_on(scene, mill, 0, 10);
}

static void a_pause_of_all_clients_is_waited_for(void **state)
{
    survives_a_pause(*state, "ALL");
}

static void a_pause_of_all_writes_is_waited_for(void **state)
{
    survives_a_pause(*state, "WRITE");
}

static void a_read_may_be_unblocked_with_an_error(void **state)
{
    enum { TIMES = 10 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, NULL);
    for (int i = 0; i < TIMES; i++) {
        char id[24];
        scene_publish(scene, i, 1);
        wait_for(mill_has_seen(mill, i, 1));
        wait_for(redis_info(&scene->redis, "clients", "blocked_clients") == 1);
        wait_for(redis_client(&scene->redis, ":dispatcher", id));
        assert_int_equal(redis_number(&scene->redis, "CLIENT", "UNBLOCK", id, "ERROR"), 1);
    }
    goes_on(scene, mill, 0, TIMES);
}

/* ── shut doors ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static void all_connections_may_be_killed_again_and_again(void **state)
{
    enum { KILLS = 10, JOBS = 300 };
    struct scene *scene = *state;
    struct mill *mill = mill_run(scene, "lease_ms", "60000", NULL);
    mill->work_us = 100;
    for (int kill = 0; kill < KILLS; kill++) {
        scene_publish(scene, kill * JOBS, JOBS);
        wait_for(mill->ended >= kill * JOBS + JOBS / 4);
        redis_ask(&scene->redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    }
    goes_on(scene, mill, 0, KILLS * JOBS);
}

static void a_start_says_that_there_is_no_room_for_its_connections(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = mill_new(scene, "connect_ms", "300", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    for (char most[] = "1"; most[0] <= '4'; most[0]++) { /* the test's own, and four to come */
        is_set(scene, "maxclients", most);
        mill->pool = quern_pool_start(mill->config, &mill->error);
        assert_null(mill->pool);
        assert_int_equal(mill->error.code, QUERN_E_CONNECT);
        assert_true(mill->error.is_retriable);
        if (!strstr(mill->error.text, "max number of clients")) fail_msg("%s", mill->error.text);
    }
    is_set(scene, "maxclients", "100");
    mill_start(mill);
    scene_publish(scene, 0, 10);
    goes_on(scene, mill, 0, 10);
}

static void a_server_without_room_for_the_next_connection_is_asked_again(void **state)
{
    struct scene *scene = *state;
    struct mill *mill = with_jobs_inside(scene, "60000");
    is_set(scene, "maxclients", "1");
    struct toll before = toll(scene);
    redis_ask(&scene->redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "redis", "up") == 0);
    stays(mill_stat(mill, "redis", "up") == 0, HOLD_MS);
    is_no_hot_loop(scene, before);
    is_set(scene, "maxclients", "100");
    goes_on(scene, mill, 0, 10);
}

/* ── no room on the disk ─────────────────────────────────────────────────────────────────────────────────────────── */

/* A small disk that goes with this process: it is seen in a mount namespace of our own. */
static int open_small_disk(const char *dir)
{
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) return -1;
    return mount("quern-test", dir, "tmpfs", MS_NOSUID | MS_NODEV, "size=2m");
}

/* Writes until the disk is full. */
static void fill(const char *path)
{
    static const char zeros[65536];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t n = sizeof zeros; n;)
        if (write(fd, zeros, n) <= 0) n /= 2;
    close(fd);
}

static void a_full_disk_is_waited_for(void **state)
{
    struct scene *scene = *state;
    char dir[100], filler[120];
    snprintf(dir, sizeof dir, "%s/disk", scene->redis.dir);
    snprintf(filler, sizeof filler, "%s/filler", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    if (open_small_disk(dir)) {
        printf("SKIPPED: nothing can be mounted here (%s): a full disk was not tried\n", strerror(errno));
        skip();
    }
    const char *const more[] = {"--dir", dir, "--appendonly", "yes", "--appendfsync", "everysec", NULL};
    redis_kill(&scene->redis);
    scene->redis.options.more = more;
    redis_again(&scene->redis);
    struct mill *mill = with_jobs_inside(scene, "60000");
    fill(filler);
    wait_for(redis_ask(&scene->redis, "SET", "filler", "a few bytes more than the disk's last page has left")->kind == '-');
    struct toll before = toll(scene);
    atomic_store(&mill->is_shut, false);
    wait_for(mill_stat(mill, "redis", "up") == 0);
    stays(mill_stat(mill, "redis", "up") == 0, HOLD_MS);
    is_no_hot_loop(scene, before);
    assert_int_equal(unlink(filler), 0);
    goes_on(scene, mill, 0, 10);
    redis_kill(&scene->redis);
    umount2(dir, MNT_DETACH);
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(a_restart_that_has_forgotten_everything_is_gone_on_with),
        SCENE(a_full_server_is_drained_and_then_takes_jobs_again),
        SCENE(what_a_dead_process_held_comes_back_from_a_full_server),
        SCENE(a_pool_starts_at_a_full_server_and_drains_it),
        SCENE(a_server_that_cannot_save_is_waited_for),
        SCENE(a_primary_that_is_a_replica_for_a_while_is_waited_for),
        SCENE(a_busy_server_is_waited_for),
        SCENE(an_idle_pool_tells_a_server_that_refuses_once),
        SCENE(a_start_waits_connect_ms_for_a_server_that_refuses),
        SCENE(a_pause_of_all_clients_is_waited_for),
        SCENE(a_pause_of_all_writes_is_waited_for),
        SCENE(a_read_may_be_unblocked_with_an_error),
        SCENE(all_connections_may_be_killed_again_and_again),
        SCENE(a_start_says_that_there_is_no_room_for_its_connections),
        SCENE(a_server_without_room_for_the_next_connection_is_asked_again),
        SCENE(a_full_disk_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
