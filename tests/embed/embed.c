/* SPDX-License-Identifier: MIT */

/* The claims of DESIGN §6, each with real processes: who shares, who dies, and what is mended. */
#include "embed/yard.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "embed/lock.h"

enum { START_MS = 8000 };

static struct user enter(const struct yard *yard)
{
    struct user user = yard_user(yard, NULL, START_MS, NULL);
    user_opens(&user);
    return user;
}

/* The last user has gone: nothing stays. */
static void expect_the_end(const struct yard *yard)
{
    wait_for(yard_is_quiet(yard));
}

static void two_users_share_one_server(void **state)
{
    struct yard *yard = *state;
    struct user first = enter(yard), second = enter(yard);
    pid_t server = yard_server(yard);
    assert_string_equal(first.said, second.said);
    assert_true(yard_answers(yard, "SET grain wheat", "+OK"));
    user_leaves(&first);
    assert_int_equal(yard_server(yard), server);
    assert_true(yard_answers(yard, "GET grain", "wheat"));
    user_leaves(&second);
    expect_the_end(yard);
    assert_int_equal(yard_log_count(yard, "eady to accept connections"), 1);
}

static void the_data_is_there_at_the_next_start(void **state)
{
    struct yard *yard = *state;
    struct user user = enter(yard);
    assert_true(yard_answers(yard, "SET grain wheat", "+OK"));
    user_leaves(&user);
    expect_the_end(yard);
    user = enter(yard);
    assert_true(yard_answers(yard, "GET grain", "wheat"));
    user_leaves(&user);
}

static void server_and_files_are_private_and_listen_on_no_port(void **state)
{
    struct yard *yard = *state;
    struct user user = enter(yard);
    struct stat status;
    char log[160];
    snprintf(log, sizeof log, "%s/redis.log", yard->dir);
    assert_true(stat(yard->dir, &status) == 0 && (status.st_mode & 07777) == 0700);
    assert_true(stat(yard->socket, &status) == 0 && (status.st_mode & 0777) == 0700);
    assert_true(stat(log, &status) == 0 && (status.st_mode & 0777) == 0600);
    assert_true(yard_answers(yard, "CONFIG GET port", "port\r\n$1\r\n0"));
    assert_true(yard_answers(yard, "CONFIG GET appendonly", "yes"));
    assert_true(yard_answers(yard, "CONFIG GET maxmemory-policy", "noeviction"));
    assert_true(getsid(yard_server(yard)) != getsid(0) && getsid(yard_keeper(yard)) != getsid(0));
    user_leaves(&user);
}

static void a_killed_user_counts_as_gone(void **state)
{
    struct yard *yard = *state;
    struct user user = enter(yard);
    assert_true(yard_answers(yard, "SET grain wheat", "+OK"));
    user_is_killed(yard, &user);
    expect_the_end(yard);
    user = enter(yard);
    assert_true(yard_answers(yard, "GET grain", "wheat"));
    user_leaves(&user);
}

static void ten_users_at_once_start_one_server(void **state)
{
    struct yard *yard = *state;
    struct user users[10];
    for (int i = 0; i < 10; i++) users[i] = yard_user(yard, NULL, START_MS, NULL);
    for (int i = 0; i < 10; i++) user_opens(&users[i]);
    wait_for(yard_count(yard, "--embed-keeper") == 1);
    for (int i = 0; i < 10; i++) user_leaves(&users[i]);
    expect_the_end(yard);
    assert_int_equal(yard_log_count(yard, "eady to accept connections"), 1);
}

static void a_killed_server_comes_back_with_all_it_acknowledged(void **state)
{
    struct yard *yard = *state;
    struct user user = enter(yard);
    for (int round = 1; round <= 3; round++) {
        pid_t server = yard_server(yard);
        for (int i = 0; i < 50; i++) {
            char want[16];
            snprintf(want, sizeof want, ":%d\r", (round - 1) * 50 + i + 1);
            assert_true(yard_answers(yard, "INCR sacks", want));
        }
        yard_signal(yard, server, SIGKILL);
        wait_for(process_is_gone(server) && yard_answers(yard, "PING", "+PONG"));
    }
    assert_true(yard_answers(yard, "GET sacks", "150"));
    user_leaves(&user);
}

static void a_server_that_was_told_to_end_comes_back(void **state)
{
    struct yard *yard = *state;
    struct user user = enter(yard);
    pid_t server = yard_server(yard);
    yard_signal(yard, server, SIGTERM);
    wait_for(process_is_gone(server) && yard_answers(yard, "PING", "+PONG"));
    user_leaves(&user);
}

static void a_killed_keeper_is_replaced_and_the_server_lives_on(void **state)
{
    struct yard *yard = *state;
    struct user users[] = {enter(yard), enter(yard), enter(yard)};
    pid_t server = yard_server(yard), keeper = yard_keeper(yard);
    yard_signal(yard, keeper, SIGKILL);
    wait_for(yard_keeper(yard) > 0 && yard_keeper(yard) != keeper);
    assert_int_equal(yard_server(yard), server);
    user_leaves(&users[0]);
    user_leaves(&users[1]);
    assert_int_equal(yard_server(yard), server);
    user_leaves(&users[2]);
    expect_the_end(yard); /* the server was no child of the second keeper, and it ended it all the same */
}

static void a_server_killed_after_its_keeper_comes_back(void **state)
{
    struct yard *yard = *state;
    struct user user = enter(yard);
    pid_t server = yard_server(yard), keeper = yard_keeper(yard);
    assert_true(yard_answers(yard, "SET grain wheat", "+OK"));
    yard_signal(yard, keeper, SIGKILL);
    yard_signal(yard, server, SIGKILL);
    wait_for(process_is_gone(server) && yard_answers(yard, "GET grain", "wheat"));
    user_leaves(&user);
}

static void a_user_that_leaves_just_after_the_keeper_died_leaves_nothing(void **state)
{
    struct yard *yard = *state;
    struct user user = enter(yard);
    pid_t keeper = yard_keeper(yard);
    yard_signal(yard, keeper, SIGKILL);
    wait_for(yard_keeper(yard) != keeper);
    user_leaves(&user);
    expect_the_end(yard);
}

static void the_next_start_adopts_an_orphaned_server(void **state)
{
    struct yard *yard = *state;
    struct user user = enter(yard);
    pid_t server = yard_server(yard);
    assert_true(yard_answers(yard, "SET grain wheat", "+OK"));
    yard_signal(yard, user.pid, SIGSTOP); /* its watcher shall not see the keeper die */
    yard_signal(yard, yard_keeper(yard), SIGKILL);
    user_is_killed(yard, &user);
    wait_for(yard_count(yard, "--embed-keeper") == 0);
    assert_true(yard_lock_is_held(yard, LOCK_SERVER));
    user = enter(yard);
    assert_int_equal(yard_server(yard), server);
    assert_true(yard_keeper(yard) > 0);
    assert_true(yard_answers(yard, "GET grain", "wheat"));
    user_leaves(&user);
    expect_the_end(yard);
}

static void a_keeper_killed_at_its_birth_is_replaced(void **state)
{
    struct yard *yard = *state;
    for (int round = 0; round < 5; round++) {
        struct user user = yard_user(yard, NULL, START_MS, NULL);
        pid_t keeper;
        wait_for((keeper = yard_keeper(yard)) > 0);
        yard_signal(yard, keeper, SIGKILL);
        user_opens(&user);
        assert_true(yard_answers(yard, "INCR rounds", ":"));
        user_leaves(&user);
        expect_the_end(yard); /* else the next round would meet this keeper */
    }
    struct user user = enter(yard);
    assert_true(yard_answers(yard, "GET rounds", "5"));
    user_leaves(&user);
}

static void a_keeper_killed_while_the_server_starts_starts_no_second_one(void **state)
{
    struct yard *yard = *state;
    yard_gate(yard);
    struct user user = yard_user(yard, NULL, START_MS, yard->search);
    wait_for(yard_gate_starts(yard) == 1);
    pid_t keeper = yard_keeper(yard);
    yard_signal(yard, keeper, SIGKILL);
    wait_for(yard_keeper(yard) > 0 && yard_keeper(yard) != keeper);
    assert_false(user_has_said(&user));
    yard_gate_open(yard);
    user_opens(&user);
    assert_int_equal(yard_gate_starts(yard), 1);
    user_leaves(&user);
}

static void a_slow_server_is_waited_for_and_never_doubled(void **state)
{
    struct yard *yard = *state;
    yard_gate(yard);
    struct user patient = yard_user(yard, NULL, START_MS, yard->search);
    wait_for(yard_gate_starts(yard) == 1);
    struct user hasty = yard_user(yard, NULL, 100, yard->search);
    user_is_told(&hasty, "did not serve within 100 ms");
    yard_gate_open(yard);
    user_opens(&patient);
    assert_int_equal(yard_gate_starts(yard), 1);
    user_leaves(&patient);
}

static void a_user_that_comes_during_the_shutdown_waits_for_a_new_server(void **state)
{
    struct yard *yard = *state;
    struct user user = enter(yard);
    pid_t server = yard_server(yard);
    assert_true(yard_answers(yard, "SET grain wheat", "+OK"));
    yard_signal(yard, server, SIGSTOP); /* the shutdown shall last */
    user_leaves(&user);
    wait_for(yard_lock_is_held(yard, LOCK_USERS)); /* by the keeper */
    struct user hasty = yard_user(yard, NULL, 100, NULL), patient = yard_user(yard, NULL, START_MS, NULL);
    user_is_told(&hasty, "still shutting down");
    assert_false(user_has_said(&patient));
    yard_signal(yard, server, SIGCONT);
    user_opens(&patient);
    assert_true(process_is_gone(server));
    assert_true(yard_answers(yard, "GET grain", "wheat"));
    user_leaves(&patient);
}

static void a_keeper_killed_during_the_shutdown_is_mended_by_the_next_start(void **state)
{
    struct yard *yard = *state;
    struct user user = enter(yard);
    pid_t server = yard_server(yard), keeper = yard_keeper(yard);
    assert_true(yard_answers(yard, "SET grain wheat", "+OK"));
    yard_signal(yard, server, SIGSTOP);
    user_leaves(&user);
    wait_for(yard_lock_is_held(yard, LOCK_USERS));
    yard_signal(yard, keeper, SIGKILL);
    wait_for(process_is_gone(keeper));
    yard_signal(yard, server, SIGCONT);
    user = enter(yard);
    wait_for(yard_answers(yard, "GET grain", "wheat"));
    user_leaves(&user);
    expect_the_end(yard);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, yard_setup, yard_teardown)
    const struct CMUnitTest tests[] = {
        CASE(two_users_share_one_server),
        CASE(the_data_is_there_at_the_next_start),
        CASE(server_and_files_are_private_and_listen_on_no_port),
        CASE(a_killed_user_counts_as_gone),
        CASE(ten_users_at_once_start_one_server),
        CASE(a_killed_server_comes_back_with_all_it_acknowledged),
        CASE(a_server_that_was_told_to_end_comes_back),
        CASE(a_killed_keeper_is_replaced_and_the_server_lives_on),
        CASE(a_server_killed_after_its_keeper_comes_back),
        CASE(a_user_that_leaves_just_after_the_keeper_died_leaves_nothing),
        CASE(the_next_start_adopts_an_orphaned_server),
        CASE(a_keeper_killed_at_its_birth_is_replaced),
        CASE(a_keeper_killed_while_the_server_starts_starts_no_second_one),
        CASE(a_slow_server_is_waited_for_and_never_doubled),
        CASE(a_user_that_comes_during_the_shutdown_waits_for_a_new_server),
        CASE(a_keeper_killed_during_the_shutdown_is_mended_by_the_next_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
