/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_job.h"

/* Of "abc": FIPS 180-4's examples and RFC 7693's. */
#define SHA256_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA512_ABC                                                     \
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" \
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
#define BLAKE2B_ABC                                                    \
    "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1" \
    "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"
#define SHA256_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static int setup(void **state)
{
    (void)state;
    fake_directory_make();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_directory_remove();
    return 0;
}

static void digests_to(quern_job job, const char *options, const char *algorithm, const char *digest, int bytes)
{
    quern_verdict verdict = fake_job_run(&job, options);
    if (verdict != QUERN_DONE) fail_msg("verdict %d: %s", verdict, job.error);
    json_t *result = fake_job_result(&job);
    assert_string_equal(algorithm, json_string_value(json_object_get(result, "algorithm")));
    assert_string_equal(digest, json_string_value(json_object_get(result, "digest")));
    assert_int_equal(bytes, json_integer_value(json_object_get(result, "bytes")));
    fake_job_clear(&job);
}

static void known_texts_have_known_digests(void **state)
{
    (void)state;
    digests_to(fake_job("{\"text\":\"abc\"}"), "{}", "sha256", SHA256_ABC, 3);
    digests_to(fake_job("{\"text\":\"abc\"}"), "{\"algorithm\":\"sha512\"}", "sha512", SHA512_ABC, 3);
    digests_to(fake_job("{\"text\":\"abc\"}"), "{\"algorithm\":\"blake2b512\"}", "blake2b512", BLAKE2B_ABC, 3);
    digests_to(fake_job("{\"text\":\"\"}"), "{}", "sha256", SHA256_NOTHING, 0);
}

static void a_job_may_choose_another_algorithm(void **state)
{
    (void)state;
    digests_to(fake_job("{\"text\":\"abc\",\"algorithm\":\"sha256\"}"), "{\"algorithm\":\"sha512\"}", "sha256", SHA256_ABC, 3);
}

static void raw_data_is_digested_as_it_is(void **state)
{
    (void)state;
    quern_job job = fake_job("abc");
    job.is_raw = true;
    digests_to(job, "{}", "sha256", SHA256_ABC, 3);
    job.data = (quern_bytes){NULL, 0};
    digests_to(job, "{}", "sha256", SHA256_NOTHING, 0);
}

static void a_file_is_digested_by_either_name(void **state)
{
    (void)state;
    const char *path = fake_path("abc");
    fake_file(path, "abc", 3);
    char data[2][9000];
    snprintf(data[0], sizeof *data, "{\"path\":\"%s\"}", path);
    int len = snprintf(data[1], sizeof *data, "{\"path_bytes\":\"");
    for (size_t i = 0; path[i]; i++) len += sprintf(data[1] + len, "%02x", (unsigned char)path[i]);
    strcpy(data[1] + len, "\"}");
    digests_to(fake_job(data[0]), "{}", "sha256", SHA256_ABC, 3);
    digests_to(fake_job(data[1]), "{}", "sha256", SHA256_ABC, 3);
}

static void what_cannot_be_digested_is_dead(void **state)
{
    (void)state;
    static const char *const wrong[] = {"{}",
                                        "7",
                                        "{\"text\":7}",
                                        "{\"text\":\"a\",\"path\":\"/b\"}",
                                        "{\"text\":\"a\",\"algorithm\":\"md5\"}",
                                        "{\"text\":\"a\",\"algorithm\":1}",
                                        "{\"path\":\"/nowhere/at/all\"}",
                                        "{\"path\":\"/\"}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        quern_job job = fake_job(wrong[i]);
        assert_int_equal(QUERN_DEAD, fake_job_run(&job, "{}"));
        assert_int_not_equal(0, strlen(job.error));
        fake_job_clear(&job);
    }
}

static void an_unknown_algorithm_is_refused_at_the_start(void **state)
{
    (void)state;
    assert_non_null(strstr(fake_job_refused("{\"algorithm\":\"md5\"}"), "\"md5\" is none of sha256, sha512, blake2b512"));
    assert_non_null(strstr(fake_job_refused("{\"algorithm\":256}"), "algorithm: must be a text"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_have_known_digests),  cmocka_unit_test(a_job_may_choose_another_algorithm),
        cmocka_unit_test(raw_data_is_digested_as_it_is),   cmocka_unit_test(a_file_is_digested_by_either_name),
        cmocka_unit_test(what_cannot_be_digested_is_dead), cmocka_unit_test(an_unknown_algorithm_is_refused_at_the_start),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
