/* SPDX-License-Identifier: MIT */
#include "wire/script.h"

#include <openssl/evp.h>

#include "support/peer.h"
#include "wire/errors.h"

static const struct script *const scripts[] = {&script_publish, &script_ack,    &script_done,  &script_retry,  &script_dead,
                                               &script_renew,   &script_adopt,  &script_join,  &script_heal,   &script_due,
                                               &script_reclaim, &script_trim,   &script_sweep, &script_replay, &script_skip,
                                               &script_purge,   &script_remove, &script_cancel};

static void the_name_of_a_script_is_the_sha1_of_its_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned len;
        char hex[41];
        assert_int_equal(strlen(scripts[i]->text), scripts[i]->text_len);
        assert_int_equal(1, EVP_Digest(scripts[i]->text, scripts[i]->text_len, digest, &len, EVP_sha1(), NULL));
        assert_int_equal(20, len);
        for (unsigned b = 0; b < len; b++) snprintf(hex + 2 * b, 3, "%02x", digest[b]);
        assert_string_equal(hex, scripts[i]->sha1);
    }
}

static void each_script_begins_with_its_flags_and_has_its_own_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        assert_int_equal(0, strncmp(scripts[i]->text, "#!lua", 5));
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(scripts[k]->name, scripts[i]->name);
            assert_string_not_equal(scripts[k]->sha1, scripts[i]->sha1);
        }
    }
}

/* ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct peer peer; /* large: not on a stack */
static quern_error err;
static const char *const *answers; /* to the calls in turn; NULL ends them */

static void answer_all(struct peer *at)
{
    if (!peer_greet(at)) return;
    at->heard_len = 0;
    for (const char *const *answer = answers; *answer; answer++)
        if (!peer_hear(at) || !peer_say(at, *answer)) return;
    peer_listen(at);
}

static struct conn *open_to(const char *const *given)
{
    memset(&peer, 0, sizeof peer);
    peer.serve = answer_all;
    answers = given;
    peer_start(&peer, "");
    struct conn *conn =
        conn_open(&(struct conn_options){.url = &peer.url, .name = "t", .answer_ms = 60000}, unit_deadline_ns(), &err);
    if (!conn) fail_msg("%s", err.text);
    return conn;
}

static void call(struct conn *conn, const struct script *script, size_t args)
{
    script_begin(conn, script, 2, args);
    conn_arg_text(conn, "the key");
    conn_arg_text(conn, "");
    for (size_t i = 0; i < args; i++) conn_arg_number(conn, (int64_t)i);
}

/* What the call looks like, in the words of the peer. */
static char *expected(const struct script *script, const char *verb, const char *name, size_t args)
{
    char *text = malloc(script->text_len + 100 + 8 * args), *at = text;
    at += sprintf(at, "%s %s 2 the key ", verb, name);
    for (size_t i = 0; i < args; i++) at += sprintf(at, " %zu", i);
    strcpy(at, "\n");
    return text;
}

static void a_script_that_is_known_is_called_by_its_name(void **state)
{
    static const char *const said[] = {"+ok\r\n", NULL};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        const struct reply *reply;
        struct conn *conn = open_to(said);
        call(conn, scripts[i], 5);
        assert_int_equal(QUERN_OK, script_ask(conn, scripts[i], unit_deadline_ns(), &reply, NULL, &err));
        assert_true(bytes_is(reply_bytes(reply), "ok"));
        conn_close(conn);
        peer_stop(&peer);
        char *text = expected(scripts[i], "EVALSHA", scripts[i]->sha1, 5);
        assert_string_equal(text, peer.heard);
        free(text);
    }
}

/* For few arguments and for so many that the number of them has more digits; the text is longer than what stood there. */
static void a_script_that_is_not_known_is_sent_whole_with_the_same_arguments(void **state)
{
    static const char *const said[] = {"-NOSCRIPT No matching script.\r\n", "$4\r\ndone\r\n", "+again\r\n", NULL};
    static const size_t args[] = {0, 1, 3, 94, 95, 996, 2300};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scripts); i++)
        for (size_t row = 0; row < COUNT_OF(args); row++) {
            const struct reply *reply;
            struct conn *conn = open_to(said);
            call(conn, scripts[i], args[row]);
            assert_int_equal(QUERN_OK, script_ask(conn, scripts[i], unit_deadline_ns(), &reply, NULL, &err));
            assert_true(bytes_is(reply_bytes(reply), "done"));
            call(conn, scripts[i], args[row]); /* by its name again, and nothing is left over */
            assert_int_equal(QUERN_OK, script_ask(conn, scripts[i], unit_deadline_ns(), &reply, NULL, &err));
            assert_true(bytes_is(reply_bytes(reply), "again"));
            conn_close(conn);
            peer_stop(&peer);
            char *by_name = expected(scripts[i], "EVALSHA", scripts[i]->sha1, args[row]),
                 *whole = expected(scripts[i], "EVAL", scripts[i]->text, args[row]);
            const char *at = peer.heard;
            assert_int_equal(0, strncmp(at, by_name, strlen(by_name)));
            at += strlen(by_name);
            assert_int_equal(0, strncmp(at, whole, strlen(whole)));
            assert_string_equal(by_name, at + strlen(whole));
            free(by_name);
            free(whole);
        }
}

static void an_error_of_the_script_tells_what_it_means(void **state)
{
    static const struct {
        const char *const said[3];
        enum error_class class;
        int code;
    } table[] = {
        {{"-WRONGTYPE a key\r\n"}, ERROR_FATAL, QUERN_E_SERVER},
        {{"-OOM command not allowed script: f\r\n"}, ERROR_TRANSIENT, QUERN_E_SERVER},
        {{"-NOSCRIPT none\r\n", "-READONLY replica\r\n"}, ERROR_TRANSIENT, QUERN_E_CONNECT},
        {{"-NOSCRIPT none\r\n", "-NOSCRIPT still none\r\n"}, ERROR_NOSCRIPT, QUERN_E_SERVER},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct reply *reply;
        struct error_meaning meaning = {ERROR_UNKNOWN, QUERN_OK};
        struct conn *conn = open_to(table[i].said);
        call(conn, &script_done, 1);
        assert_int_equal(table[i].code, script_ask(conn, &script_done, unit_deadline_ns(), &reply, &meaning, &err));
        assert_int_equal(table[i].class, meaning.class);
        assert_non_null(strstr(err.text, "done: the server says"));
        conn_close(conn);
        peer_stop(&peer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_of_a_script_is_the_sha1_of_its_text),
        cmocka_unit_test(each_script_begins_with_its_flags_and_has_its_own_name),
        cmocka_unit_test(a_script_that_is_known_is_called_by_its_name),
        cmocka_unit_test(a_script_that_is_not_known_is_sent_whole_with_the_same_arguments),
        cmocka_unit_test(an_error_of_the_script_tells_what_it_means),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
