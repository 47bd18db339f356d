/* SPDX-License-Identifier: MIT */

/* promises/host: quern_run() and quern_consume(): a host that wants nothing but a pool. What they do on signals, and where they will
 * not take any. Those that end a process end a runner (promises/runner). */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/mill.h"
#include "support/proxy.h"
#include "support/runner.h"

static const int wishes[] = {SIGTERM, SIGINT, SIGHUP};
enum { WISHES = sizeof wishes / sizeof *wishes };

static void nothing_is_left(struct scene *scene)
{
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 0);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:g:retry"), 0);
}

static void quern_run_ends_on_each_of_three_signals_after_the_job_at_hand(void **state)
{
    struct scene *scene = *state;
    for (int i = 0; i < WISHES; i++) {
        int status = -1, pidfd = runner_at_work(scene, "1");
        assert_int_equal(runner_signal(pidfd, wishes[i]), 0);
        wait_for(runner_has_exited(pidfd, &status));
        assert_int_equal(status, 0);
        nothing_is_left(scene);
    }
}

static void what_follows_a_signal_at_once_belongs_to_it(void **state)
{
    struct scene *scene = *state;
    int status = -1, pidfd = runner_at_work(scene, "1");
    assert_int_equal(runner_signal(pidfd, SIGTERM), 0);
    assert_int_equal(runner_signal(pidfd, SIGINT), 0);
    assert_int_equal(runner_signal(pidfd, SIGHUP), 0);
    wait_for(runner_has_exited(pidfd, &status));
    assert_int_equal(status, 0);
    nothing_is_left(scene);
}

static void the_drain_has_a_bound_when_a_handler_does_not_return(void **state)
{
    enum { DRAIN_MS = 2000 };
    struct scene *scene = *state;
    int status = -1, pidfd = runner_at_work(scene, "2");
    int64_t from_ms = wait_now_ms();
    assert_int_equal(runner_signal(pidfd, SIGTERM), 0);
    wait_for(runner_has_exited(pidfd, &status));
    assert_int_equal(status, 3);
    assert_in_range(wait_now_ms() - from_ms, DRAIN_MS, PATIENCE_MS);
    assert_int_equal(redis_pending(&scene->redis, "jobs", "g"), 1); /* it comes back when its lease is over */
}

static void a_second_signal_has_its_default_action(void **state)
{
    struct scene *scene = *state;
    for (int i = 0; i < WISHES; i++) {
        int status = -1, pidfd = runner_at_work(scene, "2");
        assert_int_equal(runner_signal(pidfd, SIGTERM), 0);
        stays(!runner_has_exited(pidfd, &status), 300); /* what comes within a moment is an echo */
        assert_int_equal(runner_signal(pidfd, wishes[i]), 0);
        wait_for(runner_has_exited(pidfd, &status));
        assert_int_equal(status, -wishes[i]); /* drain_ms would have ended it with a status of its own */
        wait_for(redis_clients(&scene->redis, ":dispatcher") == 0);
    }
}

static void a_second_signal_ends_a_start_that_waits(void **state)
{
    struct scene *scene = *state;
    char path[120], url[140];
    int status = -1;
    snprintf(path, sizeof path, "%s/mute", scene->redis.dir);
    snprintf(url, sizeof url, "unix://%s", path);
    struct proxy *mute = proxy_open(path, NULL, NULL);
    assert_non_null(mute);
    int pidfd = runner_spawn(scene, url, NULL);
    wait_for(proxy_accepted(mute) > 0);
    assert_int_equal(runner_signal(pidfd, SIGINT), 0);
    stays(!runner_has_exited(pidfd, &status), 300);
    assert_int_equal(runner_signal(pidfd, SIGINT), 0);
    wait_for(runner_has_exited(pidfd, &status));
    assert_int_equal(status, -SIGINT);
    proxy_close(mute);
}

static void ignored_as_by_nohup_stays_ignored(void **state)
{
    struct scene *scene = *state;
    int status = -1;
    signal(SIGHUP, SIG_IGN); /* handed down to the runner */
    signal(SIGINT, SIG_IGN);
    int pidfd = runner_start(scene, NULL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    assert_int_equal(runner_signal(pidfd, SIGHUP), 0);
    assert_int_equal(runner_signal(pidfd, SIGINT), 0);
    stays(!runner_has_exited(pidfd, &status), 300);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "e", "data", "0");
    wait_for(runner_has_marked(scene)); /* it still works */
    assert_int_equal(runner_signal(pidfd, SIGTERM), 0);
    wait_for(runner_has_exited(pidfd, &status));
    assert_int_equal(status, 0);
}

/* Not under the thread sanitizer, which keeps back the signals of a child that a thread has forked. */
static void a_child_that_a_handler_forks_ends_by_its_own_signals(void **state)
{
    struct scene *scene = *state;
#ifdef __SANITIZE_THREAD__
    skip();
#endif
    int status = -1, pidfd = runner_at_work(scene, "3"); /* only that of the child has come */
    stays(!runner_has_exited(pidfd, &status), 300);
    assert_int_equal(runner_signal(pidfd, SIGTERM), 0);
    wait_for(runner_has_exited(pidfd, &status));
    assert_int_equal(status, 0);
    nothing_is_left(scene);
}

/* ── where none are taken ────────────────────────────────────────────────────────────────────────────────────────── */

static void a_handler_of_the_host(int number)
{
    (void)number;
}

static quern_config *config_of(struct scene *scene)
{
    struct mill *mill = mill_new(scene, NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = mill_grind});
    return mill->config;
}

/* quern_run() refuses, names the signal and what to call instead, and leaves dispositions, mask and descriptors as they are. */
static void is_refused(quern_config *config, int number, void (*handler)(int), const char *how)
{
    quern_error error = {0};
    char name[16];
    sigset_t before, after;
    struct sigaction now;
    snprintf(name, sizeof name, "SIG%s", sigabbrev_np(number));
    signal(number, handler);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    int code = quern_run(config, &error);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int i = 0; i < WISHES; i++) {
        assert_int_equal(sigaction(wishes[i], NULL, &now), 0);
        assert_true(now.sa_handler == (wishes[i] == number ? handler : SIG_DFL));
        assert_int_equal(sigismember(&before, wishes[i]), sigismember(&after, wishes[i]));
    }
    signal(number, SIG_DFL);
    assert_int_equal(code, QUERN_E_ARGUMENT);
    const char *const words[] = {name, how, "quern_pool_start()", "quern_pool_stop()"};
    for (size_t i = 0; i < 4; i++)
        if (!strstr(error.text, words[i])) fail_msg("'%s' is not in: %s", words[i], error.text);
}

static void a_signal_that_the_host_handles_is_not_taken(void **state)
{
    struct scene *scene = *state;
    quern_config *config = config_of(scene);
    long long connections = redis_info(&scene->redis, "stats", "total_connections_received");
    for (int i = 0; i < WISHES; i++) is_refused(config, wishes[i], a_handler_of_the_host, "has a handler");
    is_refused(config, SIGTERM, SIG_IGN, "is ignored");
    assert_int_equal(redis_info(&scene->redis, "stats", "total_connections_received"), connections);
}

/* ── signals on any thread ───────────────────────────────────────────────────────────────────────────────────────── */

struct other {
    quern_config *config;
    struct mill *mill;
    quern_error error;
    int code;
};

/* On a thread that was there before quern_run(): calls it as well, then sends itself the signal. */
static void *other_thread(void *given)
{
    struct other *other = given;
    while (!atomic_load(&other->mill->ended)) wait_breathe();
    other->code = quern_run(other->config, &other->error);
    pthread_kill(pthread_self(), SIGTERM);
    return NULL;
}

static int count_files(void)
{
    int count = 0;
    DIR *at = opendir("/proc/self/fd");
    assert_non_null(at);
    while (readdir(at)) count++;
    closedir(at);
    return count;
}

static void a_signal_is_heard_on_whatever_thread_it_comes(void **state)
{
    struct scene *scene = *state;
    quern_error error = {0};
    pthread_t thread;
    sigset_t set, before;
    struct sigaction now;
    struct other other = {.config = config_of(scene), .mill = scene->mills[0], .code = -1};
    scene_publish(scene, 1, 1);
    int files = count_files();
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &other), 0);
    sigemptyset(&set); /* blocked here when the call begins, and again when it has ended */
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    int code = quern_run(other.config, &error);
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_join(thread, NULL);
    if (code) fail_msg("%s", error.text);
    assert_int_equal(other.code, QUERN_E_ARGUMENT); /* one at a time */
    assert_non_null(strstr(other.error.text, "another quern_run()"));
    assert_true(sigismember(&set, SIGTERM));
    for (int i = 0; i < WISHES; i++) {
        assert_int_equal(sigaction(wishes[i], NULL, &now), 0);
        assert_true(now.sa_handler == SIG_DFL);
    }
    assert_int_equal(count_files(), files);
}

static quern_verdict run_another(quern_job *job, void *thread, void *user)
{
    struct other *other = user;
    (void)job, (void)thread;
    other->code = quern_run(other->config, &other->error);
    return QUERN_DONE;
}

static void quern_run_in_a_handler_is_refused(void **state)
{
    struct scene *scene = *state;
    struct other other = {.config = config_of(scene), .code = -1};
    struct mill *mill = mill_new(scene, "until_empty", "true", NULL);
    mill_on(mill, &(quern_handler){.event = "*", .run = run_another, .user = &other});
    scene_publish(scene, 1, 1);
    if (quern_run(mill->config, &mill->error)) fail_msg("%s", mill->error.text);
    assert_int_equal(other.code, QUERN_E_ARGUMENT);
    assert_non_null(strstr(other.error.text, "thread"));
}

/* ── quern_consume ───────────────────────────────────────────────────────────────────────────────────────────────── */

static quern_verdict count_one(quern_job *job, void *user)
{
    _Atomic int *count = user;
    atomic_fetch_add(count, atoi(quern_job_data(job).at));
    return QUERN_DONE;
}

static void quern_consume_runs_one_event_and_acknowledges_the_others(void **state)
{
    struct scene *scene = *state;
    _Atomic int count = 0;
    struct mill *mill = mill_new(scene, "until_empty", "true", "unhandled", "dead", NULL);
    redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "mine", "data", "5");
    redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "theirs", "data", "100");
    redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "mine", "data", "7");
    if (quern_consume(mill->config, "mine", count_one, (void *)&count, &mill->error)) fail_msg("%s", mill->error.text);
    assert_int_equal(count, 12);
    nothing_is_left(scene);
    assert_int_equal(redis_number(&scene->redis, "XLEN", "jobs:failed"), 0);
    char *unhandled = quern_config_get(mill->config, "unhandled");
    assert_string_equal(unhandled, "dead"); /* the host's config is as it was */
    quern_free(unhandled);
}

static void quern_consume_ends_on_a_signal_too(void **state)
{
    struct scene *scene = *state;
    int status = -1, pidfd = runner_start(scene, "mine");
    redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "theirs", "data", "2");
    redis_ask(&scene->redis, "XADD", "jobs", "*", "event", "mine", "data", "1");
    wait_for(runner_has_marked(scene));
    assert_int_equal(runner_signal(pidfd, SIGINT), 0);
    wait_for(runner_has_exited(pidfd, &status));
    assert_int_equal(status, 0);
    nothing_is_left(scene);
}

static void quern_consume_refuses_what_makes_no_sense(void **state)
{
    struct scene *scene = *state;
    quern_error error;
    struct mill *mill = mill_new(scene, NULL);
    assert_int_equal(quern_consume(NULL, "e", count_one, NULL, &error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_consume(mill->config, NULL, count_one, NULL, &error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_consume(mill->config, "e", NULL, NULL, &error), QUERN_E_ARGUMENT);
    assert_int_equal(quern_consume(mill->config, "", count_one, NULL, NULL), QUERN_E_ARGUMENT);
    assert_int_equal(quern_consume(config_of(scene), "e", count_one, NULL, &error), QUERN_E_ARGUMENT);
    assert_non_null(strstr(error.text, "quern_run()"));
    signal(SIGHUP, a_handler_of_the_host);
    int code = quern_consume(mill->config, "e", count_one, NULL, &error);
    signal(SIGHUP, SIG_DFL);
    assert_int_equal(code, QUERN_E_ARGUMENT);
    assert_non_null(strstr(error.text, "SIGHUP"));
}

int main(void)
{
    for (int i = 0; i < WISHES; i++) signal(wishes[i], SIG_DFL); /* whoever started us may have ignored some */
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
    const struct CMUnitTest tests[] = {
        SCENE(quern_run_ends_on_each_of_three_signals_after_the_job_at_hand),
        SCENE(what_follows_a_signal_at_once_belongs_to_it),
        SCENE(the_drain_has_a_bound_when_a_handler_does_not_return),
        SCENE(a_second_signal_has_its_default_action),
        SCENE(a_second_signal_ends_a_start_that_waits),
        SCENE(ignored_as_by_nohup_stays_ignored),
        SCENE(a_child_that_a_handler_forks_ends_by_its_own_signals),
        SCENE(a_signal_that_the_host_handles_is_not_taken),
        SCENE(a_signal_is_heard_on_whatever_thread_it_comes),
        SCENE(quern_run_in_a_handler_is_refused),
        SCENE(quern_consume_runs_one_event_and_acknowledges_the_others),
        SCENE(quern_consume_ends_on_a_signal_too),
        SCENE(quern_consume_refuses_what_makes_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
