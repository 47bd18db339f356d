/* SPDX-License-Identifier: MIT */
#include "job/member.h"

#include <stdlib.h>

#include "support/unit.h"

static void a_member_is_given_as_it_was_written(void **state)
{
    static const struct {
        const char *object, *value;
    } table[] = {
        {"{\"d\":1.10}", "1.10"},
        {" {\t\"a\" : \"}\" , \"d\" :  [1, {\"d\": 2}, \"]\"] \n}", "[1, {\"d\": 2}, \"]\"]"},
        {"{\"a\":{\"d\":1},\"d\":null,\"z\":[]}", "null"},
        {"{\"d\":\"a\\\"b\\\\\",\"e\":\"d\"}", "\"a\\\"b\\\\\""},
        {"{\"d\":1,\"d\":{ }}", "{ }"},
        {"{\"d\":123456789012345678901234567890}", "123456789012345678901234567890"},
        {"{\"d\":\"\"}", "\"\""},
        {"{\"a\":\"\\\\\",\"d\":true}", "true"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        quern_bytes found = member_bytes(bytes_of(table[i].object), "d");
        if (!bytes_is(found, table[i].value)) fail_msg("%.*s of %s", (int)found.len, found.at, table[i].object);
    }
}

static void what_is_not_there_is_nothing(void **state)
{
    static const char *const objects[] = {"{}", "{\"a\":{\"d\":1}}", "{\"dd\":1}", "{\"a\":\"d\"}", "[]", "", "\"d\""};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(objects); i++) assert_null(member_bytes(bytes_of(objects[i]), "d").at);
}

/* It is only asked of valid JSON; but it must not read behind the end of anything. */
static void a_text_that_ends_early_is_not_overrun(void **state)
{
    static const char whole[] = "{\"a\": [\"\\\"x\"], \"d\": {\"b\": \"c\\\\\"}}";
    (void)state;
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        char *part = malloc(len + !len);
        assert_non_null(part);
        memcpy(part, whole, len);
        quern_bytes found = member_bytes((quern_bytes){part, len}, "d");
        assert_true(!found.at || (found.at >= part && found.at + found.len <= part + len));
        free(part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_is_given_as_it_was_written),
        cmocka_unit_test(what_is_not_there_is_nothing),
        cmocka_unit_test(a_text_that_ends_early_is_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
