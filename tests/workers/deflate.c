/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "support/fake_job.h"

enum { BIG_BYTES = 700001 };
static unsigned char big[BIG_BYTES];

static int setup(void **state)
{
    (void)state;
    fake_directory_make();
    uint64_t x = 1; /* neither constant nor noise */
    for (size_t i = 0; i < BIG_BYTES; i++) {
        x = x * 6364136223846793005 + 1442695040888963407;
        big[i] = (unsigned char)(i % 7 ? "quern grinds grain\n"[i % 19] : (char)(x >> 56));
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_directory_remove();
    return 0;
}

static quern_job job_of(const char *key, const char *name)
{
    static char text[3][9000];
    static unsigned next;
    char *data = text[next++ % 3];
    snprintf(data, sizeof *text, "{\"%s\":\"%s\"}", key, name);
    return fake_job(data);
}

static void sha256_of(const unsigned char *bytes, size_t len, char *hex)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size;
    assert_int_equal(1, EVP_Digest(bytes, len, digest, &size, EVP_sha256(), NULL));
    for (unsigned i = 0; i < size; i++) sprintf(hex + 2 * i, "%02x", digest[i]);
}

static void a_file_is_measured_as_zlib_itself_would(void **state)
{
    (void)state;
    fake_file(fake_path("big"), big, BIG_BYTES);
    quern_job job = job_of("path", fake_path("big"));
    assert_int_equal(QUERN_DONE, fake_job_run(&job, "{}"));
    json_t *result = fake_job_result(&job);
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    sha256_of(big, BIG_BYTES, hex);
    assert_string_equal(hex, json_string_value(json_object_get(result, "sha256")));
    assert_string_equal(fake_path("big"), json_string_value(json_object_get(result, "path")));
    assert_int_equal(BIG_BYTES, json_integer_value(json_object_get(result, "bytes")));
    assert_true(job.percent == 100);
    uLongf len = compressBound(BIG_BYTES);
    unsigned char *packed = malloc(len);
    assert_int_equal(Z_OK, compress2(packed, &len, big, BIG_BYTES, 9));
    free(packed);
    assert_int_equal(len, json_integer_value(json_object_get(result, "deflated_bytes")));
    double ratio = json_real_value(json_object_get(result, "ratio")), wanted = (double)len / BIG_BYTES;
    assert_true(ratio > wanted - 0.0001 && ratio < wanted + 0.0001);
    fake_job_clear(&job);
}

static void an_empty_file_has_ratio_1(void **state)
{
    (void)state;
    fake_file(fake_path("empty"), "", 0);
    quern_job job = job_of("path", fake_path("empty"));
    assert_int_equal(QUERN_DONE, fake_job_run(&job, "{\"level\":1}"));
    json_t *result = fake_job_result(&job);
    assert_int_equal(0, json_integer_value(json_object_get(result, "bytes")));
    assert_true(json_real_value(json_object_get(result, "ratio")) == 1.0);
    fake_job_clear(&job);
}

static void a_name_that_is_not_utf8_travels_as_hex(void **state)
{
    (void)state;
    const char *path = fake_path("caf\xe9 \x01");
    fake_file(path, "grain", 5);
    char hex[8192] = "";
    for (size_t i = 0; path[i]; i++) sprintf(hex + 2 * i, i % 2 ? "%02x" : "%02X", (unsigned char)path[i]);
    quern_job job = job_of("path_bytes", hex);
    assert_int_equal(QUERN_DONE, fake_job_run(&job, "{}"));
    json_t *result = fake_job_result(&job);
    assert_string_equal(hex, json_string_value(json_object_get(result, "path_bytes")));
    assert_null(json_object_get(result, "path"));
    assert_int_equal(5, json_integer_value(json_object_get(result, "bytes")));
    fake_job_clear(&job);
}

static void dies_of(quern_job job, const char *why)
{
    assert_int_equal(QUERN_DEAD, fake_job_run(&job, "{}"));
    if (!strstr(job.error, why)) fail_msg("\"%s\" is not in \"%s\"", why, job.error);
    assert_null(job.result);
    fake_job_clear(&job);
}

static void what_is_no_regular_file_is_dead(void **state)
{
    (void)state;
    fake_file(fake_path("real"), "x", 1);
    assert_int_equal(0, symlink(fake_path("real"), fake_path("link")));
    assert_int_equal(0, mkfifo(fake_path("pipe"), 0600));
    dies_of(job_of("path", fake_path("missing")), "No such file");
    dies_of(job_of("path", fake_path(".")), "not a regular file");
    dies_of(job_of("path", fake_path("link")), "symbolic link");
    dies_of(job_of("path", fake_path("pipe")), "not a regular file");
    dies_of(job_of("path", fake_path("real/below")), "Not a directory");
}

static void a_job_that_names_no_file_is_dead(void **state)
{
    (void)state;
    static const char *const wrong[] = {"{}",
                                        "[]",
                                        "{\"path\":\"\"}",
                                        "{\"path\":7}",
                                        "{\"path\":\"/a\",\"path_bytes\":\"2f\"}",
                                        "{\"path\":\"/etc/passwd\\u0000.txt\"}",
                                        "{\"path_bytes\":\"2f6\"}",
                                        "{\"path_bytes\":\"2f6g\"}",
                                        "{\"path_bytes\":\"2f00\"}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) dies_of(fake_job(wrong[i]), "path");
    dies_of(fake_job("no JSON"), "JSON");
}

static bool at_the_third_look(quern_job *job)
{
    return job->cancelled_asked >= 3;
}

static void a_cancelled_job_stops_in_the_middle(void **state)
{
    (void)state;
    fake_file(fake_path("long"), big, BIG_BYTES);
    quern_job job = job_of("path", fake_path("long"));
    job.is_cancelled = at_the_third_look;
    assert_int_equal(QUERN_RETRY, fake_job_run(&job, "{}"));
    assert_int_equal(3, job.cancelled_asked);
    assert_non_null(strstr(job.error, "cancelled"));
    fake_job_clear(&job);
}

static void wrong_options_are_refused_by_name(void **state)
{
    (void)state;
    assert_non_null(strstr(fake_job_refused("{\"level\":10}"), "level: must be a whole number from 1 to 9"));
    assert_non_null(strstr(fake_job_refused("{\"level\":\"9\"}"), "level"));
    assert_non_null(strstr(fake_job_refused("{\"lvel\":9}"), "no key \"lvel\""));
    assert_non_null(strstr(fake_job_refused("[]"), "object"));
    assert_non_null(strstr(fake_job_refused("{"), "options"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_measured_as_zlib_itself_would), cmocka_unit_test(an_empty_file_has_ratio_1),
        cmocka_unit_test(a_name_that_is_not_utf8_travels_as_hex),  cmocka_unit_test(what_is_no_regular_file_is_dead),
        cmocka_unit_test(a_job_that_names_no_file_is_dead),        cmocka_unit_test(a_cancelled_job_stops_in_the_middle),
        cmocka_unit_test(wrong_options_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
