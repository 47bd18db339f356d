/* SPDX-License-Identifier: MIT */
#include "wire/url.h"

#include "support/unit.h"
#include "wire/nodes.h"
#include "wire/route.h"

static void good_urls_are_read(void **state)
{
#define OF(unix_is, at, of_port, number, name, secret, whole) \
    .is_unix = unix_is, .host = at, .port = of_port, .db = number, .user = name, .password = secret, .shown = whole
#define URL(...)        \
    {                   \
        OF(__VA_ARGS__) \
    }
#define OVER_TLS(...)                   \
    {                                   \
        OF(__VA_ARGS__), .is_tls = true \
    }
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
        {"redis://h,[::1]:7,i:8/3", URL(false, "h", 6379, 3, NULL, NULL, "redis://h:6379,[::1]:7,i:8/3")},
        {"rediss://a:s3cr@et@h,i", OVER_TLS(false, "h", 6379, 0, "a", "s3cr@et", "rediss://a:***@h:6379,i:6379")},
        {"sentinel://h/shop", URL(false, "h", 26379, 0, NULL, NULL, "sentinel://h:26379/shop")},
        {"sentinel://a:s3cret@h:1,i/sh%2Fop/2?sentinel=b:s3cret",
         URL(false, "h", 1, 2, "a", "s3cret", "sentinel://a:***@h:1,i:26379/sh/op/2")},
        {"sentinel://h/shop?sentinel=:s3cr@et", URL(false, "h", 26379, 0, NULL, NULL, "sentinel://h:26379/shop")},
        {"sentinels://h/shop/0", OVER_TLS(false, "h", 26379, 0, NULL, NULL, "sentinels://h:26379/shop")},
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
        "redis://a:s3cret@h,",
        "redis://a:s3cret@,h",
        "redis://a:s3cret@h,,i",
        "redis://a:s3cret@h,i:x",
        "sentinel://a:s3cret@h",
        "sentinel://a:s3cret@h/",
        "sentinel://a:s3cret@h//1",
        "sentinel://a:s3cret@/shop",
        "sentinel://a:s3cret@h/shop/x",
        "sentinel://a:s3cret@h/shop?db=1",
        "sentinel://h/shop?sentinel=s3cret",
        "sentinel://h/shop?sentinel=a:s3cret%",
        "sentinel://h/shop?password=s3cret",
        "sentinel://h/shop/1/2?sentinel=:s3cret",
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

static void a_sentinels_login_is_not_the_servers(void **state)
{
    (void)state;
    struct url url;
    quern_error err;
    assert_int_equal(QUERN_OK, url_read(&url, "sentinel://a:one@h,i:5/shop?sentinel=b:t%77o", &err));
    assert_string_equal(url.user, "a");
    assert_string_equal(url.password, "one");
    assert_string_equal(url.sentinel_user, "b");
    assert_string_equal(url.sentinel_password, "two");
    assert_string_equal(url.master, "shop");
    assert_int_equal(url.place_count, 2);
    assert_string_equal(url.places[1].host, "i");
    assert_int_equal(url.places[1].port, 5);
    url_free(&url);
}

static void a_host_may_have_255_bytes_and_a_url_32_hosts(void **state)
{
    (void)state;
    char text[600] = "redis://";
    struct url url;
    quern_error err;
    memset(text + 8, 'x', 255);
    assert_int_equal(QUERN_OK, url_read(&url, text, &err));
    url_free(&url);
    text[8 + 255] = 'x';
    assert_int_equal(QUERN_E_CONFIG, url_read(&url, text, &err));
    strcpy(text, "redis://h");
    for (int i = 1; i < NODES_MAX; i++) strcat(text, ",h");
    assert_int_equal(QUERN_OK, url_read(&url, text, &err));
    url_free(&url);
    strcat(text, ",h");
    assert_int_equal(QUERN_E_CONFIG, url_read(&url, text, &err));
}

/* ── what is known of nodes ──────────────────────────────────────────────────────────────────────────────────────── */

static void listed(struct nodes *nodes, const char *want)
{
    struct url_place list[NODES_MAX];
    char text[NODES_MAX * 4] = "";
    uint32_t count = nodes_list(nodes, list);
    for (uint32_t i = 0; i < count; i++) strcat(text, list[i].host);
    assert_string_equal(text, want);
}

static void who_answers_is_asked_first_and_who_does_not_last(void **state)
{
    (void)state;
    const struct url_place a = {"a", 1}, b = {"b", 1}, c = {"c", 1}, d = {"d", 1}, own[] = {a, b};
    struct nodes *nodes = nodes_open(own, 2);
    listed(nodes, "ab");
    nodes_prefer(nodes, &b);
    listed(nodes, "ba");
    nodes_prefer(nodes, &c);
    listed(nodes, "cba");
    nodes_defer(nodes, &b);
    listed(nodes, "cab");
    nodes_learn(nodes, (struct url_place[]){d, a}, 2); /* c is none any more; b stays, for it was given */
    listed(nodes, "abd");
    nodes_defer(nodes, &c);
    listed(nodes, "abd");
    nodes_close(nodes);
}

static void no_more_nodes_are_kept_than_there_is_room_for(void **state)
{
    (void)state;
    struct url_place many[NODES_MAX + 4] = {0}, list[NODES_MAX];
    for (uint32_t i = 0; i < NODES_MAX + 4; i++) many[i] = (struct url_place){"h", (uint16_t)(i + 1)};
    struct nodes *nodes = nodes_open(many, 1);
    nodes_learn(nodes, many, NODES_MAX + 4);
    assert_int_equal(nodes_list(nodes, list), NODES_MAX);
    nodes_prefer(nodes, &many[NODES_MAX + 1]);
    assert_int_equal(nodes_list(nodes, list), NODES_MAX);
    assert_true(url_place_equal(&list[0], &many[NODES_MAX + 1]) && url_place_equal(&list[1], &many[0]));
    nodes_close(nodes);
}

static void moved_names_the_place(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned port;
    } table[] = {{"MOVED 3999 10.0.0.1:6381", "10.0.0.1", 6381},
                 {"MOVED 1 ::1:7", "::1", 7},
                 {"MOVED 1 :7", "here", 7},
                 {"MOVED 1 a.b:7", "a.b", 7},
                 {"MOVED", NULL, 0},
                 {"MOVED 1", NULL, 0},
                 {"MOVED 1 h", NULL, 0},
                 {"MOVED 1 h:", NULL, 0},
                 {"MOVED 1 h:0", NULL, 0},
                 {"MOVED 1 h:65536", NULL, 0},
                 {"ASK 1 h:7", NULL, 0},
                 {"", NULL, 0}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct url_place place = {"here", 1};
        bool is_read = route_moved(bytes_of(table[i].text), &place);
        if (is_read != (table[i].host != NULL)) fail_msg("%s", table[i].text);
        if (is_read && (strcmp(place.host, table[i].host) != 0 || place.port != table[i].port))
            fail_msg("%s: %s", table[i].text, place.host);
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
        cmocka_unit_test(a_sentinels_login_is_not_the_servers),
        cmocka_unit_test(a_host_may_have_255_bytes_and_a_url_32_hosts),
        cmocka_unit_test(who_answers_is_asked_first_and_who_does_not_last),
        cmocka_unit_test(no_more_nodes_are_kept_than_there_is_room_for),
        cmocka_unit_test(moved_names_the_place),
        cmocka_unit_test(a_path_of_107_bytes_is_the_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
