/* SPDX-License-Identifier: MIT */

/* wire/servers NAME: what real servers say when they refuse, and what wire/errors makes of it.
 * Idea       NAME is redis-server or valkey-server (from PATH, else …-check-rdb, which is the same program), or REDIS_SERVER, whose
 *            path is in the environment. Each error is provoked on a private server of that kind. One that is not there is said, and
 *            the test counts as skipped: exit status 77. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/redis.h"
#include "support/unit.h"
#include "support/wait.h"
#include "wire/errors.h"

enum { SKIPPED = 77, PATH_SIZE = 256 };

static char program[PATH_SIZE];

struct bench {
    struct redis redis;
    struct resp *other; /* a second connection */
};

static int bench_open_with(void **state, const char *const *more)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    redis_start(&bench->redis, &(struct redis_options){.program = program, .more = more});
    bench->other = resp_open(bench->redis.socket);
    *state = bench;
    return bench->other ? 0 : -1;
}

static int bench_open(void **state)
{
    return bench_open_with(state, NULL);
}

static int bench_close(void **state)
{
    struct bench *bench = *state;
    resp_close(bench->other);
    redis_end(&bench->redis);
    free(bench);
    return 0;
}

/* The answer is an error that holds these words, and means this. */
static void means(const struct answer *answer, const char *words, enum error_class class, enum quern_code code)
{
    if (answer->kind != '-') fail_msg("no error where one with '%s' was expected, but %c%s", words, answer->kind, answer->text);
    struct error_meaning meaning = error_meaning((quern_bytes){answer->text, answer->len});
    if (!strstr(answer->text, words)) fail_msg("'%s' is not in: %s", words, answer->text);
    if (meaning.class != class || meaning.code != code)
        fail_msg("%s: class %d, code %s", answer->text, (int)meaning.class, quern_code_name((int)meaning.code));
}

static void is_set(struct bench *bench, const char *key, const char *value)
{
    const struct answer *answer = redis_ask(&bench->redis, "CONFIG", "SET", key, value);
    if (!answer_is(answer, "OK")) fail_msg("CONFIG SET %s: %s", key, answer->text);
}

#define ask(...)       redis_ask(&bench->redis, __VA_ARGS__)
#define ask_other(...) resp_ask(bench->other, __VA_ARGS__, (char *)NULL)
#define XADD           "XADD", "s", "*", "f", "v"
#define XADD_SCRIPT    "return redis.call('XADD', KEYS[1], '*', 'f', 'v')", "1", "s"

/* ── what was asked for is not there ─────────────────────────────────────────────────────────────────────────────── */

static void what_is_not_there_is_to_be_made(void **state)
{
    struct bench *bench = *state;
    means(ask("EVALSHA", "0123456789012345678901234567890123456789", "0"), "NOSCRIPT", ERROR_NOSCRIPT, QUERN_E_SERVER);
    means(ask("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"), "NOGROUP", ERROR_HEAL, QUERN_E_GONE);
    means(ask("XPENDING", "s", "g"), "NOGROUP", ERROR_HEAL, QUERN_E_GONE);
    means(ask("XCLAIM", "s", "g", "c", "0", "1-1"), "NOGROUP", ERROR_HEAL, QUERN_E_GONE);
    means(ask("EVAL", "return redis.call('XPENDING', KEYS[1], 'g')", "1", "s"), "NOGROUP", ERROR_HEAL, QUERN_E_GONE);
}

static void what_nobody_could_mend_by_waiting_is_fatal(void **state)
{
    struct bench *bench = *state;
    ask("SET", "text", "1");
    means(ask("XLEN", "text"), "WRONGTYPE", ERROR_FATAL, QUERN_E_SERVER);
    means(ask("EVAL", "return redis.call('XLEN', KEYS[1])", "1", "text"), "WRONGTYPE", ERROR_FATAL, QUERN_E_SERVER);
    means(ask("NOSUCHCOMMAND"), "unknown command", ERROR_FATAL, QUERN_E_SERVER);
    means(ask("SELECT", "9999"), "DB index is out of range", ERROR_FATAL, QUERN_E_SERVER);
}

/* Begins a read that blocks, on the other connection. */
static void block(struct bench *bench)
{
    ask("DEL", "s");
    ask("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM");
    resp_say(bench->other, "XREADGROUP", "GROUP", "g", "c", "BLOCK", "20000", "STREAMS", "s", ">", (char *)NULL);
    wait_for(redis_info(&bench->redis, "clients", "blocked_clients") == 1);
}

static void a_reader_whose_stream_or_group_goes_is_to_heal(void **state)
{
    struct bench *bench = *state;
    char id[24];
    snprintf(id, sizeof id, "%lld", ask_other("CLIENT", "ID")->number);
    block(bench);
    ask("DEL", "s"); /* UNBLOCKED or NOGROUP, as the version has it */
    means(resp_hear(bench->other), "", ERROR_HEAL, QUERN_E_GONE);
    block(bench);
    ask("XGROUP", "DESTROY", "s", "g");
    means(resp_hear(bench->other), "NOGROUP", ERROR_HEAL, QUERN_E_GONE);
    block(bench);
    ask("FLUSHALL");
    means(resp_hear(bench->other), "", ERROR_HEAL, QUERN_E_GONE);
    block(bench);
    ask("CLIENT", "UNBLOCK", id, "ERROR");
    means(resp_hear(bench->other), "UNBLOCKED", ERROR_HEAL, QUERN_E_GONE);
}

/* ── rights ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_missing_or_a_wrong_password_is_fatal(void **state)
{
    struct bench *bench = *state;
    means(ask("AUTH", "swordfish"), "without any password configured", ERROR_FATAL, QUERN_E_AUTH);
    is_set(bench, "requirepass", "swordfish");
    struct resp *stranger = resp_open(bench->redis.socket);
    means(resp_ask(stranger, "PING", (char *)NULL), "NOAUTH", ERROR_FATAL, QUERN_E_AUTH);
    means(resp_ask(stranger, "AUTH", "hunter2", (char *)NULL), "WRONGPASS", ERROR_FATAL, QUERN_E_AUTH);
    resp_close(stranger);
}

static void a_right_that_is_missing_is_fatal_also_in_a_script(void **state)
{
    struct bench *bench = *state;
    ask("ACL", "SETUSER", "no-xadd", "on", "nopass", "~*", "+@all", "-xadd");
    ask("ACL", "SETUSER", "no-key", "on", "nopass", "~other", "+@all");
    ask_other("AUTH", "no-xadd", "x");
    means(ask_other(XADD), "NOPERM", ERROR_FATAL, QUERN_E_AUTH);
    means(ask_other("EVAL", XADD_SCRIPT), "", ERROR_FATAL, QUERN_E_AUTH);
    ask_other("AUTH", "no-key", "x");
    means(ask_other(XADD), "NOPERM", ERROR_FATAL, QUERN_E_AUTH);
    means(ask_other("EVAL", XADD_SCRIPT), "", ERROR_FATAL, QUERN_E_AUTH);
    means(ask_other("EVAL", "return redis.call('XLEN', 's')", "0"), "", ERROR_FATAL, QUERN_E_AUTH);
}

/* ── what passes ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static void a_full_server_is_waited_for(void **state)
{
    struct bench *bench = *state;
    is_set(bench, "maxmemory", "1");
    means(ask(XADD), "OOM", ERROR_TRANSIENT, QUERN_E_SERVER);
    means(ask("EVAL", XADD_SCRIPT), "OOM", ERROR_TRANSIENT, QUERN_E_SERVER);
    means(ask("EVAL", "#!lua\nreturn redis.call('XADD', KEYS[1], '*', 'f', 'v')", "1", "s"), "OOM", ERROR_TRANSIENT,
          QUERN_E_SERVER);
    ask("MULTI");
    means(ask(XADD), "OOM", ERROR_TRANSIENT, QUERN_E_SERVER);
    means(ask("EXEC"), "EXECABORT", ERROR_TRANSIENT, QUERN_E_SERVER);
}

static void a_replica_is_waited_for_until_it_is_a_primary(void **state)
{
    struct bench *bench = *state;
    block(bench);
    ask("REPLICAOF", "127.0.0.1", "1");
    means(resp_hear(bench->other), "UNBLOCKED", ERROR_HEAL, QUERN_E_GONE);
    means(ask(XADD), "READONLY", ERROR_TRANSIENT, QUERN_E_CONNECT);
    means(ask("EVAL", XADD_SCRIPT), "READONLY", ERROR_TRANSIENT, QUERN_E_CONNECT);
    is_set(bench, "replica-serve-stale-data", "no");
    means(ask("XLEN", "s"), "MASTERDOWN", ERROR_TRANSIENT, QUERN_E_CONNECT);
    ask("REPLICAOF", "NO", "ONE");
    is_set(bench, "min-replicas-to-write", "1");
    means(ask(XADD), "NOREPLICAS", ERROR_TRANSIENT, QUERN_E_SERVER);
    means(ask("EVAL", XADD_SCRIPT), "NOREPLICAS", ERROR_TRANSIENT, QUERN_E_SERVER);
}

/* Where the dump should go lies a folder: that fails for root, too. */
static void a_server_that_cannot_save_is_waited_for(void **state)
{
    struct bench *bench = *state;
    char dump[PATH_SIZE];
    snprintf(dump, sizeof dump, "%s/dump.rdb", bench->redis.dir);
    assert_int_equal(mkdir(dump, 0700), 0);
    is_set(bench, "save", "3600 1");
    ask("BGSAVE");
    wait_for(redis_info(&bench->redis, "persistence", "rdb_bgsave_in_progress") == 0 && ask("PING")->kind == '-');
    means(ask("PING"), "MISCONF", ERROR_TRANSIENT, QUERN_E_SERVER);
    means(ask(XADD), "MISCONF", ERROR_TRANSIENT, QUERN_E_SERVER);
    means(ask("EVAL", XADD_SCRIPT), "MISCONF", ERROR_TRANSIENT, QUERN_E_SERVER);
}

static void a_busy_server_is_waited_for(void **state)
{
    struct bench *bench = *state;
    means(ask("SCRIPT", "KILL"), "NOTBUSY", ERROR_UNKNOWN, QUERN_E_SERVER); /* nobody asks for that */
    is_set(bench, "lua-time-limit", "20");
    resp_say(bench->other, "EVAL", "while true do end", "0", (char *)NULL);
    wait_for(ask("PING")->kind == '-');
    means(ask("PING"), "BUSY", ERROR_TRANSIENT, QUERN_E_CONNECT);
    means(ask(XADD), "BUSY", ERROR_TRANSIENT, QUERN_E_CONNECT);
    ask("SCRIPT", "KILL");
    assert_int_equal(resp_hear(bench->other)->kind, '-');
    resp_say(bench->other, "EVAL", "redis.call('SET', KEYS[1], '1') while true do end", "1", "text", (char *)NULL);
    wait_for(ask("PING")->kind == '-');
    means(ask("SCRIPT", "KILL"), "UNKILLABLE", ERROR_TRANSIENT, QUERN_E_CONNECT);
}

static void a_server_that_has_no_room_for_a_connection_is_waited_for(void **state)
{
    struct bench *bench = *state;
    is_set(bench, "maxclients", "2");
    struct resp *third = resp_open(bench->redis.socket);
    means(resp_hear(third), "max number of clients", ERROR_TRANSIENT, QUERN_E_CONNECT);
    resp_close(third);
}

static const char *const slowly[] = {"--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024", NULL};

static int bench_open_slow(void **state)
{
    return bench_open_with(state, slowly);
}

static void a_server_that_loads_is_waited_for(void **state)
{
    enum { KEYS = 5000 };
    struct bench *bench = *state;
    ask("EVAL", "for i = 1, 5000 do redis.call('SET', 'key' .. i, string.rep('x', 100)) end", "0");
    assert_int_equal(redis_number(&bench->redis, "DBSIZE"), KEYS);
    assert_true(answer_is(ask("SAVE"), "OK"));
    redis_kill(&bench->redis);
    redis_launch(&bench->redis);
    wait_for(bench->redis.client || (bench->redis.client = resp_open(bench->redis.socket)));
    means(ask(XADD), "LOADING", ERROR_TRANSIENT, QUERN_E_CONNECT);
    means(ask("PING"), "LOADING", ERROR_TRANSIENT, QUERN_E_CONNECT);
}

/* ── which server ────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool find(const char *name)
{
    char *path = strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin");
    program[0] = 0;
    for (char *rest = path, *dir; (dir = strsep(&rest, ":")) && !program[0];) {
        snprintf(program, sizeof program, "%s/%s", dir, name);
        if (access(program, X_OK)) program[0] = 0;
    }
    free(path);
    return program[0];
}

/* Its path in program. False: there is none, and that is said. */
static bool find_server(const char *name)
{
    const char *given = getenv("REDIS_SERVER");
    char other[PATH_SIZE];
    if (!strcmp(name, "REDIS_SERVER")) {
        snprintf(program, sizeof program, "%s", given ? given : "");
        if (!given) printf("SKIPPED: $REDIS_SERVER names no server: no other server's errors were tried\n");
        return given;
    }
    snprintf(other, sizeof other, "%.*s-check-rdb", (int)strcspn(name, "-"), name);
    if (find(name) || find(other)) return true;
    printf("SKIPPED: %s was not found (nor %s): its errors were not tried\n", name, other);
    return false;
}

int main(int argc, char **argv)
{
#define BENCH(test) cmocka_unit_test_setup_teardown(test, bench_open, bench_close)
    const struct CMUnitTest tests[] = {
        BENCH(what_is_not_there_is_to_be_made),
        BENCH(what_nobody_could_mend_by_waiting_is_fatal),
        BENCH(a_reader_whose_stream_or_group_goes_is_to_heal),
        BENCH(a_missing_or_a_wrong_password_is_fatal),
        BENCH(a_right_that_is_missing_is_fatal_also_in_a_script),
        BENCH(a_full_server_is_waited_for),
        BENCH(a_replica_is_waited_for_until_it_is_a_primary),
        BENCH(a_server_that_cannot_save_is_waited_for),
        BENCH(a_busy_server_is_waited_for),
        BENCH(a_server_that_has_no_room_for_a_connection_is_waited_for),
        cmocka_unit_test_setup_teardown(a_server_that_loads_is_waited_for, bench_open_slow, bench_close),
    };
    const char *name = argc > 1 ? argv[1] : "redis-server";
    if (!find_server(name)) return SKIPPED;
    printf("%s: %s\n", name, program);
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
