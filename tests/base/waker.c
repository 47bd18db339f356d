/* SPDX-License-Identifier: MIT */
#include "base/waker.h"

#include <poll.h>
#include <unistd.h>

#include "support/unit.h"

enum { ROUNDS = 100000 };

static bool is_readable(int fd)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 1;
}

static void many_wakes_are_one_until_it_is_cleared(void **state)
{
    (void)state;
    struct waker waker;
    assert_int_equal(0, waker_open(&waker));
    assert_false(is_readable(waker.fd));
    for (int i = 0; i < 5; i++) waker_wake(&waker);
    assert_true(is_readable(waker.fd));
    waker_clear(&waker);
    assert_false(is_readable(waker.fd));
    waker_clear(&waker);
    waker_wake(&waker);
    assert_true(is_readable(waker.fd));
    waker_close(&waker);
    waker_close(&waker);
}

static void waiting_tells_the_waker_from_the_descriptor(void **state)
{
    (void)state;
    struct waker waker;
    int ends[2];
    assert_int_equal(0, waker_open(&waker));
    assert_int_equal(0, pipe(ends));
    assert_false(waker_wait(&waker, ends[0], 0));
    assert_int_equal(1, write(ends[1], "x", 1));
    assert_true(waker_wait(&waker, ends[0], CLOCK_NEVER));
    assert_false(waker_wait(&waker, -1, 0));
    waker_wake(&waker);
    assert_true(waker_wait(&waker, ends[0], CLOCK_NEVER)); /* both */
    assert_false(is_readable(waker.fd));                   /* and the wake is taken */
    waker_wake(&waker);
    assert_false(waker_wait(&waker, -1, CLOCK_NEVER));
    close(ends[0]);
    close(ends[1]);
    waker_close(&waker);
}

struct table_tennis {
    struct waker wakers[2];
    _Atomic uint32_t turn; /* even: player 0 */
    _Atomic bool is_stuck;
    int64_t deadline_ns;
};

static void play(void *given, unsigned number)
{
    struct table_tennis *game = given;
    for (uint32_t round = number; round < ROUNDS; round += 2) {
        while (atomic_load(&game->turn) != round && !atomic_load(&game->is_stuck)) {
            waker_wait(&game->wakers[number], -1, game->deadline_ns);
            if (unit_is_over(game->deadline_ns)) atomic_store(&game->is_stuck, true);
        }
        atomic_store(&game->turn, round + 1);
        waker_wake(&game->wakers[1 - number]);
    }
}

static void no_wake_is_lost_in_a_hundred_thousand(void **state)
{
    (void)state;
    struct table_tennis game = {.deadline_ns = unit_deadline_ns()};
    for (int i = 0; i < 2; i++) assert_int_equal(0, waker_open(&game.wakers[i]));
    unit_together(2, play, &game);
    assert_false(game.is_stuck);
    assert_int_equal(ROUNDS, game.turn);
    for (int i = 0; i < 2; i++) waker_close(&game.wakers[i]);
}

/* Several wake without waiting for each other: the last wake counts, whatever it overlaps with. */
struct crowd {
    struct waker waker;
    _Atomic uint32_t said;
    _Atomic bool is_stuck;
    int64_t deadline_ns;
};

static void say_or_listen(void *given, unsigned number)
{
    struct crowd *crowd = given;
    if (number) {
        for (int i = 0; i < ROUNDS; i++) {
            atomic_fetch_add(&crowd->said, 1);
            waker_wake(&crowd->waker);
        }
        return;
    }
    while (atomic_load(&crowd->said) < 3 * ROUNDS && !crowd->is_stuck) {
        waker_wait(&crowd->waker, -1, crowd->deadline_ns);
        if (unit_is_over(crowd->deadline_ns)) crowd->is_stuck = true;
    }
}

static void the_last_of_three_voices_is_heard(void **state)
{
    (void)state;
    struct crowd crowd = {.deadline_ns = unit_deadline_ns()};
    assert_int_equal(0, waker_open(&crowd.waker));
    unit_together(4, say_or_listen, &crowd);
    assert_false(crowd.is_stuck);
    waker_close(&crowd.waker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_wakes_are_one_until_it_is_cleared),
        cmocka_unit_test(waiting_tells_the_waker_from_the_descriptor),
        cmocka_unit_test(no_wake_is_lost_in_a_hundred_thousand),
        cmocka_unit_test(the_last_of_three_voices_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
