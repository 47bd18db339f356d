/* SPDX-License-Identifier: MIT */

/* inspect/old_server: a server that is too old is told by the doctor, though nobody else connects to it. */
#include <jansson.h>

#include "support/peer.h"

static void serve(struct peer *peer)
{
    static const struct {
        const char *begin, *answer;
    } table[] = {
        {"CLIENT SETNAME ", "+OK\r\n"},
        {"CLIENT ID", ":41\r\n"},
        {"TIME", "*2\r\n$10\r\n1700000000\r\n$1\r\n5\r\n"},
        {"INFO", "$22\r\nredis_version:6.2.16\r\n\r\n"},
        {"CONFIG", "-ERR unknown command 'CONFIG'\r\n"},
    };
    for (const char *command; (command = peer_hear(peer));) {
        size_t i = 0;
        while (i < COUNT_OF(table) && strncmp(command, table[i].begin, strlen(table[i].begin)) != 0) i++;
        if (i == COUNT_OF(table) || !peer_say(peer, table[i].answer)) return;
    }
}

static void a_server_that_is_too_old_is_an_error_and_nothing_more_is_asked(void **state)
{
    struct peer peer = {.serve = serve};
    quern_error err;
    (void)state;
    peer_start(&peer, "");
    quern_config *config = quern_config_new();
    assert_int_equal(quern_config_set(config, "redis", peer.address, &err), QUERN_OK);
    char *text = quern_queue_doctor(config, &err);
    if (!text) fail_msg("%s", err.text);
    json_t *answer = json_loads(text, 0, NULL), *first = json_array_get(json_object_get(answer, "findings"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(first, "check")), "version");
    assert_string_equal(json_string_value(json_object_get(answer, "version")), "6.2.16");
    json_decref(answer);
    quern_free(text);
    assert_null(quern_queue_stats(config, 0, &err));
    assert_int_equal(err.code, QUERN_E_SERVER);
    quern_config_free(config);
    peer_stop(&peer);
    assert_null(strstr(peer.heard, "TYPE"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_server_that_is_too_old_is_an_error_and_nothing_more_is_asked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
