/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include <signal.h>

#include "support/unit.h"

struct seen {
    sigset_t blocked;
    char name[16];
    enum thread_role role;
};

static void look(void *given)
{
    struct seen *seen = given;
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    seen->role = thread_role();
}

static struct seen start(enum thread_role role, const char *name)
{
    struct seen seen = {0};
    pthread_t thread;
    assert_int_equal(0, thread_start(&thread, role, name, look, &seen));
    assert_int_equal(0, pthread_join(thread, NULL));
    return seen;
}

static void all_signals_are_the_hosts(void **state)
{
    (void)state;
    struct seen seen = start(ROLE_REAPER, "any");
    for (int s = 1; s <= SIGRTMAX; s++) {
        bool can_be_blocked = s != SIGKILL && s != SIGSTOP && (s < 32 || s >= SIGRTMIN); /* libc keeps two */
        if (can_be_blocked && !sigismember(&seen.blocked, s)) fail_msg("signal %d would be taken", s);
    }
}

static void the_starters_own_mask_stays(void **state)
{
    (void)state;
    sigset_t own, after;
    sigemptyset(&own);
    sigaddset(&own, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &own, NULL);
    start(ROLE_SETTLER, "any");
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int s = 1; s < 32; s++) assert_int_equal(s == SIGUSR1, sigismember(&after, s) == 1);
    sigemptyset(&own);
    pthread_sigmask(SIG_SETMASK, &own, NULL);
}

static void a_thread_knows_its_role_and_shows_its_name(void **state)
{
    (void)state;
    struct seen seen = start(ROLE_HEARTBEAT, "quern-heartbeat");
    assert_int_equal(ROLE_HEARTBEAT, seen.role);
    assert_string_equal("quern-heartbeat", seen.name);
    assert_int_equal(ROLE_HOST, thread_role());
    seen = start(ROLE_WORKER, "a name that is longer than fifteen");
    assert_string_equal("a name that is ", seen.name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_signals_are_the_hosts),
        cmocka_unit_test(the_starters_own_mask_stays),
        cmocka_unit_test(a_thread_knows_its_role_and_shows_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
