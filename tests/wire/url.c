/* SPDX-License-Identifier: MIT */
#include "wire/url.h"

#include "support/unit.h"

static void good_urls_are_read(void **state)
{
#define OF(unix_is, at, of_port, number, name, secret, whole) \
    .is_unix = unix_is, .host = at, .port = of_port, .db = number, .user = name, .password = secret, .shown = whole
#define URL(...)      {OF(__VA_ARGS__)}
#define OVER_TLS(...) {OF(__VA_ARGS__), .is_tls = true}
    static const struct {
        const char *text;
        struct url url;
    } table[] = {
        {"redis://localhost", URL(false, "localhost", 6379, 0, NULL, NULL, "redis://localhost:6379")},
        {"redis://localhost/", URL(false, "localhost", 6379, 0, NULL, NULL, "redis://localhost:6379")},
        {"redis://127.0.0.1:1", URL(false, "127.0.0.1", 1, 0, NULL, NULL, "redis://127.0.0.1:1")},
        {"redis://h:65535/15", URL(false, "h", 65535, 15, NULL, NULL, "redis://h:65535/15")},
        {"redis://[::1]", URL(false, "::1", 6379, 0, NULL, NULL, "redis://[::1]:6379")},
        {"redis://[fe80::1%25eth0]:7000/2", URL(false, "fe80::1%eth0", 7000, 2, NULL, NULL, "redis://[fe80::1%eth0]:7000/2")},
        {"rediss://a:s3cret@h", OVER_TLS(false, "h", 6379, 0, "a", "s3cret", "rediss://a:***@h:6379")},
        {"rediss://[::1]:7/2", OVER_TLS(false, "::1", 7, 2, NULL, NULL, "rediss://[::1]:7/2")},
        {"redis://alice@h", URL(false, "h", 6379, 0, "alice", NULL, "redis://alice@h:6379")},
        {"redis://alice:s3cret@h", URL(false, "h", 6379, 0, "alice", "s3cret", "redis://alice:***@h:6379")},
        {"redis://:s3cret@h", URL(false, "h", 6379, 0, NULL, "s3cret", "redis://:***@h:6379")},
        {"redis://a:s3%3Acr%40et%2F%25@[::1]:7", URL(false, "::1", 7, 0, "a", "s3:cr@et/%", "redis://a:***@[::1]:7")},
        {"redis://a:s3:cret@h", URL(false, "h", 6379, 0, "a", "s3:cret", "redis://a:***@h:6379")},
        {"redis://a:s3cr@et@h", URL(false, "h", 6379, 0, "a", "s3cr@et", "redis://a:***@h:6379")},
        {"redis://%41%6c:s3cret@h", URL(false, "h", 6379, 0, "Al", "s3cret", "redis://Al:***@h:6379")},
        {"unix:///run/redis.sock", URL(true, "/run/redis.sock", 0, 0, NULL, NULL, "unix:///run/redis.sock")},
        {"unix:///run/a%20b%3f?db=3", URL(true, "/run/a b?", 0, 3, NULL, NULL, "unix:///run/a b??db=3")},
        {"unix:///run/at@home", URL(true, "/run/at@home", 0, 0, NULL, NULL, "unix:///run/at@home")},
        {"unix://a:s3cret@/run/x", URL(true, "/run/x", 0, 0, "a", "s3cret", "unix://a:***@/run/x")},
        {"unix://:s3cr@et@/run/x", URL(true, "/run/x", 0, 0, NULL, "s3cr@et", "unix://:***@/run/x")},
        {"redis://h:6379/1000000", URL(false, "h", 6379, 1000000, NULL, NULL, "redis://h:6379/1000000")},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct url *want = &table[i].url;
        struct url url;
        quern_error err;
        if (url_read(&url, table[i].text, &err)) fail_msg("%s: %s", table[i].text, err.text);
        assert_string_equal(want->host, url.host);
        assert_string_equal(want->shown, url.shown);
        assert_int_equal(want->is_unix, url.is_unix);
        assert_int_equal(want->port, url.port);
        assert_int_equal(want->db, url.db);
        assert_int_equal(want->is_tls, url.is_tls);
        assert_true(bytes_equal(bytes_of(want->user), bytes_of(url.user)) && !want->user == !url.user);
        assert_true(bytes_equal(bytes_of(want->password), bytes_of(url.password)) && !want->password == !url.password);
        assert_null(strstr(url.shown, "s3c"));
        assert_null(strstr(url.shown, "et@"));
        url_free(&url);
        assert_null(url.host);
    }
}

static void bad_urls_are_refused_without_telling_the_password(void **state)
{
    static const char *const table[] = {
        "",
        "localhost",
        "localhost:6379",
        "s3cret@localhost",
        "s3cret@localhost:6379",
        ":s3cret@localhost:6379",
        "http://a:s3cret@h",
        "redisss://a:s3cret@h",
        "rediss:/a:s3cret@h",
        "rediss://a:s3cret@h?db=1",
        "unix:/run/x",
        "redis:",
        "redis:/",
        "redis://",
        "redis://:s3cret@",
        "redis://a:s3cret@:6379",
        "redis://a:s3cret@h:",
        "redis://a:s3cret@h:0",
        "redis://a:s3cret@h:65536",
        "redis://a:s3cret@h:x",
        "redis://a:s3cret@h:+1",
        "redis://a:s3cret@h/x",
        "redis://a:s3cret@h/-1",
        "redis://a:s3cret@h/1000001",
        "redis://a:s3cret@h/0/1",
        "redis://a:s3cret@h?db=1",
        "redis://a:s3cret@h#1",
        "redis://a:s3cret%@h",
        "redis://a:s3cret%4@h",
        "redis://a:s3cret%zz@h",
        "redis://a:s3cret%00@h",
        "redis://a%:s3cret@h",
        "redis://a:s3cret@h%00",
        "redis://a:s3cret/x@h",
        "redis://a:1/s3cret@h",
        "redis://a:s3cret@[::1",
        "redis://a:s3cret@[::1]6379",
        "redis://a:s3cret@[::1]x",
        "redis://a:s3cret@[]",
        "redis://a:s3cret@::1",
        "redis://a:s3cret@fe80::1",
        "unix://",
        "unix://run/redis.sock",
        "unix://a:s3cret@run/x",
        "unix:///run/x%",
        "unix:///run/x%00",
        "unix:///run/x?bd=1",
        "unix:///run/x?db=x",
        "unix:///run/x?",
        "unix:///0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/12345678",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct url url;
        quern_error err = {0};
        if (url_read(&url, table[i], &err) != QUERN_E_CONFIG) fail_msg("accepted: %s", table[i]);
        if (strstr(err.text, "s3c")) fail_msg("%s: it tells: %s", table[i], err.text);
        assert_true(strlen(err.text) > 10);
        assert_true(url.host == NULL && url.password == NULL && url.shown == NULL);
    }
}

static void a_path_of_107_bytes_is_the_longest(void **state)
{
    (void)state;
    char text[200] = "unix:///";
    memset(text + 8, 'x', 106);
    struct url url;
    quern_error err;
    assert_int_equal(QUERN_OK, url_read(&url, text, &err));
    assert_int_equal(107, strlen(url.host));
    url_free(&url);
    strcat(text, "x");
    assert_int_equal(QUERN_E_CONFIG, url_read(&url, text, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls_are_read),
        cmocka_unit_test(bad_urls_are_refused_without_telling_the_password),
        cmocka_unit_test(a_path_of_107_bytes_is_the_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
