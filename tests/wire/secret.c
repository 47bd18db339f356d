/* SPDX-License-Identifier: MIT */
#include "wire/secret.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/unit.h"

static char path[64];

static int make_file(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/quern-secret-XXXXXX");
    int fd = mkstemp(path);
    if (fd >= 0) close(fd);
    return fd < 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const char *bytes, size_t len, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void a_password_is_the_file_without_its_last_newline(void **state)
{
    static const char *const table[][2] = {{"pike", "pike"},   {"pike\n", "pike"},     {"pike\r\n", "pike"},
                                           {"pi ke", "pi ke"}, {"pike\n\n", "pike\n"}, {" pike", " pike"}};
    static const mode_t modes[] = {0600, 0400, 0440, 0640};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char *secret = NULL;
        quern_error err;
        write_file(table[i][0], strlen(table[i][0]), modes[i % COUNT_OF(modes)]);
        if (secret_read("key", path, &secret, &err)) fail_msg("%s", err.text);
        assert_string_equal(secret, table[i][1]);
        secret_drop(secret);
    }
    secret_drop(NULL);
}

static void refused(const char *at, const char *said)
{
    char *secret = NULL;
    quern_error err = {0};
    assert_int_equal(secret_read("redis_password_file", at, &secret, &err), QUERN_E_CONFIG);
    assert_null(secret);
    assert_int_equal(strncmp(err.text, "redis_password_file: /", 22), 0);
    if (!strstr(err.text, said)) fail_msg("%s", err.text);
    if (strstr(err.text, "pike")) fail_msg("it tells: %s", err.text);
}

static void a_file_that_is_not_for_us_alone_is_refused(void **state)
{
    static const mode_t modes[] = {0604, 0602, 0601, 0620, 0666};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        write_file("pike", 4, modes[i]);
        refused(path, "others may read or change it");
    }
}

static void what_holds_no_password_is_refused(void **state)
{
    char large[1026];
    (void)state;
    memset(large, 'x', sizeof large);
    write_file("", 0, 0600);
    refused(path, "is empty");
    write_file("\n", 1, 0600);
    refused(path, "is empty");
    write_file("pi\0ke", 5, 0600);
    refused(path, "holds a NUL");
    write_file(large, 1025, 0600);
    refused(path, "longer than");
    refused("/nowhere/at/all", "No such file");
    refused("/tmp", "is not a regular file");
    write_file(large, 1024, 0600);
    char *secret;
    assert_int_equal(secret_read("key", path, &secret, NULL), QUERN_OK);
    secret_drop(secret);
}

int main(void)
{
#define FILED(test) cmocka_unit_test_setup_teardown(test, make_file, remove_file)
    const struct CMUnitTest tests[] = {
        FILED(a_password_is_the_file_without_its_last_newline),
        FILED(a_file_that_is_not_for_us_alone_is_refused),
        FILED(what_holds_no_password_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
