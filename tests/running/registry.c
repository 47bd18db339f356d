/* SPDX-License-Identifier: MIT */
#include "run/registry.h"

#include "support/unit.h"

enum { HANDLERS_MAX = 200 };

static quern_verdict run(quern_job *job, void *thread, void *user)
{
    (void)job, (void)thread, (void)user;
    return QUERN_DONE;
}

/* Handlers for these events; user says which table they belong to. */
static struct registry *open_for(const char *const *events, uint32_t count, void *user, struct registry *replaced)
{
    quern_handler handlers[HANDLERS_MAX];
    struct handler_setup setups[HANDLERS_MAX];
    struct policy policies[HANDLERS_MAX] = {0}, rest = {0};
    for (uint32_t i = 0; i < count; i++) {
        handlers[i] = (quern_handler){.size = sizeof handlers[i], .event = events[i], .run = run, .user = user};
        policies[i].timeout_ms = i;
        setups[i] = (struct handler_setup){.handler = &handlers[i], .policies = &policies[i]};
    }
    struct registry_setup setup = {.handlers = setups, .count = count, .queues = 1, .policies = &rest, .unhandled = &(int){0}};
    if (!replaced) return registry_open(&setup);
    return registry_replace(replaced, &setup) ? replaced : NULL;
}

static struct table *hold(struct registry *registry)
{
    struct table *held = NULL, *old = NULL;
    assert_true(registry_hold(registry, &held, &old));
    assert_null(old);
    assert_false(registry_hold(registry, &held, &old));
    return held;
}

static void is_found(struct table *table, const char *event, const char *by)
{
    struct handler *handler = table_find(table, bytes_of(event));
    if (!handler != !by) fail_msg("'%s': %s", event, handler ? handler->is.event : "nobody");
    if (by) assert_string_equal(by, handler->is.event);
}

static void an_event_finds_its_handler_or_the_one_for_all(void **state)
{
    static const char *const events[] = {"image.resize", "image", "*", "", "a*", "gr\xc3\xb6\xc3\x9f\x65"};
    (void)state;
    struct registry *registry = open_for(events, 6, NULL, NULL);
    struct table *table = hold(registry);
    assert_int_equal(6, table_count(table));
    is_found(table, "image.resize", "image.resize");
    is_found(table, "image", "image");
    is_found(table, "", "");
    is_found(table, "a*", "a*");
    is_found(table, "ab", "*");
    is_found(table, "*", "*"); /* an event of that name is one that nobody names */
    is_found(table, "gr\xc3\xb6\xc3\x9f\x65", "gr\xc3\xb6\xc3\x9f\x65");
    is_found(table, "image.resize.more", "*");
    is_found(table, "imag", "*");
    assert_ptr_equal(table_at(table, 2), table_find(table, UNIT_BYTES("image\0")));
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(i, table_at(table, i)->index);
        assert_int_equal(i, table_at(table, i)->policies[0].timeout_ms);
    }
    registry_drop(table);
    registry_close(registry);
}

static void without_one_for_all_a_strange_event_finds_nobody(void **state)
{
    static const char *const events[] = {"a"};
    (void)state;
    for (uint32_t count = 0; count < 2; count++) {
        struct registry *registry = open_for(events, count, NULL, NULL);
        struct table *table = hold(registry);
        is_found(table, "a", count ? "a" : NULL);
        is_found(table, "b", NULL);
        is_found(table, "*", NULL);
        registry_drop(table);
        registry_close(registry);
    }
}

static void many_handlers_are_told_apart(void **state)
{
    (void)state;
    char names[HANDLERS_MAX][16];
    const char *events[HANDLERS_MAX];
    for (uint32_t count = 1; count <= HANDLERS_MAX; count = count * 3 / 2 + 1) {
        for (uint32_t i = 0; i < count; i++) {
            snprintf(names[i], sizeof names[i], "event-%u", i * 7919);
            events[i] = names[i];
        }
        struct registry *registry = open_for(events, count, NULL, NULL);
        struct table *table = hold(registry);
        for (uint32_t i = 0; i < count; i++) is_found(table, names[i], names[i]);
        is_found(table, "event", NULL);
        registry_drop(table);
        registry_close(registry);
    }
}

static void a_held_table_outlives_its_replacement_and_the_registry(void **state)
{
    static const char *const before[] = {"before"}, *const after[] = {"after", "*"};
    (void)state;
    struct registry *registry = open_for(before, 1, NULL, NULL);
    struct table *held = hold(registry), *own = hold(registry), *old = NULL;
    assert_true(registry_is_current(registry, held));
    assert_non_null(open_for(after, 2, NULL, registry));
    assert_false(registry_is_current(registry, held));
    is_found(held, "before", "before");
    assert_true(registry_hold(registry, &held, &old));
    assert_true(registry_is_current(registry, held));
    assert_ptr_equal(own, old);
    is_found(held, "before", "*");
    registry_drop(old);
    registry_close(registry);
    is_found(own, "before", "before");
    is_found(held, "after", "after");
    registry_drop(own);
    registry_drop(held);
    registry_drop(NULL);
}

static void a_mean_follows_what_jobs_take(void **state)
{
    (void)state;
    struct handler handler = {0};
    handler_took(&handler, 1000, 1);
    assert_int_equal(1000, handler.mean_ns);
    for (int i = 0; i < 200; i++) handler_took(&handler, 1000000, 1);
    assert_in_range(handler.mean_ns, 999000, 1000000);
    for (int i = 0; i < 6400; i++) handler_took(&handler, 0, (uint64_t)i); /* short ones: each sixteenth counts */
    assert_in_range(handler.mean_ns, 1, 100); /* 0 would mean: unknown */
}

/* ── while it is replaced ────────────────────────────────────────────────────────────────────────────────────────── */

enum { FINDERS = 4, REPLACEMENTS = 3000 };
static const char *const all_events[] = {"a", "b", "c", "*"};

struct traffic {
    struct registry *registry;
    _Atomic bool is_over;
    _Atomic uint32_t wrong, changes;
};

static void replace(struct traffic *traffic)
{
    for (uintptr_t i = 1; i <= REPLACEMENTS; i++)
        if (!open_for(all_events, 1 + (uint32_t)i % 4, (void *)i, traffic->registry)) traffic->wrong++;
    atomic_store(&traffic->is_over, true);
}

/* What is found stays whole, and of one table, until the next hold. */
static void find(struct traffic *traffic)
{
    struct table *held = NULL, *old;
    uintptr_t last = 0;
    registry_thread_begin();
    while (!atomic_load(&traffic->is_over)) {
        old = NULL;
        if (registry_hold(traffic->registry, &held, &old)) {
            atomic_fetch_add(&traffic->changes, 1);
            if (old && table_at(old, 0)->is.event[0] != 'a') atomic_fetch_add(&traffic->wrong, 1);
            registry_drop(old);
        }
        struct handler *handler = table_find(held, bytes_of("a")), *other = table_find(held, bytes_of("c"));
        uintptr_t number = (uintptr_t)handler->is.user;
        bool is_wrong = number < last || strcmp(handler->is.event, "a") || (other && (uintptr_t)other->is.user != number) ||
                        table_count(held) != 1 + number % 4 || !other != (number % 4 < 2);
        if (is_wrong) atomic_fetch_add(&traffic->wrong, 1);
        handler_took(handler, 5, 0);
        last = number;
    }
    registry_drop(held);
    registry_thread_end();
}

static void replace_or_find(void *given, unsigned number)
{
    if (number)
        find(given);
    else
        replace(given);
}

static void a_table_is_replaced_under_those_who_use_it(void **state)
{
    (void)state;
    struct traffic traffic = {.registry = open_for(all_events, 1, NULL, NULL)};
    unit_together(1 + FINDERS, replace_or_find, &traffic);
    assert_int_equal(0, traffic.wrong);
    assert_true(traffic.changes >= FINDERS);
    registry_close(traffic.registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_finds_its_handler_or_the_one_for_all),
        cmocka_unit_test(without_one_for_all_a_strange_event_finds_nobody),
        cmocka_unit_test(many_handlers_are_told_apart),
        cmocka_unit_test(a_held_table_outlives_its_replacement_and_the_registry),
        cmocka_unit_test(a_mean_follows_what_jobs_take),
        cmocka_unit_test(a_table_is_replaced_under_those_who_use_it),
    };
    registry_thread_begin();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    registry_thread_end();
    return failed;
}
