/* SPDX-License-Identifier: MIT */
#include "wire/errors.h"

#include "support/unit.h"

static const struct {
    const char *text;
    enum error_class class;
    enum quern_code code;
} table[] = {
    {"OOM command not allowed when used memory > 'maxmemory'.", ERROR_TRANSIENT, QUERN_E_SERVER},
    {"OOM", ERROR_TRANSIENT, QUERN_E_SERVER},
    {"OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'", ERROR_TRANSIENT,
     QUERN_E_SERVER},
    {"OOM command not allowed when used memory > 'maxmemory'. script: 0123abcd, on @user_script:1.", ERROR_TRANSIENT,
     QUERN_E_SERVER},
    {"ERR Error running script (call to f_0123abcd): @user_script:1: @user_script: 1: -OOM command not allowed when used "
     "memory "
     "> 'maxmemory'.",
     ERROR_TRANSIENT, QUERN_E_SERVER},
    {"ERR Error running script (call to f_0123abcd): @user_script:1: -READONLY You can't write against a read only replica.",
     ERROR_TRANSIENT, QUERN_E_CONNECT},
    {"ERR Error running script (call to f_0): @user_script:1: -NOGROUP No such key 's' or consumer group 'g'", ERROR_HEAL,
     QUERN_E_GONE},
    {"ERR Error running script (call to f_0): @user_script:1: -WRONGTYPE Operation against a key holding the wrong kind of "
     "value",
     ERROR_FATAL, QUERN_E_SERVER},
    {"READONLY You can't write against a read only replica.", ERROR_TRANSIENT, QUERN_E_CONNECT},
    {"UNBLOCKED the stream key no longer exists", ERROR_HEAL, QUERN_E_GONE},
    {"UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", ERROR_HEAL, QUERN_E_GONE},
    {"NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option", ERROR_HEAL, QUERN_E_GONE},
    {"NOGROUP the consumer group this client was blocked on no longer exists", ERROR_HEAL, QUERN_E_GONE},
    {"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.", ERROR_TRANSIENT,
     QUERN_E_SERVER},
    {"MISCONF Valkey is configured to save RDB snapshots", ERROR_TRANSIENT, QUERN_E_SERVER},
    {"NOREPLICAS Not enough good replicas to write.", ERROR_TRANSIENT, QUERN_E_SERVER},
    {"LOADING Redis is loading the dataset in memory", ERROR_TRANSIENT, QUERN_E_CONNECT},
    {"LOADING Valkey is loading the dataset in memory", ERROR_TRANSIENT, QUERN_E_CONNECT},
    {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", ERROR_TRANSIENT, QUERN_E_CONNECT},
    {"CLUSTERDOWN Hash slot not served", ERROR_TRANSIENT, QUERN_E_CONNECT},
    {"TRYAGAIN Multiple keys request during rehashing of slot", ERROR_TRANSIENT, QUERN_E_CONNECT},
    {"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", ERROR_TRANSIENT,
     QUERN_E_CONNECT},
    {"BUSY Valkey is busy running a script.", ERROR_TRANSIENT, QUERN_E_CONNECT},
    {"UNKILLABLE Sorry the script already executed write commands against the dataset.", ERROR_TRANSIENT, QUERN_E_CONNECT},
    {"ASK 3999 127.0.0.1:6381", ERROR_TRANSIENT, QUERN_E_CONNECT},
    {"EXECABORT Transaction discarded because of previous errors.", ERROR_TRANSIENT, QUERN_E_SERVER},
    {"NOSCRIPT No matching script. Please use EVAL.", ERROR_NOSCRIPT, QUERN_E_SERVER},
    {"NOSCRIPT No matching script.", ERROR_NOSCRIPT, QUERN_E_SERVER},
    {"MOVED 3999 127.0.0.1:6381", ERROR_TRANSIENT, QUERN_E_CONNECT},
    {"CROSSSLOT Keys in request don't hash to the same slot", ERROR_FATAL, QUERN_E_SERVER},
    {"NOAUTH Authentication required.", ERROR_FATAL, QUERN_E_AUTH},
    {"WRONGPASS invalid username-password pair or user is disabled.", ERROR_FATAL, QUERN_E_AUTH},
    {"NOPERM this user has no permissions to run the 'xadd' command", ERROR_FATAL, QUERN_E_AUTH},
    {"NOPERM User alice has no permissions to run the 'xadd' command", ERROR_FATAL, QUERN_E_AUTH},
    {"ERR ACL failure in script: User alice has no permissions to run the 'xadd' command", ERROR_FATAL, QUERN_E_AUTH},
    {"ERR The user executing the script can't access at least one of the keys mentioned in the command arguments", ERROR_FATAL,
     QUERN_E_AUTH},
    {"ERR The user executing the script can't run this command or subcommand script: 6ca17848, on @user_script:1.", ERROR_FATAL,
     QUERN_E_AUTH},
    {"WRONGTYPE Operation against a key holding the wrong kind of value", ERROR_FATAL, QUERN_E_SERVER},
    {"ERR max number of clients reached", ERROR_TRANSIENT, QUERN_E_CONNECT},
    {"ERR AUTH <password> called without any password configured for the default user.", ERROR_FATAL, QUERN_E_AUTH},
    {"ERR invalid password", ERROR_FATAL, QUERN_E_AUTH},
    {"ERR unknown command 'XREADGROUP', with args beginning with: ", ERROR_FATAL, QUERN_E_SERVER},
    {"ERR DB index is out of range", ERROR_FATAL, QUERN_E_SERVER},
    {"ERR invalid DB index", ERROR_FATAL, QUERN_E_SERVER},
    /* not in the table: treated as perhaps done */
    {"ERR Protocol error: invalid bulk length", ERROR_UNKNOWN, QUERN_E_SERVER},
    {"ERR something new", ERROR_UNKNOWN, QUERN_E_SERVER},
    {"NEWCODE who knows", ERROR_UNKNOWN, QUERN_E_SERVER},
    {"", ERROR_UNKNOWN, QUERN_E_SERVER},
    {"ERR", ERROR_UNKNOWN, QUERN_E_SERVER},
    /* a code is a word: not a part of one, not somewhere in a sentence, not in other letters */
    {"OOMPH not a code", ERROR_UNKNOWN, QUERN_E_SERVER},
    {"BUSYGROUP Consumer Group name already exists", ERROR_UNKNOWN, QUERN_E_SERVER},
    {"BUSYKEY Target key name already exists.", ERROR_UNKNOWN, QUERN_E_SERVER},
    {"NOTBUSY No scripts in execution right now.", ERROR_UNKNOWN, QUERN_E_SERVER},
    {"oom in lower case", ERROR_UNKNOWN, QUERN_E_SERVER},
    {"ERR the job said OOM", ERROR_UNKNOWN, QUERN_E_SERVER},
    {"ERR the job said -OOMPH", ERROR_UNKNOWN, QUERN_E_SERVER},
    {"UNKNOWN something OOM", ERROR_UNKNOWN, QUERN_E_SERVER},
};

static void each_error_means_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct error_meaning meaning = error_meaning(bytes_of(table[i].text));
        if (meaning.class != table[i].class || meaning.code != table[i].code)
            fail_msg("%s: class %d, code %s", table[i].text, (int)meaning.class, quern_code_name((int)meaning.code));
    }
    assert_int_equal(ERROR_UNKNOWN, error_meaning((quern_bytes){NULL, 0}).class);
}

static void a_cut_error_is_not_read_past_its_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        for (size_t len = 0; len <= strlen(table[i].text); len++) {
            char *exact = malloc(len ? len : 1);
            memcpy(exact, table[i].text, len);
            (void)error_meaning((quern_bytes){exact, len});
            free(exact);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_means_what_the_table_says),
        cmocka_unit_test(a_cut_error_is_not_read_past_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
