/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/fake_job.h"

static int64_t now_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static quern_verdict run(const char *data, const char *options, const char *error)
{
    quern_job job = fake_job(data);
    quern_verdict verdict = fake_job_run(&job, options);
    if (!strstr(job.error, error)) fail_msg("\"%s\" is not in \"%s\"", error, job.error);
    fake_job_clear(&job);
    return verdict;
}

static void an_empty_payload_is_done_without_a_look_at_json(void **state)
{
    (void)state;
    quern_job job = fake_job("{}");
    assert_int_equal(QUERN_DONE, fake_job_run(&job, "{}"));
    assert_int_equal(0, job.json_asked);
    assert_int_equal(0, job.cancelled_asked);
    assert_null(job.result);
}

static void it_burns_the_cpu_time_it_is_told(void **state)
{
    (void)state;
    int64_t began = now_us(CLOCK_THREAD_CPUTIME_ID);
    assert_int_equal(QUERN_DONE, run("{\"us\":20000}", "{}", ""));
    int64_t burnt = now_us(CLOCK_THREAD_CPUTIME_ID) - began;
    assert_in_range(burnt, 20000, 60000);
    began = now_us(CLOCK_THREAD_CPUTIME_ID);
    assert_int_equal(QUERN_DONE, run("{}", "{\"us\":5000}", ""));
    assert_true(now_us(CLOCK_THREAD_CPUTIME_ID) - began >= 5000);
}

static void it_tells_how_far_it_is(void **state)
{
    (void)state;
    quern_job job = fake_job("{\"us\":5000,\"sleep_us\":15000,\"note\":\"slowly\"}");
    assert_int_equal(QUERN_DONE, fake_job_run(&job, "{}"));
    assert_true(job.percent >= 25 && job.percent <= 100);
    assert_string_equal("slowly", job.note);
    fake_job_clear(&job);
}

static void it_sleeps_without_burning(void **state)
{
    (void)state;
    int64_t began = now_us(CLOCK_MONOTONIC), began_cpu = now_us(CLOCK_THREAD_CPUTIME_ID);
    assert_int_equal(QUERN_DONE, run("{\"sleep_us\":50000}", "{}", ""));
    assert_true(now_us(CLOCK_MONOTONIC) - began >= 50000);
    assert_true(now_us(CLOCK_THREAD_CPUTIME_ID) - began_cpu < 25000);
}

static bool at_the_third_look(quern_job *job)
{
    return job->cancelled_asked >= 3;
}

static void a_cancelled_job_stops_burning_and_sleeping(void **state)
{
    (void)state;
    static const char *const long_jobs[] = {"{\"us\":60000000}", "{\"sleep_us\":60000000}"};
    for (int i = 0; i < 2; i++) {
        quern_job job = fake_job(long_jobs[i]);
        job.is_cancelled = at_the_third_look;
        assert_int_equal(QUERN_RETRY, fake_job_run(&job, "{}"));
        assert_int_equal(3, job.cancelled_asked);
        fake_job_clear(&job);
    }
}

static void it_fails_its_first_tries(void **state)
{
    (void)state;
    quern_job job = fake_job("{\"fail_times\":2}");
    for (job.retries = 0; job.retries < 2; job.retries++) assert_int_equal(QUERN_RETRY, fake_job_run(&job, "{}"));
    assert_non_null(strstr(job.error, "fail 2 times"));
    assert_int_equal(QUERN_DONE, fake_job_run(&job, "{}"));
    fake_job_clear(&job);
}

static void it_is_dead_when_told(void **state)
{
    (void)state;
    assert_int_equal(QUERN_DEAD, run("{\"dead\":true}", "{}", "told"));
    assert_int_equal(QUERN_DEAD, run("{}", "{\"dead\":true}", "told"));
    assert_int_equal(QUERN_DONE, run("{\"dead\":false}", "{\"dead\":true}", ""));
}

static void it_echoes_as_its_result(void **state)
{
    (void)state;
    quern_job job = fake_job("{\"echo\":\"gr\u00fcn\"}");
    assert_int_equal(QUERN_DONE, fake_job_run(&job, "{\"echo\":\"another\"}"));
    assert_string_equal("gr\u00fcn", job.result);
    fake_job_clear(&job);
    job.data = (quern_bytes){"{}", 2};
    assert_int_equal(QUERN_DONE, fake_job_run(&job, "{\"echo\":\"another\"}"));
    assert_string_equal("another", job.result);
    fake_job_clear(&job);
}

/* How a process ends that runs the job on a thread that blocks all signals, as the library's do. */
static int status_of(const char *data)
{
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {0};
        setrlimit(RLIMIT_CORE, &none);
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        signal(SIGSEGV, SIG_DFL); /* cmocka's own would go on with the tests */
        quern_job job = fake_job(data);
        fake_job_run(&job, "{}");
        _exit(0);
    }
    int status = 0;
    assert_int_equal(child, waitpid(child, &status, 0));
    return status;
}

static void it_takes_the_process_with_it(void **state)
{
    (void)state;
    assert_int_equal(0, status_of("{}"));
    int segv = status_of("{\"crash\":\"segv\"}"), aborted = status_of("{\"crash\":\"abort\"}");
    assert_true(WIFSIGNALED(segv) && WTERMSIG(segv) == SIGSEGV);
    assert_true(WIFSIGNALED(aborted) && WTERMSIG(aborted) == SIGABRT);
    int exited = status_of("{\"crash\":\"exit\"}");
    assert_true(WIFEXITED(exited) && WEXITSTATUS(exited) != 0);
}

static void a_payload_of_the_wrong_shape_is_dead(void **state)
{
    (void)state;
    assert_int_equal(QUERN_DEAD, run("{\"us\":\"1\"}", "{}", "us: must be a whole number"));
    assert_int_equal(QUERN_DEAD, run("{\"us\":-1}", "{}", "us"));
    assert_int_equal(QUERN_DEAD, run("{\"crash\":\"softly\"}", "{}", "\"softly\" is none of segv, abort, exit"));
    assert_int_equal(QUERN_DEAD, run("{\"dead\":1}", "{}", "dead: must be true or false"));
    assert_int_equal(QUERN_DEAD, run("[1]", "{}", "must be an object"));
    assert_int_equal(QUERN_DEAD, run("nothing", "{}", "JSON"));
}

static void wrong_options_are_refused_by_name(void **state)
{
    (void)state;
    assert_non_null(strstr(fake_job_refused("{\"us\":1.5}"), "us: must be a whole number"));
    assert_non_null(strstr(fake_job_refused("{\"echo\":1}"), "echo: must be a text"));
    assert_non_null(strstr(fake_job_refused("{\"usec\":1}"), "no key \"usec\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_payload_is_done_without_a_look_at_json),
        cmocka_unit_test(it_burns_the_cpu_time_it_is_told),
        cmocka_unit_test(it_tells_how_far_it_is),
        cmocka_unit_test(it_sleeps_without_burning),
        cmocka_unit_test(a_cancelled_job_stops_burning_and_sleeping),
        cmocka_unit_test(it_fails_its_first_tries),
        cmocka_unit_test(it_is_dead_when_told),
        cmocka_unit_test(it_echoes_as_its_result),
        cmocka_unit_test(it_takes_the_process_with_it),
        cmocka_unit_test(a_payload_of_the_wrong_shape_is_dead),
        cmocka_unit_test(wrong_options_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
