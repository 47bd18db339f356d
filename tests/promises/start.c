/* SPDX-License-Identifier: MIT */

/* promises/start: a pool starts, or says in one clear error why not, and leaves nothing running. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "support/acl.h"
#include "support/mill.h"
#include "support/proxy.h"
#include "wire/script.h"

static int count_entries(const char *dir)
{
    int count = 0;
    DIR *at = opendir(dir);
    assert_non_null(at);
    while (readdir(at)) count++;
    closedir(at);
    return count;
}

/* A start must fail with this code, soon, and name these words. */
static void refuses(struct scene *scene, const char *url, int code, const char *words, const char *more)
{
    struct mill *mill = mill_new(scene, "redis", url, "connect_ms", "500", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    int threads = count_entries("/proc/self/task"), files = count_entries("/proc/self/fd");
    int64_t from_ms = wait_now_ms();
    mill->pool = quern_pool_start(mill->config, &mill->error);
    assert_null(mill->pool);
    assert_in_range(wait_now_ms() - from_ms, 0, SOON_MS);
    if (mill->error.code != code) fail_msg("%s: %s", quern_code_name(mill->error.code), mill->error.text);
    if (!strstr(mill->error.text, words)) fail_msg("'%s' is not in: %s", words, mill->error.text);
    if (!strstr(mill->error.text, more)) fail_msg("'%s' is not in: %s", more, mill->error.text);
    assert_null(strchr(mill->error.text, '\n'));
    assert_null(strstr(mill->error.text, "hunter2"));
    wait_for(count_entries("/proc/self/task") == threads);
    wait_for(count_entries("/proc/self/fd") == files); /* the other end, in this process too, closes when it likes */
}

static void no_server_is_named_by_its_url(void **state)
{
    struct scene *scene = *state;
    refuses(scene, "unix:///nobody/listens/here", QUERN_E_CONNECT, "unix:///nobody/listens/here", "No such file");
    refuses(scene, "redis://someone:hunter2@127.0.0.1:1/3", QUERN_E_CONNECT, "redis://someone:***@127.0.0.1:1/3", "");
    assert_true(scene->mills[0]->error.is_retriable);
}

static void a_wrong_or_a_missing_password_is_said(void **state)
{
    struct scene *scene = *state;
    char url[200];
    acl_set_aside(true);
    snprintf(url, sizeof url, "unix://default:hunter2@%s", scene->redis.socket);
    refuses(scene, url, QUERN_E_AUTH, "wrong user or password", "WRONGPASS");
    refuses(scene, scene->redis.url, QUERN_E_AUTH, "asks for a password", scene->redis.socket);
    snprintf(url, sizeof url, "unix://default:swordfish@%s", scene->redis.socket);
    struct mill *mill = mill_run(scene, "redis", url, NULL);
    mill_stop(mill);
    assert_int_equal(mill_lines(mill, "swordfish"), 0);
}

/* Nobody is the default user only because his password was forgotten. */
static void a_user_without_a_password_is_not_taken_for_the_default_one(void **state)
{
    struct scene *scene = *state;
    char url[200];
    snprintf(url, sizeof url, "unix://nobody@%s", scene->redis.socket);
    refuses(scene, url, QUERN_E_AUTH, "user nobody is named without a password", "redis_password_file");
    redis_ask(&scene->redis, "ACL", "SETUSER", "open", "on", "nopass", "~*", "+@all", "-xautoclaim");
    snprintf(url, sizeof url, "unix://open@%s", scene->redis.socket);
    struct mill *mill = mill_run(scene, "redis", url, NULL);
    assert_true(answer_is(redis_ask(&scene->redis, "ACL", "WHOAMI"), "default"));
    const char *list = redis_ask(&scene->redis, "CLIENT", "LIST")->text;
    assert_non_null(strstr(list, "user=open"));
    mill_stop(mill);
}

/* ── servers that are none ───────────────────────────────────────────────────────────────────────────────────────── */

static void refuses_one_that_says(struct scene *scene, const char *hello, int code, const char *words)
{
    char path[120], url[140];
    snprintf(path, sizeof path, "%s/fake", scene->redis.dir);
    snprintf(url, sizeof url, "unix://%s", path);
    struct proxy *fake = proxy_open(path, NULL, hello);
    assert_non_null(fake);
    refuses(scene, url, code, words, path);
    assert_true(proxy_accepted(fake) > 0);
    proxy_close(fake);
}

static void what_does_not_speak_redis_is_said(void **state)
{
    refuses_one_that_says(*state, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", QUERN_E_SERVER, "protocol");
    refuses_one_that_says(*state, "SSH-2.0-OpenSSH_9.2\r\n", QUERN_E_SERVER, "protocol");
}

static void a_server_that_says_nothing_is_given_up_in_time(void **state)
{
    refuses_one_that_says(*state, NULL, QUERN_E_CONNECT, "no answer");
}

/* How often a start of this budget comes to a door behind which nobody is. */
static int attempts(struct scene *scene, const char *connect_ms, const char *pause_ms)
{
    char path[120], url[140];
    snprintf(path, sizeof path, "%s/door", scene->redis.dir);
    snprintf(url, sizeof url, "unix://%s", path);
    struct proxy *door = proxy_open(path, "/nobody/behind/it", NULL);
    assert_non_null(door);
    struct mill *mill =
        mill_new(scene, "redis", url, "connect_ms", connect_ms, "backoff_ms", pause_ms, "backoff_max_ms", pause_ms, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    assert_null(quern_pool_start(mill->config, &mill->error));
    assert_int_equal(mill->error.code, QUERN_E_CONNECT);
    int came = proxy_accepted(door);
    proxy_close(door);
    return came;
}

static void a_start_tries_again_as_often_as_backoff_ms_and_connect_ms_say(void **state)
{
    assert_int_equal(attempts(*state, "0", "1"), 1);
    assert_in_range(attempts(*state, "1000", "400"), 2, 7); /* pauses of 200 to 400 ms, and once more at the end */
    assert_true(attempts(*state, "1000", "5") > 10);
    assert_in_range(attempts(*state, "300", "60000"), 2, 2); /* a pause is not longer than what is left */
}

/* Half-open in the middle of a start: connect_ms is not over by that. */
static void a_start_whose_answer_does_not_come_tries_again(void **state)
{
    struct scene *scene = *state;
    struct proxy *proxy = proxy_open(NULL, scene->redis.socket, NULL);
    struct mill *mill = mill_new(scene, "redis", proxy_url(proxy), "lease_ms", "3000", NULL);
    proxy_fault(proxy, &(struct proxy_fault){":settler", script_join.sha1, PROXY_SILENT, .times = 1});
    mill_started(mill);
    assert_int_equal(proxy_swallowed(proxy), 1);
    scene_publish(scene, 0, 1);
    wait_for(mill_has_seen_once(mill, 0, 1));
    mill_stop(mill);
    proxy_close(proxy);
}

static void an_old_redis_is_refused_by_its_version(void **state)
{
    acl_set_aside(true);
    refuses_one_that_says(*state, "+OK\r\n:1\r\n$39\r\n# Server\r\nredis_version:6.2.0\r\nos:Linux\r\n\r\n", QUERN_E_SERVER,
                          "7.0");
}

static void what_tells_no_version_is_refused(void **state)
{
    acl_set_aside(true);
    refuses_one_that_says(*state, "+OK\r\n:1\r\n$10\r\n# Server\r\n\r\n", QUERN_E_SERVER, "not Redis");
}

static void a_heartbeat_of_half_the_lease_or_more_is_refused_before_any_io(void **state)
{
    static const char *const beats[] = {"500", "501", "999", "5000"};
    struct scene *scene = *state;
    long long connections = redis_info(&scene->redis, "stats", "total_connections_received");
    for (size_t i = 0; i < sizeof beats / sizeof *beats; i++) {
        struct mill *mill = mill_new(scene, "lease_ms", "1000", "heartbeat_ms", beats[i], NULL);
        mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
        assert_null(quern_pool_start(mill->config, &mill->error));
        assert_int_equal(mill->error.code, QUERN_E_CONFIG);
        const char *const words[] = {"heartbeat_ms", beats[i], "lease_ms (1000)", "use less than 500"};
        for (size_t w = 0; w < 4; w++)
            if (!strstr(mill->error.text, words[w])) fail_msg("'%s' is not in: %s", words[w], mill->error.text);
    }
    assert_int_equal(redis_info(&scene->redis, "stats", "total_connections_received"), connections);
    mill_stop(mill_run(scene, "lease_ms", "1000", "heartbeat_ms", "499", NULL));
}

/* And nothing was made beside it. */
static void refuses_key(struct scene *scene, const char *key, const char *what)
{
    refuses(scene, scene->redis.url, QUERN_E_SERVER, key, what);
    assert_int_equal(redis_number(&scene->redis, "DEL", key), 1);
    assert_int_equal(redis_number(&scene->redis, "DBSIZE"), 0);
}

static void a_configuration_that_cannot_work_is_refused_without_a_server(void **state)
{
    quern_error error;
    quern_config *config = quern_config_new();
    (void)state;
    assert_null(quern_pool_start(NULL, &error));
    assert_int_equal(error.code, QUERN_E_ARGUMENT);
    assert_null(quern_pool_start(config, &error));
    assert_int_equal(error.code, QUERN_E_CONFIG);
    assert_non_null(strstr(error.text, "redis"));
    assert_int_equal(quern_config_set(config, "redis", "unix:///nobody", &error), QUERN_OK);
    assert_null(quern_pool_start(config, &error));
    assert_int_equal(error.code, QUERN_E_CONFIG);
    assert_non_null(strstr(error.text, "handler"));
    assert_null(quern_pool_start(config, NULL));
    quern_config_free(config);
}

static void a_key_of_another_type_is_refused_by_name(void **state)
{
    static const char *const streams[] = {"jobs", "jobs:failed", "jobs:g:retry", "jobs:g:alone", "jobs:g:completed"};
    static const char *const others[] = {"jobs:g:delayed", "jobs:g:delayed:jobs", "jobs:g:settles",
                                         "jobs:g:crashes", "jobs:scheduled",      "jobs:scheduled:jobs"};
    struct scene *scene = *state;
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        redis_ask(&scene->redis, "SET", streams[i], "somebody's");
        refuses_key(scene, streams[i], "holds a string");
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        redis_ask(&scene->redis, "LPUSH", others[i], "somebody's");
        refuses_key(scene, others[i], "holds a list");
    }
    redis_ask(&scene->redis, "HSET", "jobs:g:reaper", "somebody's", "1");
    refuses_key(scene, "jobs:g:reaper", "holds a hash");
    redis_ask(&scene->redis, "SET", "letters", "somebody's");
    struct mill *mill = mill_new(scene, "dead_letter_stream", "letters", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    assert_null(quern_pool_start(mill->config, &mill->error));
    assert_int_equal(mill->error.code, QUERN_E_SERVER);
    assert_non_null(strstr(mill->error.text, "letters holds a string"));
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(no_server_is_named_by_its_url),
        cmocka_unit_test_setup_teardown(a_wrong_or_a_missing_password_is_said, scene_open_password, scene_close),
        SCENE(a_user_without_a_password_is_not_taken_for_the_default_one),
        SCENE(what_does_not_speak_redis_is_said),
        SCENE(a_server_that_says_nothing_is_given_up_in_time),
        SCENE(a_start_tries_again_as_often_as_backoff_ms_and_connect_ms_say),
        SCENE(a_start_whose_answer_does_not_come_tries_again),
        SCENE(an_old_redis_is_refused_by_its_version),
        SCENE(what_tells_no_version_is_refused),
        SCENE(a_heartbeat_of_half_the_lease_or_more_is_refused_before_any_io),
        SCENE(a_key_of_another_type_is_refused_by_name),
        cmocka_unit_test(a_configuration_that_cannot_work_is_refused_without_a_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
