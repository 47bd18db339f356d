/* SPDX-License-Identifier: MIT */
#include "wire/link.h"

#include "support/peer.h"

static struct peer peer; /* large: not on a stack */
static unsigned downs, ups;
static char why_down[504];

static void down(void *user, const quern_error *why)
{
    assert_ptr_equal(&peer, user);
    snprintf(why_down, sizeof why_down, "%s", why->text);
    downs++;
}

static void up(void *user)
{
    assert_ptr_equal(&peer, user);
    ups++;
}

static void greet(struct peer *at)
{
    if (peer_greet(at)) peer_listen(at);
}

static void hang_up(struct peer *at)
{
    (void)at;
}

static void begin(struct link *link, void (*serve)(struct peer *peer))
{
    memset(&peer, 0, sizeof peer);
    peer.serve = serve;
    downs = ups = 0;
    peer_start(&peer, "");
    link_open(link, &(struct link_options){.conn = {.url = &peer.url, .name = "t", .answer_ms = 60000},
                                           .connect_ms = UNIT_PATIENCE_MS,
                                           .down = down,
                                           .up = up,
                                           .user = &peer});
}

static void a_link_keeps_its_connection(void **state)
{
    (void)state;
    struct link link;
    begin(&link, greet);
    struct conn *conn = link_use(&link, clock_now_ns());
    assert_non_null(conn);
    assert_ptr_equal(conn, link_use(&link, clock_now_ns()));
    assert_int_equal(1, peer.accepted);
    assert_true(downs == 0 && ups == 0);
    link_close(&link);
    link_close(&link);
    peer_stop(&peer);
}

static void nobody_is_asked_again_before_the_backoff_is_over(void **state)
{
    (void)state;
    struct link link;
    begin(&link, hang_up);
    int64_t least_ms = 25, most_ms = 50, now_ns = clock_now_ns();
    for (unsigned tries = 1; tries <= 12; tries++) {
        int64_t before_ns = clock_now_ns();
        assert_null(link_use(&link, now_ns));
        assert_int_equal(tries, peer.accepted);
        assert_in_range(link.next_try_ns, before_ns + least_ms * NS_PER_MS, clock_now_ns() + most_ms * NS_PER_MS);
        for (int i = 0; i < 10; i++) assert_null(link_use(&link, link.next_try_ns - 1));
        assert_int_equal(tries, peer.accepted);
        now_ns = link.next_try_ns; /* the hands are turned: nobody waits */
        most_ms = most_ms * 2 > 10000 ? 10000 : most_ms * 2;
        least_ms = most_ms / 2;
    }
    assert_int_equal(1, downs); /* told once */
    assert_true(strlen(why_down) > 0);
    assert_int_equal(0, ups);
    link_close(&link);
    peer_stop(&peer);
}

static void the_pauses_are_those_that_were_asked_for(void **state)
{
    (void)state;
    struct link link;
    begin(&link, hang_up);
    struct link_options options = link.options;
    options.first_ms = 3000;
    options.max_ms = 5000;
    link_open(&link, &options);
    for (int tries = 0; tries < 4; tries++) {
        int64_t before_ns = clock_now_ns(), most_ms = tries ? 5000 : 3000;
        assert_null(link_use(&link, INT64_MAX));
        assert_in_range(link.next_try_ns, before_ns + most_ms / 2 * NS_PER_MS, clock_now_ns() + most_ms * NS_PER_MS);
    }
    link_close(&link);
    peer_stop(&peer);
}

static void down_and_up_are_told_once_each(void **state)
{
    (void)state;
    struct link link;
    quern_error why = {.code = QUERN_E_CONNECT, .text = "it broke"};
    begin(&link, greet);
    for (unsigned round = 1; round <= 5; round++) {
        assert_non_null(link_use(&link, INT64_MAX));
        if (round > 1) assert_int_equal(round - 2, ups); /* connected is not yet up: it may be told to wait */
        link_works(&link);
        assert_int_equal(round - 1, ups);
        link_works(&link);
        assert_int_equal(round - 1, ups);
        link_fail(&link, &why);
        link_fail(&link, &why);
        assert_int_equal(round, downs);
        assert_string_equal("it broke", why_down);
        assert_null(link_use(&link, clock_now_ns()));
    }
    assert_non_null(link_use(&link, INT64_MAX));
    link_works(&link);
    assert_int_equal(5, ups);
    link_close(&link);
    peer_stop(&peer);
}

static void a_connection_that_breaks_at_once_does_not_start_the_backoff_over(void **state)
{
    (void)state;
    struct link link;
    quern_error why = {.code = QUERN_E_CONNECT, .text = "it broke"};
    begin(&link, greet);
    for (int i = 0; i < 10; i++) {
        assert_non_null(link_use(&link, INT64_MAX));
        link_fail(&link, &why);
    }
    assert_true(link.next_try_ns - clock_now_ns() > 4000 * NS_PER_MS);
    link_close(&link);
    peer_stop(&peer);
}

static void a_connection_made_before_is_used(void **state)
{
    (void)state;
    struct link link;
    quern_error err;
    begin(&link, greet);
    struct conn *conn = conn_open(&link.options.conn, unit_deadline_ns(), &err);
    assert_non_null(conn);
    link_adopt(&link, conn);
    assert_ptr_equal(conn, link_use(&link, clock_now_ns()));
    assert_int_equal(1, peer.accepted);
    link_close(&link);
    peer_stop(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_keeps_its_connection),
        cmocka_unit_test(nobody_is_asked_again_before_the_backoff_is_over),
        cmocka_unit_test(the_pauses_are_those_that_were_asked_for),
        cmocka_unit_test(down_and_up_are_told_once_each),
        cmocka_unit_test(a_connection_that_breaks_at_once_does_not_start_the_backoff_over),
        cmocka_unit_test(a_connection_made_before_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
