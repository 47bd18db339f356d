/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/fake_job.h"

#define SHELL(text) "{\"shell\":true,\"command\":\"" text "\"}"

static int setup(void **state)
{
    (void)state;
    fake_directory_make();
    /* What a command leaves behind becomes this process's child, so that a test can see how it ended. */
    return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static int teardown(void **state)
{
    (void)state;
    fake_directory_remove();
    return 0;
}

static void is_said(const quern_job *job, const char *why)
{
    if (!strstr(job->error, why)) fail_msg("\"%s\" is not in \"%s\"", why, job->error);
}

static void gives(quern_job job, const char *options, const char *result)
{
    quern_verdict verdict = fake_job_run(&job, options);
    if (verdict != QUERN_DONE) fail_msg("verdict %d: %s", verdict, job.error);
    assert_string_equal(result, job.result ? job.result : "");
    fake_job_clear(&job);
}

static void fails(quern_job job, const char *options, quern_verdict verdict, const char *why)
{
    assert_int_equal(verdict, fake_job_run(&job, options));
    is_said(&job, why);
    assert_null(job.result);
    fake_job_clear(&job);
}

static void the_payload_is_on_standard_input(void **state)
{
    (void)state;
    gives(fake_job("{\"a\":1}"), "{\"command\":[\"cat\"]}", "{\"a\":1}");
    gives(fake_job("{\"a\":1}"), "{\"command\":[\"cat\",\"/dev/stdin\"]}", "{\"a\":1}");
    gives(fake_job(""), "{\"command\":[\"cat\"]}", "");
    gives(fake_job("x"), SHELL("cat; cat"), "x");
}

static void standard_input_cannot_be_written(void **state)
{
    (void)state;
    fails(fake_job("x"), SHELL("echo y >&0"), QUERN_RETRY, "exit code");
}

static void a_big_payload_arrives_whole_or_is_ignored(void **state)
{
    (void)state;
    enum { BYTES = 3 * 1024 * 1024 };
    char *big = malloc(BYTES);
    memset(big, 'g', BYTES);
    quern_job job = fake_job("");
    job.data = (quern_bytes){big, BYTES};
    gives(job, "{\"command\":[\"wc\",\"-c\"]}", "3145728\n");
    gives(job, "{\"command\":[\"true\"]}", "");
    gives(job, SHELL("exec <&-; echo closed"), "closed\n");
    free(big);
}

static void placeholders_are_replaced_in_words_only_where_they_stand(void **state)
{
    (void)state;
    quern_job job = fake_job("{}");
    job.retries = 2;
    gives(job, "{\"command\":[\"printf\",\"%s|\",\"{id}\",\"a{event}b{retries}{id}\",\"{other}\",\"$(id)\"]}",
          "job-1|atestb2job-1|{other}|$(id)|");
}

#define MESSAGE "{\"command\":[\"cat\"],\"input\":\"message\"}"

static void the_whole_message_is_on_standard_input_where_that_is_asked(void **state)
{
    (void)state;
    quern_job job = fake_job(" {\"a\": 1.50,\n \"b\": [10000000000000001]}"); /* as it is, to the byte */
    job.retries = 2;
    job.deliveries = 3;
    job.fields[0] = "timestamps";
    job.fields[1] = "{\"created_at\":\"2026-01-02T03:04:05+00:00\", \"updated_at\":\"2026-01-02T03:04:05+00:00\"}";
    job.fields[2] = "quern_updated_at";
    job.fields[3] = "2026-01-02T03:05:00.000000+00:00";
    gives(job, MESSAGE,
          "{\"id\":\"job-1\",\"event\":\"test\",\"retries\":2,\"timestamps\":{\"created_at\":\"2026-01-02T03:04:05+00:00\","
          "\"updated_at\":\"2026-01-02T03:05:00.000000+00:00\"},\"entry\":\"1700000000000-0\",\"deliveries\":3,"
          "\"data\": {\"a\": 1.50,\n \"b\": [10000000000000001]}}");
}

static void a_message_without_timestamps_has_those_of_its_first_entry(void **state)
{
    (void)state;
    quern_job job = fake_job("null");
    gives(job, MESSAGE,
          "{\"id\":\"job-1\",\"event\":\"test\",\"retries\":0,\"timestamps\":{\"created_at\":\"2023-11-14T22:13:20.000000+00:"
          "00\","
          "\"updated_at\":\"2023-11-14T22:13:20.000000+00:00\"},\"entry\":\"1700000000000-0\",\"deliveries\":1,\"data\":null}");
    job.fields[0] = "quern_entry";
    job.fields[1] = "1600000000123-4";
    quern_verdict verdict = fake_job_run(&job, MESSAGE);
    assert_int_equal(verdict, QUERN_DONE);
    assert_non_null(strstr(job.result, "\"created_at\":\"2020-09-13T12:26:40.123000+00:00\""));
    fake_job_clear(&job);
}

static void a_message_of_bytes_has_them_in_hex_and_one_that_is_no_json_is_dead(void **state)
{
    (void)state;
    quern_job job = fake_job("");
    job.is_raw = true;
    job.data = (quern_bytes){"a\0\xff", 3};
    job.id = (quern_bytes){"\xff-1", 3};
    assert_int_equal(fake_job_run(&job, MESSAGE), QUERN_DONE);
    json_t *message = fake_job_result(&job);
    assert_true(json_is_null(json_object_get(message, "data")) && json_is_null(json_object_get(message, "id")));
    assert_string_equal(json_string_value(json_object_get(message, "data_hex")), "6100ff");
    assert_string_equal(json_string_value(json_object_get(message, "id_hex")), "ff2d31");
    fake_job_clear(&job);
    fails(fake_job("{\"a\":"), MESSAGE, QUERN_DEAD, "no JSON");
}

static void no_value_becomes_an_option(void **state)
{
    (void)state;
    quern_job job = fake_job("{}");
    job.id = (quern_bytes){"-rf", 3};
    fails(job, "{\"command\":[\"echo\",\"{id}\"]}", QUERN_DEAD, "begins with '-'");
    gives(job, "{\"command\":[\"echo\",\"id={id}\"]}", "id=-rf\n");
    job.id = (quern_bytes){"a\0b", 3};
    fails(job, "{\"command\":[\"echo\",\"{id}\"]}", QUERN_DEAD, "zero byte");
}

static void the_job_is_in_the_environment_and_nothing_of_quern_s_own(void **state)
{
    (void)state;
    setenv("QUERN_REDIS", "redis://user:secret@host", 1);
    setenv("FROM_THE_HOST", "kept", 1);
    quern_job job = fake_job("{}");
    job.retries = 3;
    job.deliveries = 4;
    gives(job,
          SHELL("echo $QUERN_ID $QUERN_EVENT $QUERN_RETRIES $QUERN_ENTRY $QUERN_DELIVERIES $QUERN_HOLDER ${QUERN_REDIS-none} "
                "$FROM_THE_HOST"),
          "job-1 test 3 1700000000000-0 4 host-1-abcd none kept\n");
    unsetenv("QUERN_REDIS");
    unsetenv("FROM_THE_HOST");
}

static void the_exit_code_decides_by_the_table(void **state)
{
    (void)state;
    static const char table[] = "{\"shell\":true,\"command\":\"exit $QUERN_RETRIES\","
                                "\"exit\":{\"3\":\"done\",\"4\":\"dead\",\"65\":\"retry\",\"0\":\"dead\"}}";
    quern_job job = fake_job("{}");
    gives(job, SHELL("exit 0"), "");
    fails(job, SHELL("exit 1"), QUERN_RETRY, "exit code 1");
    fails(job, SHELL("exit 65"), QUERN_DEAD, "exit code 65");
    job.retries = 3, gives(job, table, "");
    job.retries = 4, fails(job, table, QUERN_DEAD, "exit code 4");
    job.retries = 65, fails(job, table, QUERN_RETRY, "exit code 65");
    job.retries = 0, fails(job, table, QUERN_DEAD, "exit code 0");
}

static void a_command_ended_by_a_signal_is_tried_again(void **state)
{
    (void)state;
    fails(fake_job("{}"), SHELL("kill -9 $$"), QUERN_RETRY, "ended by SIGKILL");
}

static void the_last_of_standard_error_is_the_reason(void **state)
{
    (void)state;
    fails(fake_job("{}"), SHELL("echo no grain >&2; exit 1"), QUERN_RETRY, "exit code 1: no grain");
    quern_job job = fake_job("{}");
    assert_int_equal(QUERN_RETRY, fake_job_run(&job, SHELL("seq 1 200000 >&2; echo the end >&2; exit 2")));
    is_said(&job, "200000 the end");
    assert_in_range(strlen(job.error), 400, 520);
    fake_job_clear(&job);
}

static void a_result_beyond_its_bound_is_cut_and_says_so(void **state)
{
    (void)state;
    quern_job job = fake_job("{}");
    gives(job, "{\"command\":[\"printf\",\"0123456789\"],\"result_max_bytes\":10}", "0123456789");
    gives(job, "{\"command\":[\"printf\",\"0123456789\"],\"result_max_bytes\":4}", "0123\n[cut: 6 more bytes]");
    gives(job, "{\"command\":[\"printf\",\"0123456789\"],\"result_max_bytes\":0}", "\n[cut: 10 more bytes]");
    assert_int_equal(QUERN_DONE, fake_job_run(&job, SHELL("head -c 5000000 /dev/zero; head -c 100000 /dev/zero >&2")));
    assert_int_equal(16384 + strlen("\n[cut: 4983616 more bytes]"), job.result_len);
    fake_job_clear(&job);
}

static void a_command_that_cannot_be_started_may_be_there_elsewhere(void **state)
{
    (void)state;
    fake_file(fake_path("text"), "no program", 10);
    chmod(fake_path("text"), 0700);
    char options[PATH_MAX + 64];
    snprintf(options, sizeof options, "{\"command\":[\"%s\"]}", fake_path("text"));
    fails(fake_job("{}"), "{\"command\":[\"/nowhere/at/all\"]}", QUERN_RETRY, "cannot start /nowhere/at/all: No such file");
    fails(fake_job("{}"), options, QUERN_RETRY, "cannot start");
    fails(fake_job("{}"), "{\"command\":[\"/\"]}", QUERN_RETRY, "cannot start");
}

/* ── Signals and groups ── */

static bool file_is_there(quern_job *job)
{
    return access(job->watched, F_OK) == 0;
}

static pid_t pid_in(const char *path)
{
    int pid = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(1, fscanf(file, "%d", &pid));
    fclose(file);
    return pid;
}

/* Waits for the end of something that a command left, and says which signal it was. */
static int signal_that_ended(pid_t pid)
{
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0 && errno == ESRCH)
        return SIGKILL; /* its shell lived long enough to reap it: it is gone, which is what matters */
    assert_true(pidfd >= 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(1, poll(&ended, 1, 20000));
    close(pidfd);
    int status = 0;
    assert_int_equal(pid, waitpid(pid, &status, 0));
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* A job whose shell runs before, writes the id of its last background process to a file, and runs after. The job is cancelled
 * as soon as the file is there. The options go into options[OPTIONS_BYTES], with more keys. */
enum { OPTIONS_BYTES = 4 * PATH_MAX };
static quern_job job_that_writes(const char *name, char *options, const char *before, const char *after, const char *keys)
{
    const char *path = fake_path(name);
    snprintf(options, OPTIONS_BYTES, "{\"shell\":true,\"command\":\"%s echo $! > '%s.new'; mv '%s.new' '%s'; %s\"%s}", before,
             path, path, path, after, keys);
    quern_job job = fake_job("{}");
    job.is_cancelled = file_is_there;
    job.watched = path;
    return job;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void a_cancelled_job_takes_its_grandchildren_with_it(void **state)
{
    (void)state;
    char options[OPTIONS_BYTES];
    quern_job job = job_that_writes("term", options, "sleep 600 &", "wait", ",\"kill_grace_ms\":60000");
    job.is_lost = true;
    assert_int_equal(QUERN_RETRY, fake_job_run(&job, options));
    is_said(&job, "stopped, because its lease was lost");
    assert_int_equal(SIGTERM, signal_that_ended(pid_in(job.watched)));
}

static void who_ignores_sigterm_is_killed_after_the_grace(void **state)
{
    (void)state;
    char options[OPTIONS_BYTES];
    quern_job job = job_that_writes("deaf", options, "trap '' TERM; sleep 600 &", "wait; wait", ",\"kill_grace_ms\":150");
    job.is_late = true;
    int64_t began = now_ms();
    assert_int_equal(QUERN_RETRY, fake_job_run(&job, options));
    is_said(&job, "stopped, because its timeout is over");
    assert_int_equal(SIGKILL, signal_that_ended(pid_in(job.watched)));
    assert_true(now_ms() - began >= 150);
}

static void a_stopped_command_hears_sigterm_too(void **state)
{
    (void)state;
    char options[OPTIONS_BYTES];
    quern_job job =
        job_that_writes("stopped", options, "sleep 600 &", "kill -STOP $$; echo on; wait", ",\"kill_grace_ms\":60000");
    assert_int_equal(QUERN_RETRY, fake_job_run(&job, options));
    is_said(&job, "the pool is stopping");
    assert_int_equal(SIGTERM, signal_that_ended(pid_in(job.watched)));
}

static void what_a_command_leaves_in_its_group_is_killed(void **state)
{
    (void)state;
    char options[OPTIONS_BYTES];
    quern_job job = job_that_writes("left", options, "sleep 600 &", "echo done", "");
    job.is_cancelled = NULL;
    gives(job, options, "done\n"); /* though the grandchild holds the pipe open */
    assert_int_equal(SIGKILL, signal_that_ended(pid_in(job.watched)));
}

static void what_has_left_the_group_does_not_hold_the_job(void **state)
{
    (void)state;
    char options[OPTIONS_BYTES];
    quern_job job = job_that_writes("gone", options, "setsid yes &", "echo done", "");
    job.is_cancelled = NULL;
    assert_int_equal(QUERN_DONE, fake_job_run(&job, options));
    fake_job_clear(&job);
    pid_t pid = pid_in(job.watched);
    kill(pid, SIGKILL);
    signal_that_ended(pid);
}

/* A mask of /proc/PID/status; without 32 and 33, which are glibc's and which it always has ignored in what it spawns. */
static uint64_t mask_in(const char *status, const char *name)
{
    const char *at = strstr(status, name);
    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 16) & ~(UINT64_C(3) << 31);
}

static void the_command_begins_with_plain_signals(void **state)
{
    (void)state;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    signal(SIGPIPE, SIG_IGN);
    quern_job job = fake_job("{}");
    quern_verdict verdict = fake_job_run(&job, "{\"command\":[\"cat\",\"/proc/self/status\"]}");
    signal(SIGPIPE, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(QUERN_DONE, verdict);
    assert_int_equal(0, mask_in(job.result, "SigBlk:"));
    assert_int_equal(0, mask_in(job.result, "SigIgn:"));
    fake_job_clear(&job);
}

/* ── Descriptors ── */

static int descriptors(void)
{
    int count = 0;
    DIR *all = opendir("/proc/self/fd");
    assert_non_null(all);
    while (readdir(all)) count++;
    closedir(all);
    return count;
}

static void no_descriptor_is_left_open_or_handed_on(void **state)
{
    (void)state;
    int before = descriptors(), leaky = open("/dev/null", O_RDONLY); /* as a host's library might: without O_CLOEXEC */
    gives(fake_job("{}"), "{\"command\":[\"ls\",\"/proc/self/fd\"]}", "0\n1\n2\n3\n"); /* 3: ls reads the directory */
    fails(fake_job("{}"), "{\"command\":[\"/nowhere\"]}", QUERN_RETRY, "cannot start");
    close(leaky);
    assert_int_equal(before, descriptors());
}

static void a_host_without_standard_descriptors_is_served_too(void **state)
{
    (void)state;
    int kept[3];
    for (int fd = 0; fd < 3; fd++) {
        kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
        close(fd);
    }
    quern_job job = fake_job("grain");
    quern_verdict verdict = fake_job_run(&job, SHELL("cat; echo oh >&2"));
    for (int fd = 0; fd < 3; fd++) {
        dup2(kept[fd], fd);
        close(kept[fd]);
    }
    assert_int_equal(QUERN_DONE, verdict);
    assert_string_equal("grain", job.result);
    fake_job_clear(&job);
}

static void wrong_options_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *options, *why;
    } wrong[] = {
        {"{}", "command: must be a list of words"},
        {"{\"command\":\"ls\"}", "command: must be a list of words, or one text beside \"shell\": true"},
        {"{\"command\":[]}", "command: must be a list"},
        {"{\"command\":[\"ls\",1]}", "word 2 is not a text"},
        {"{\"command\":[\"\"]}", "the program, is empty"},
        {"{\"command\":[\"/bin/{event}\"]}", "no job may choose the program"},
        {"{\"command\":[\"ls\"],\"shell\":true}", "it must be one text"},
        {"{\"command\":\"echo {id}\",\"shell\":true}", "\"$QUERN_ID\" for {id}"},
        {"{\"command\":[\"ls\"],\"shell\":1}", "shell: must be true or false"},
        {"{\"command\":[\"ls\"],\"input\":\"all\"}", "input: must be \"data\" or \"message\""},
        {"{\"command\":[\"ls\"],\"input\":1}", "input: must be a text"},
        {"{\"command\":[\"ls\"],\"exit\":{\"256\":\"done\"}}", "\"256\" is no exit code"},
        {"{\"command\":[\"ls\"],\"exit\":{\"\":\"done\"}}", "is no exit code"},
        {"{\"command\":[\"ls\"],\"exit\":{\"1\":\"fine\"}}", "exit: 1: must be \"done\", \"retry\" or \"dead\""},
        {"{\"command\":[\"ls\"],\"exit\":[]}", "exit: must be an object"},
        {"{\"command\":[\"ls\"],\"result_max_bytes\":70000}", "result_max_bytes"},
        {"{\"command\":[\"ls\"],\"kill_grace_ms\":-1}", "kill_grace_ms"},
        {"{\"comand\":[\"ls\"]}", "no key \"comand\""},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *text = fake_job_refused(wrong[i].options);
        if (!strstr(text, wrong[i].why)) fail_msg("\"%s\" is not in \"%s\"", wrong[i].why, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_payload_is_on_standard_input),
        cmocka_unit_test(standard_input_cannot_be_written),
        cmocka_unit_test(a_big_payload_arrives_whole_or_is_ignored),
        cmocka_unit_test(placeholders_are_replaced_in_words_only_where_they_stand),
        cmocka_unit_test(the_whole_message_is_on_standard_input_where_that_is_asked),
        cmocka_unit_test(a_message_without_timestamps_has_those_of_its_first_entry),
        cmocka_unit_test(a_message_of_bytes_has_them_in_hex_and_one_that_is_no_json_is_dead),
        cmocka_unit_test(no_value_becomes_an_option),
        cmocka_unit_test(the_job_is_in_the_environment_and_nothing_of_quern_s_own),
        cmocka_unit_test(the_exit_code_decides_by_the_table),
        cmocka_unit_test(a_command_ended_by_a_signal_is_tried_again),
        cmocka_unit_test(the_last_of_standard_error_is_the_reason),
        cmocka_unit_test(a_result_beyond_its_bound_is_cut_and_says_so),
        cmocka_unit_test(a_command_that_cannot_be_started_may_be_there_elsewhere),
        cmocka_unit_test(a_cancelled_job_takes_its_grandchildren_with_it),
        cmocka_unit_test(who_ignores_sigterm_is_killed_after_the_grace),
        cmocka_unit_test(a_stopped_command_hears_sigterm_too),
        cmocka_unit_test(what_a_command_leaves_in_its_group_is_killed),
        cmocka_unit_test(what_has_left_the_group_does_not_hold_the_job),
        cmocka_unit_test(the_command_begins_with_plain_signals),
        cmocka_unit_test(no_descriptor_is_left_open_or_handed_on),
        cmocka_unit_test(a_host_without_standard_descriptors_is_served_too),
        cmocka_unit_test(wrong_options_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
