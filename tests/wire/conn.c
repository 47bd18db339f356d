/* SPDX-License-Identifier: MIT */
#include "wire/conn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/peer.h"

/* Large: not on a stack. */
static struct peer peer;
static quern_error err;

static struct conn *open_within(int64_t ms)
{
    memset(&err, 0, sizeof err);
    return conn_open(&(struct conn_options){.url = &peer.url, .name = "quern:test", .answer_ms = 60000},
                     clock_deadline_ns(clock_now_ns(), ms), &err);
}

static void start(void (*serve)(struct peer *peer), const char *login)
{
    memset(&peer, 0, sizeof peer);
    peer.serve = serve;
    peer_start(&peer, login);
}

static struct conn *open_to(void (*serve)(struct peer *peer), const char *login)
{
    start(serve, login);
    struct conn *conn = open_within(UNIT_PATIENCE_MS);
    if (!conn) fail_msg("%s", err.text);
    return conn;
}

static void end(struct conn *conn)
{
    conn_close(conn);
    peer_stop(&peer);
}

/* Fails to open with this code; the text never tells the password. */
static void refuses(void (*serve)(struct peer *peer), const char *login, int64_t ms, int code, const char *said)
{
    start(serve, login);
    assert_null(open_within(ms));
    peer_stop(&peer);
    if (err.code != code) fail_msg("%s: %s", quern_code_name(err.code), err.text);
    if (!strstr(err.text, said)) fail_msg("'%s' is not in: %s", said, err.text);
    if (strstr(err.text, "s3c")) fail_msg("it tells: %s", err.text);
}

/* ── the handshake ───────────────────────────────────────────────────────────────────────────────────────────────── */

static void greet(struct peer *at)
{
    if (peer_greet(at)) peer_listen(at);
}

static void a_handshake_logs_in_selects_names_and_looks_at_the_version(void **state)
{
    static const struct {
        const char *login, *heard;
    } table[] = {
        {"", "CLIENT SETNAME quern:test\nCLIENT ID\nINFO server\n"},
        {"alice@", "AUTH alice \nCLIENT SETNAME quern:test\nCLIENT ID\nINFO server\n"},
        {":s3cret@", "AUTH s3cret\nCLIENT SETNAME quern:test\nCLIENT ID\nINFO server\n"},
        {"alice:s3cret@", "AUTH alice s3cret\nCLIENT SETNAME quern:test\nCLIENT ID\nINFO server\n"},
        {"alice:s3%20%0d%0acret@", "AUTH alice s3 \r\ncret\nCLIENT SETNAME quern:test\nCLIENT ID\nINFO server\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct conn *conn = open_to(greet, table[i].login);
        assert_int_equal(41, conn_client_id(conn));
        assert_true(conn_opened_ns(conn) <= clock_now_ns() && conn_opened_ns(conn) > 0);
        assert_true(fcntl(conn_fd(conn), F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(conn_fd(conn), F_GETFL) & O_NONBLOCK);
        end(conn);
        assert_string_equal(table[i].heard, peer.heard);
    }
}

static void a_database_is_selected_behind_the_login(void **state)
{
    (void)state;
    start(greet, ":s3cret@");
    peer.url.db = 3;
    struct conn *conn = open_within(UNIT_PATIENCE_MS);
    assert_non_null(conn);
    end(conn);
    assert_string_equal("AUTH s3cret\nSELECT 3\nCLIENT SETNAME quern:test\nCLIENT ID\nINFO server\n", peer.heard);
}

static const char *answer; /* to the first command; the rest is answered well */

static void answer_first(struct peer *at)
{
    if (peer_hear(at) && peer_say(at, answer)) greet(at);
}

/* Three commands leave together; each gets its own answer. */
static void answer_rest(struct peer *at)
{
    if (peer_hear(at) && peer_say(at, "+OK\r\n") && peer_hear(at) && peer_say(at, ":1\r\n") && peer_hear(at))
        peer_say(at, answer);
    peer_listen(at);
}

static void a_login_that_is_refused_says_so_without_the_password(void **state)
{
    static const struct {
        const char *answer;
        int code;
        const char *said;
    } table[] = {
        {"-WRONGPASS invalid username-password pair or user is disabled.\r\n", QUERN_E_AUTH, "wrong user or password"},
        {"-ERR AUTH <password> called without any password configured for the default user.\r\n", QUERN_E_AUTH, "without any"},
        {"-ERR unknown command 'AUTH', with args beginning with: 's3cret' \r\n", QUERN_E_AUTH, "wrong user or password"},
        {"-ERR s3cret-and-more\r\n", QUERN_E_AUTH, "wrong user or password"},
        {"-ERR invalid password 's3cre...'\r\n", QUERN_E_AUTH, "wrong user or password"},
        {"-LOADING Redis is loading the dataset in memory\r\n", QUERN_E_CONNECT, "LOADING"},
        {"-ERR max number of clients reached\r\n", QUERN_E_CONNECT, "max number of clients"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        answer = table[i].answer;
        refuses(answer_first, ":s3cret@", UNIT_PATIENCE_MS, table[i].code, table[i].said);
    }
}

static void a_server_that_will_not_do_is_named(void **state)
{
    static const struct {
        const char *answer;
        int code;
        const char *said;
    } table[] = {
        {"$22\r\nredis_version:6.2.16\r\n\r\n", QUERN_E_SERVER, "version 6"},
        {"$21\r\nredis_version:2.8.0\r\n\r\n", QUERN_E_SERVER, "7.0 is the least"},
        {"$11\r\nredis_mode:\r\n", QUERN_E_SERVER, "does not tell its version"},
        {"$0\r\n\r\n", QUERN_E_SERVER, "does not tell its version"},
        {"$-1\r\n", QUERN_E_SERVER, "does not tell its version"},
        {":7\r\n", QUERN_E_SERVER, "does not tell its version"},
        {"-LOADING Redis is loading\r\n", QUERN_E_CONNECT, "LOADING"},
        {"-ERR unknown command 'INFO'\r\n", QUERN_E_SERVER, "unknown command"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        answer = table[i].answer;
        refuses(answer_rest, "", UNIT_PATIENCE_MS, table[i].code, table[i].said);
    }
    answer = "-NOAUTH Authentication required.\r\n";
    refuses(answer_first, "", UNIT_PATIENCE_MS, QUERN_E_AUTH, "asks for a password");
}

static void a_server_that_refuses_to_tell_its_version_is_served(void **state)
{
    (void)state;
    answer = "-NOPERM this user has no permissions to run the 'info' command\r\n";
    struct conn *conn = open_to(answer_rest, "");
    end(conn);
}

static void say_http(struct peer *at)
{
    peer_say(at, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>");
    peer_listen(at);
}

static void say_nothing(struct peer *at)
{
    peer_listen(at);
}

static void hang_up(struct peer *at)
{
    (void)at;
}

static void what_is_no_redis_is_recognised(void **state)
{
    (void)state;
    refuses(say_http, "", UNIT_PATIENCE_MS, QUERN_E_SERVER, "does not speak Redis's protocol");
    refuses(hang_up, "", UNIT_PATIENCE_MS, QUERN_E_CONNECT, "unix://");
    refuses(hang_up, "alice:s3cret@", UNIT_PATIENCE_MS, QUERN_E_CONNECT, "unix://alice:***@");
    int64_t before_ns = clock_now_ns();
    refuses(say_nothing, "alice:s3cret@", 50, QUERN_E_CONNECT, "no answer");
    assert_in_range(clock_now_ns() - before_ns, 50 * NS_PER_MS, 5000 * NS_PER_MS);
}

static void nobody_there_is_told_with_the_address(void **state)
{
    (void)state;
    start(greet, "alice:s3cret@");
    struct url url;
    assert_int_equal(QUERN_OK, url_read(&url, peer.address, &err));
    peer_stop(&peer);
    peer.url = url;
    assert_null(open_within(UNIT_PATIENCE_MS));
    assert_int_equal(QUERN_E_CONNECT, err.code);
    assert_true(err.is_retriable);
    assert_non_null(strstr(err.text, "no Redis at unix://alice:***@/"));
    url_free(&url);
    assert_int_equal(QUERN_OK, url_read(&url, "redis://:s3cret@127.0.0.1:1", &err));
    peer.url = url;
    assert_null(open_within(UNIT_PATIENCE_MS));
    assert_int_equal(QUERN_E_CONNECT, err.code);
    assert_non_null(strstr(err.text, "redis://:***@127.0.0.1:1"));
    url_free(&url);
}

/* ── in use ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void drip(struct peer *at)
{
    if (!peer_greet(at) || !peer_hear(at) || !peer_say(at, "$1000000\r\n")) return;
    while (peer_say(at, "x")) poll(NULL, 0, 1);
}

/* As fast as it can: there is always something to read. */
static void flood(struct peer *at)
{
    static char much[65536];
    if (!peer_greet(at) || !peer_hear(at) || !peer_say(at, "$400000000\r\n")) return;
    while (peer_say_bytes(at, much, sizeof much)) continue;
}

static void a_deadline_is_kept_however_the_bytes_come(void **state)
{
    void (*const ways[])(struct peer *) = {drip, flood};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        const struct reply *reply;
        struct conn *conn = open_to(ways[i], "");
        conn_command(conn, "GET", "x", NULL);
        assert_int_equal(QUERN_OK, conn_send(conn, unit_deadline_ns(), &err));
        int64_t before_ns = clock_now_ns();
        assert_int_equal(QUERN_E_TIMEOUT, conn_reply(conn, before_ns + 60 * NS_PER_MS, &reply, &err));
        assert_in_range(clock_now_ns() - before_ns, 60 * NS_PER_MS, 5000 * NS_PER_MS);
        assert_int_equal(QUERN_E_CONNECT, conn_reply(conn, unit_deadline_ns(), &reply, &err)); /* never repaired */
        assert_int_equal(QUERN_E_CONNECT, conn_send(conn, unit_deadline_ns(), &err));
        end(conn);
    }
}

static void answer_half(struct peer *at)
{
    if (peer_greet(at) && peer_hear(at)) peer_say(at, "*2\r\n$3\r\none\r\n$5\r\ntw");
}

/* What harm() says, over and over, to the first question. */
static const char *harmful;

static void harm(struct peer *at)
{
    if (!peer_greet(at) || !peer_hear(at)) return;
    while (peer_say(at, harmful)) continue;
}

static void a_hostile_answer_ends_its_connection_and_nothing_else(void **state)
{
    static const char *const answers[] = {
        "+without end",   "-ERR without end",      "*1\r\n", "*2147483648\r\n",      "*1000000\r\n", "$9223372036854775807\r\n",
        "$536870913\r\n", ":99999999999999999999", "$-1",    "*-1\r\n$1\r\nabc\r\n", "\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        const struct reply *reply;
        int code = QUERN_OK;
        harmful = answers[i];
        struct conn *conn = open_to(harm, "");
        int64_t deadline_ns = unit_deadline_ns();
        conn_command(conn, "GET", "x", NULL);
        assert_int_equal(QUERN_OK, conn_send(conn, deadline_ns, &err));
        for (int n = 0; n < 3 && code == QUERN_OK; n++) code = conn_reply(conn, deadline_ns, &reply, &err);
        if (code != QUERN_E_CONNECT && code != QUERN_E_SERVER) fail_msg("%s: %s", answers[i], err.text);
        assert_true(strlen(err.text) < sizeof err.text);
        end(conn);
    }
}

static void a_server_that_goes_in_the_middle_of_an_answer_is_gone(void **state)
{
    (void)state;
    const struct reply *reply;
    struct conn *conn = open_to(answer_half, "");
    conn_command(conn, "GET", "x", NULL);
    assert_int_equal(QUERN_E_CONNECT, conn_ask(conn, &reply, &err));
    assert_non_null(strstr(err.text, "closed the connection"));
    end(conn);
}

static void greet_and_go(struct peer *at)
{
    peer_greet(at);
}

static void sending_to_who_has_gone_is_an_error_and_no_signal(void **state)
{
    (void)state;
    sigset_t pipe_only, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, NULL); /* were it raised, it would now be pending */
    struct conn *conn = open_to(greet_and_go, "");
    int code = QUERN_OK;
    for (int64_t deadline_ns = unit_deadline_ns(); !code && !unit_is_over(deadline_ns);) {
        conn_command(conn, "PING", NULL);
        code = conn_send(conn, deadline_ns, &err);
    }
    assert_int_equal(QUERN_E_CONNECT, code);
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE));
    pthread_sigmask(SIG_UNBLOCK, &pipe_only, NULL);
    end(conn);
}

static void deaf(struct peer *at)
{
    int64_t deadline_ns = unit_deadline_ns();
    if (peer_greet(at))
        while (!atomic_load(&at->is_stopping) && !unit_is_over(deadline_ns)) poll(NULL, 0, 1);
}

static void a_server_that_does_not_read_holds_nobody_past_the_deadline(void **state)
{
    (void)state;
    static char much[16 << 20];
    struct conn *conn = open_to(deaf, "");
    conn_begin(conn, 2);
    conn_arg_text(conn, "SET");
    conn_arg(conn, much, sizeof much);
    int64_t before_ns = clock_now_ns();
    assert_int_equal(QUERN_E_TIMEOUT, conn_send(conn, before_ns + 60 * NS_PER_MS, &err));
    assert_in_range(clock_now_ns() - before_ns, 60 * NS_PER_MS, 5000 * NS_PER_MS);
    end(conn);
}

static void echo(struct peer *at)
{
    char head[32];
    if (!peer_greet(at)) return;
    for (const char *command; (command = peer_hear(at)); at->heard_len = 0) {
        snprintf(head, sizeof head, "$%zu\r\n", strlen(command));
        if (!peer_say(at, head) || !peer_say(at, command) || !peer_say(at, "\r\n")) return;
    }
}

static void commands_laid_out_together_are_answered_in_order(void **state)
{
    (void)state;
    struct conn *conn = open_to(echo, "");
    const struct reply *reply;
    char longer[9000];
    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    for (int round = 0; round < 50; round++) {
        conn_command(conn, "SET", "a", "", NULL);
        conn_begin(conn, 4);
        conn_arg_text(conn, "MIX");
        conn_arg_number(conn, INT64_MIN);
        conn_arg(conn, NULL, 0);
        conn_arg(conn, "b\r\nc", 4);
        conn_command(conn, longer, NULL);
        int64_t deadline_ns = conn_answer_deadline(conn);
        assert_int_equal(QUERN_OK, conn_send(conn, deadline_ns, &err));
        assert_int_equal(QUERN_OK, conn_reply(conn, deadline_ns, &reply, &err));
        assert_true(bytes_is(reply_bytes(reply), "SET a "));
        assert_int_equal(QUERN_OK, conn_reply(conn, deadline_ns, &reply, &err));
        assert_true(bytes_is(reply_bytes(reply), "MIX -9223372036854775808  b\r\nc"));
        assert_int_equal(QUERN_OK, conn_reply(conn, deadline_ns, &reply, &err));
        assert_true(bytes_is(reply_bytes(reply), longer));
        assert_int_equal(QUERN_E_BUSY, conn_poll_reply(conn, &reply, &err));
    }
    end(conn);
}

/* Until so many bytes lie in the socket, unread. */
static void wait_for_bytes(struct conn *conn, int want)
{
    int came = 0;
    for (int64_t deadline_ns = unit_deadline_ns(); came < want && !unit_is_over(deadline_ns); sched_yield())
        assert_int_equal(0, ioctl(conn_fd(conn), FIONREAD, &came));
    assert_true(came >= want);
}

/* A batch's answer is larger than a read; and what has just been emptied is not read again in vain. */
static void a_large_answer_takes_one_call_and_the_call_behind_it_none(void **state)
{
    (void)state;
    struct conn *conn = open_to(echo, "");
    const struct reply *reply;
    static char large[40001];
    memset(large, 'y', sizeof large - 1);
    conn_command(conn, large, NULL);
    assert_int_equal(QUERN_OK, conn_send(conn, conn_answer_deadline(conn), &err));
    wait_for_bytes(conn, (int)sizeof large + 9);
    assert_int_equal(QUERN_OK, conn_poll_reply(conn, &reply, &err));
    assert_true(bytes_is(reply_bytes(reply), large));
    conn_command(conn, "PING", NULL);
    assert_int_equal(QUERN_OK, conn_send(conn, conn_answer_deadline(conn), &err));
    wait_for_bytes(conn, 10);
    assert_int_equal(QUERN_E_BUSY, conn_poll_reply(conn, &reply, &err));
    assert_int_equal(QUERN_OK, conn_poll_reply(conn, &reply, &err));
    assert_true(bytes_is(reply_bytes(reply), "PING"));
    end(conn);
}

static void answer_error(struct peer *at)
{
    if (peer_greet(at) && peer_hear(at)) peer_say(at, "-NOPERM no\r\n");
    peer_listen(at);
}

static void an_error_is_an_answer_unless_it_was_asked_for_success(void **state)
{
    (void)state;
    const struct reply *reply;
    struct conn *conn = open_to(answer_error, "");
    conn_command(conn, "XADD", NULL);
    assert_int_equal(QUERN_E_AUTH, conn_ask(conn, &reply, &err));
    assert_non_null(strstr(err.text, "the server says: NOPERM no"));
    conn_command(conn, "PING", NULL);
    assert_int_equal(QUERN_OK, conn_send(conn, unit_deadline_ns(), &err)); /* it was an answer: the connection is whole */
    end(conn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_logs_in_selects_names_and_looks_at_the_version),
        cmocka_unit_test(a_database_is_selected_behind_the_login),
        cmocka_unit_test(a_login_that_is_refused_says_so_without_the_password),
        cmocka_unit_test(a_server_that_will_not_do_is_named),
        cmocka_unit_test(a_server_that_refuses_to_tell_its_version_is_served),
        cmocka_unit_test(what_is_no_redis_is_recognised),
        cmocka_unit_test(nobody_there_is_told_with_the_address),
        cmocka_unit_test(a_deadline_is_kept_however_the_bytes_come),
        cmocka_unit_test(a_hostile_answer_ends_its_connection_and_nothing_else),
        cmocka_unit_test(a_server_that_goes_in_the_middle_of_an_answer_is_gone),
        cmocka_unit_test(sending_to_who_has_gone_is_an_error_and_no_signal),
        cmocka_unit_test(a_server_that_does_not_read_holds_nobody_past_the_deadline),
        cmocka_unit_test(commands_laid_out_together_are_answered_in_order),
        cmocka_unit_test(a_large_answer_takes_one_call_and_the_call_behind_it_none),
        cmocka_unit_test(an_error_is_an_answer_unless_it_was_asked_for_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
