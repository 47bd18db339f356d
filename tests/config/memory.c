/* SPDX-License-Identifier: MIT */

/* The 1st, the 2nd, the 3rd … allocation fails, until everything succeeds: each time the code is QUERN_E_MEMORY, nothing has
 * changed, and (under AddressSanitizer) nothing leaks. Allocations of ours are caught by the linker's --wrap, jansson's by its
 * own hook. jansson 2.14 has two faults here. A token that it has no memory for is a syntax error to it, so there
 * QUERN_E_CONFIG is right as well. And when the buffer that its lexer keeps a long token in cannot grow, it goes on without
 * what did not fit and may succeed with a text that is not the file's; those allocations (powers of two from 32) are spared,
 * since nobody outside of jansson can tell. */
#include "config/scratch.h"

#include <jansson.h>
#include <stdbool.h>

#include "config/policy.h"

static size_t fail_at; /* the allocation that fails, counted from 1; 0: none */
static size_t seen;
static bool was_jansson; /* that failed */

static bool is_due(void)
{
    return fail_at && ++seen == fail_at;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);

void *__wrap_malloc(size_t size)
{
    return is_due() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_due() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *at, size_t size)
{
    return is_due() ? NULL : __real_realloc(at, size);
}

static void *jansson_malloc(size_t size)
{
    bool is_lexers = size >= 32 && (size & (size - 1)) == 0;
    if (is_lexers || !is_due()) return __real_malloc(size);
    was_jansson = true;
    return NULL;
}

static quern_verdict run(quern_job *job, void *thread, void *user)
{
    (void)job;
    (void)thread;
    (void)user;
    return QUERN_DONE;
}

static const char file[] = "{\"redis\": \"redis://host\", \"threads\": 4, \"trim\": false, \"required_groups\": [\"a\", \"b\"],"
                           " \"workers\": [{\"event\": \"e\", \"module\": \"m\", \"options\": {\"x\": 1}, \"timeout_ms\": 5}]}";

struct subject {
    quern_config *config;
    struct scratch good, bad;
};

/* Each does one thing and says its code; what succeeded before is done again. */
static int do_new(struct subject *subject)
{
    (void)subject;
    quern_config *config = quern_config_new();
    quern_config_free(config);
    return config ? QUERN_OK : QUERN_E_MEMORY;
}

static int do_load(struct subject *subject)
{
    return quern_config_load(subject->config, subject->good.path, NULL);
}

static int do_bad_load(struct subject *subject)
{
    int code = quern_config_load(subject->config, subject->bad.path, NULL);
    return code == QUERN_E_CONFIG ? QUERN_OK : code;
}

static int do_environment(struct subject *subject)
{
    return quern_config_environment(subject->config, NULL);
}

static int do_set(struct subject *subject)
{
    return quern_config_set(subject->config, "ignored_groups", "[\"c\", \"d\"]", NULL);
}

static int do_copy(struct subject *subject)
{
    quern_config *copy = config_copy(subject->config);
    quern_config_free(copy);
    return copy ? QUERN_OK : QUERN_E_MEMORY;
}

static int do_get(struct subject *subject)
{
    char *text = quern_config_get(subject->config, "workers");
    free(text);
    return text ? QUERN_OK : QUERN_E_MEMORY;
}

static int do_on(struct subject *subject)
{
    char event[32];
    snprintf(event, sizeof event, "event %zu", subject->config->handlers.count);
    return quern_config_on(subject->config,
                           &(quern_handler){.size = sizeof(quern_handler), .event = event, .run = run, .policy = "{}"}, NULL);
}

static int do_policy(struct subject *subject)
{
    struct policy policy;
    return policy_read(subject->config, "{\"timeout_ms\": 5}", &policy, NULL);
}

/* Runs it with one failing allocation after the other; returns how many there were. Success is allowed where the allocation
 * was not needed: that "auto" is no JSON can be seen without memory, too. */
static size_t starve(struct subject *subject, int (*what)(struct subject *subject))
{
    for (size_t nth = 1; nth < 10000; nth++) {
        seen = 0;
        was_jansson = false;
        fail_at = nth;
        int code = what(subject);
        bool has_failed = seen >= nth;
        fail_at = 0;
        if (code == QUERN_OK && !has_failed) return nth - 1;
        if (code != QUERN_E_MEMORY && code != QUERN_OK && !(was_jansson && code == QUERN_E_CONFIG))
            fail_msg("allocation %zu failed, and the code was %s", nth, quern_code_name(code));
    }
    fail_msg("no end");
    return 0;
}

static void whatever_allocation_fails_it_is_said_and_nothing_changes(void **state)
{
    (void)state;
    struct subject subject = {.config = quern_config_new()};
    scratch_write(&subject.good, file, sizeof file - 1);
    scratch_write(&subject.bad, "{\"thread\": 1, \"stream\": 5}", 26);
    setenv("QUERN_CONSUMER", "mill", 1);
    assert_true(starve(&subject, do_new) > 10);
    assert_true(starve(&subject, do_bad_load) > 10);
    assert_null(subject.config->redis);
    assert_true(starve(&subject, do_load) > 50);
    assert_string_equal(value_now(subject.config, "redis"), "redis://host");
    assert_int_equal(subject.config->workers.count, 1);
    assert_true(starve(&subject, do_environment) > 50);
    assert_true(starve(&subject, do_on) > 2);
    assert_int_equal(subject.config->handlers.count, 1);
    assert_true(starve(&subject, do_set) > 3);
    assert_true(starve(&subject, do_copy) > 30);
    assert_true(starve(&subject, do_get) > 3);
    assert_true(starve(&subject, do_policy) > 3);
    unlink(subject.good.path);
    unlink(subject.bad.path);
    quern_config_free(subject.config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_allocation_fails_it_is_said_and_nothing_changes),
    };
    json_set_alloc_funcs(jansson_malloc, free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
