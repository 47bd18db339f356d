/* SPDX-License-Identifier: MIT */

/* What is refused, and what is found and mended: directories, sockets, programs, logs. */
#include "embed/yard.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "embed/ask.h"
#include "embed/place.h"

enum { START_MS = 8000 };

static void expect_refusal(const struct yard *yard, const char *dir, const char *words)
{
    struct user user = yard_user(yard, dir, START_MS, NULL);
    user_is_told(&user, words);
    assert_int_equal(yard_count(yard, "--embed-keeper"), 0);
}

static void a_path_too_long_for_a_socket_is_refused(void **state)
{
    struct yard *yard = *state;
    char dir[200];
    snprintf(dir, sizeof dir, "%s/%0120d", yard->top, 7);
    expect_refusal(yard, dir, "a Unix socket's at most 107: choose a shorter state_dir, of at most 96 bytes");
    assert_int_equal(access(dir, F_OK), -1);
}

static void the_longest_possible_path_works(void **state)
{
    struct yard *yard = *state;
    char dir[97];
    int len = snprintf(dir, sizeof dir, "%s/", yard->top);
    memset(dir + len, 'x', 96 - (size_t)len);
    dir[96] = 0;
    struct user user = yard_user(yard, dir, START_MS, NULL);
    user_opens(&user);
    user_leaves(&user);
    wait_for(yard_count(yard, "") == 0);
}

static void a_directory_where_others_may_write_is_refused(void **state)
{
    struct yard *yard = *state;
    mkdir(yard->dir, 0700);
    chmod(yard->dir, 0777);
    expect_refusal(yard, NULL, "others may write to");
    chmod(yard->dir, 0720);
    expect_refusal(yard, NULL, "others may write to");
}

static void a_linked_directory_is_refused(void **state)
{
    struct yard *yard = *state;
    char link[100];
    mkdir(yard->dir, 0700);
    snprintf(link, sizeof link, "%s/link", yard->top);
    assert_int_equal(symlink(yard->dir, link), 0);
    expect_refusal(yard, link, "is a symbolic link");
    strcat(link, "/");
    expect_refusal(yard, link, "is a symbolic link");
}

static void somebody_elses_directory_is_refused(void **state)
{
    struct yard *yard = *state;
    mkdir(yard->dir, 0700);
    if (geteuid() != 0 || chown(yard->dir, 65534, 65534)) skip(); /* only root can give one away */
    expect_refusal(yard, NULL, "belongs to user 65534");
}

static void without_a_server_program_the_error_names_the_package(void **state)
{
    struct yard *yard = *state;
    struct user user = yard_user(yard, NULL, START_MS, "/nonexistent");
    user_is_told(&user, "install the Debian package redis-tools");
}

static void a_server_that_ends_at_once_is_reported_with_its_last_words(void **state)
{
    struct yard *yard = *state;
    char path[120];
    mkdir(yard->search, 0700);
    snprintf(path, sizeof path, "%s/redis-server", yard->search);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    dprintf(fd, "#!/bin/sh\necho the millpond is dry\nexit 1\n");
    close(fd);
    struct user users[] = {yard_user(yard, NULL, START_MS, yard->search), yard_user(yard, NULL, START_MS, yard->search)};
    user_is_told(&users[0], "the millpond is dry");
    user_is_told(&users[1], "the millpond is dry");
}

static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address) | listen(fd, 5), 0);
    return fd;
}

static void a_stale_socket_and_stale_lock_files_do_no_harm(void **state)
{
    struct yard *yard = *state;
    const char *const names[] = {"users.lock", "server.lock", "keeper.lock"};
    char path[160];
    mkdir(yard->dir, 0700);
    close(listen_on(yard->socket)); /* the file stays */
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", yard->dir, names[i]);
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
    struct user user = yard_user(yard, NULL, START_MS, NULL);
    user_opens(&user);
    assert_true(yard_answers(yard, "PING", "+PONG"));
    user_leaves(&user);
}

static void the_socket_of_a_killed_server_is_removed_at_the_end(void **state)
{
    struct yard *yard = *state;
    struct user user = yard_user(yard, NULL, START_MS, NULL);
    user_opens(&user);
    pid_t server = yard_server(yard), keeper = yard_keeper(yard);
    yard_signal(yard, keeper, SIGSTOP); /* no restart in between */
    yard_signal(yard, server, SIGKILL);
    user_leaves(&user);
    assert_int_equal(access(yard->socket, F_OK), 0);
    yard_signal(yard, keeper, SIGCONT);
    wait_for(yard_is_quiet(yard));
}

static void a_large_log_is_emptied_at_the_start(void **state)
{
    struct yard *yard = *state;
    struct stat status;
    char path[160];
    mkdir(yard->dir, 0700);
    snprintf(path, sizeof path, "%s/" PLACE_LOG, yard->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 64 << 20), 0);
    close(fd);
    struct user user = yard_user(yard, NULL, START_MS, NULL);
    user_opens(&user);
    assert_true(stat(path, &status) == 0 && status.st_size < 1 << 20);
    user_leaves(&user);
}

/* Does the process have the file that fd is? */
static bool process_has(pid_t pid, int fd)
{
    struct stat wanted, status;
    char path[300];
    bool has = false;
    assert_int_equal(fstat(fd, &wanted), 0);
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        has |= fstatat(dirfd(dir), entry->d_name, &status, 0) == 0 && status.st_ino == wanted.st_ino &&
               status.st_dev == wanted.st_dev;
    closedir(dir);
    return has;
}

static void keeper_and_server_hold_nobody_elses_descriptors(void **state)
{
    struct yard *yard = *state;
    int stray[2];
    assert_int_equal(pipe(stray), 0); /* not closed on exec: the user inherits it */
    struct user user = yard_user(yard, NULL, START_MS, NULL);
    user_opens(&user);
    assert_true(process_has(user.pid, stray[0]));
    const pid_t pids[] = {yard_keeper(yard), yard_server(yard)};
    for (int i = 0; i < 2; i++) assert_false(process_has(pids[i], stray[0]) || process_has(pids[i], user.out));
    close(stray[0]);
    close(stray[1]);
    user_leaves(&user);
}

static void a_place_is_where_the_environment_says(void **state)
{
    struct yard *yard = *state;
    struct place place;
    char xdg[100], list[200], want[120];
    snprintf(xdg, sizeof xdg, "%s/xdg", yard->top);
    snprintf(list, sizeof list, "%s/first:%s/second", yard->top, yard->top);
    setenv("XDG_STATE_HOME", xdg, 1);
    unsetenv("STATE_DIRECTORY");
    assert_int_equal(place_open(&place, NULL, NULL), QUERN_OK);
    snprintf(want, sizeof want, "%s/quern/redis.sock", xdg);
    assert_string_equal(place.socket, want);
    place_close(&place);
    setenv("STATE_DIRECTORY", list, 1);
    assert_int_equal(place_open(&place, NULL, NULL), QUERN_OK);
    snprintf(want, sizeof want, "%s/first", yard->top);
    assert_string_equal(place.dir, want);
    place_close(&place);
    unsetenv("STATE_DIRECTORY");
    setenv("XDG_STATE_HOME", "relative", 1); /* not valid: as if it were not set */
    setenv("HOME", yard->top, 1);
    assert_int_equal(place_open(&place, NULL, NULL), QUERN_OK);
    snprintf(want, sizeof want, "%s/.local/state/quern", yard->top);
    assert_string_equal(place.dir, want);
    place_close(&place);
}

/* As the service manager makes it for a user that exists while the service runs. */
static void the_directory_of_a_service_may_be_a_link(void **state)
{
    struct yard *yard = *state;
    struct place place;
    char link[100], want[120];
    snprintf(link, sizeof link, "%s/link", yard->top);
    snprintf(want, sizeof want, "%s/private", yard->top);
    assert_int_equal(mkdir(want, 0700), 0);
    assert_int_equal(symlink("private", link), 0);
    setenv("STATE_DIRECTORY", link, 1);
    assert_int_equal(place_open(&place, NULL, NULL), QUERN_OK);
    assert_string_equal(place.dir, want);
    place_close(&place);
    assert_int_equal(place_open(&place, link, NULL), QUERN_E_CONFIG);
    chmod(want, 0777);
    assert_int_equal(place_open(&place, NULL, NULL), QUERN_E_CONFIG);
    unsetenv("STATE_DIRECTORY");
}

/* What ask_ping() makes of a server that says these words: answered by a connection whose words are there already. */
static enum ask_answer answer_to(const struct yard *yard, const char *words)
{
    int server = listen_on(yard->socket);
    pid_t pid = fork(); /* this program has one thread */
    assert_true(pid >= 0);
    if (pid == 0) {
        char ping[32];
        int fd = accept(server, NULL, NULL);
        if (read(fd, ping, sizeof ping) < 0 || write(fd, words, strlen(words)) < 0) _exit(1);
        if (!*words) pause(); /* says nothing, until it is ended */
        _exit(0);
    }
    enum ask_answer answer = ask_ping(yard->socket, clock_deadline_ns(clock_now_ns(), *words ? 5000 : 50));
    kill(pid, SIGKILL); /* our child, not yet reaped */
    wait_for(waitpid(pid, NULL, WNOHANG) == pid);
    close(server);
    unlink(yard->socket);
    return answer;
}

static void a_ping_tells_loading_from_serving_and_from_silence(void **state)
{
    struct yard *yard = *state;
    mkdir(yard->dir, 0700);
    assert_int_equal(ask_ping(yard->socket, 0), ASK_NOBODY);
    assert_int_equal(answer_to(yard, "+PONG\r\n"), ASK_SERVING);
    assert_int_equal(answer_to(yard, "-LOADING Redis is loading the dataset in memory\r\n"), ASK_LOADING);
    assert_int_equal(answer_to(yard, "-MISCONF Errors writing to the AOF file\r\n"), ASK_SERVING);
    assert_int_equal(answer_to(yard, ""), ASK_SILENCE);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, yard_setup, yard_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_path_too_long_for_a_socket_is_refused),
        CASE(the_longest_possible_path_works),
        CASE(a_directory_where_others_may_write_is_refused),
        CASE(a_linked_directory_is_refused),
        CASE(somebody_elses_directory_is_refused),
        CASE(without_a_server_program_the_error_names_the_package),
        CASE(a_server_that_ends_at_once_is_reported_with_its_last_words),
        CASE(a_stale_socket_and_stale_lock_files_do_no_harm),
        CASE(the_socket_of_a_killed_server_is_removed_at_the_end),
        CASE(a_large_log_is_emptied_at_the_start),
        CASE(keeper_and_server_hold_nobody_elses_descriptors),
        CASE(a_place_is_where_the_environment_says),
        CASE(the_directory_of_a_service_may_be_a_link),
        CASE(a_ping_tells_loading_from_serving_and_from_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
