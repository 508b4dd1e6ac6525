/* Webhooks under way, shared among senders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatcher/capacity.h"

enum { USERS = 6 };

static struct capacity capacity;
static struct capacity_user users[USERS];
static int64_t wishes[USERS]; /* webhooks that it still wants to start */
static int order[64];         /* who started, in order */
static size_t started;

/* What a sender does with a turn, and at its own step: as many as it may. */
static void step(void *arg) {
    struct capacity_user *user = arg;
    int number = (int)(user - users);
    while (wishes[number] > 0 && capacity_ask(&capacity, user)) {
        capacity_take(&capacity, user);
        wishes[number]--;
        order[started++ % 64] = number;
    }
}

static int begin(void **state) {
    (void)state;
    capacity = (struct capacity){.max = 8};
    for (int i = 0; i < USERS; i++) {
        users[i] = (struct capacity_user){.served = step, .arg = &users[i]};
        wishes[i] = 0;
    }
    started = 0;
    return 0;
}

static void want(int number, int64_t count) {
    wishes[number] = count;
    step(&users[number]);
}

static void end_one(int number) {
    capacity_give(&capacity, &users[number]);
    capacity_serve(&capacity);
}

static void one_alone_may_take_all(void **state) {
    (void)state;
    want(0, 20);
    assert_int_equal(users[0].in_flight, 8);
    assert_true(users[0].queued);
    end_one(0);
    assert_int_equal(users[0].in_flight, 8);
    assert_int_equal(wishes[0], 11);
}

static void those_that_wait_are_served_in_turn_one_each(void **state) {
    (void)state;
    want(0, 8);
    want(1, 3);
    want(2, 3);
    want(3, 3);
    for (int i = 0; i < 6; i++)
        end_one(0);
    static const int expected[] = {1, 2, 3, 1, 2, 3};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(order[8 + i], expected[i]);
}

static void one_with_a_quarter_of_all_waits_behind_those_with_less(void **state) {
    (void)state;
    want(0, 100); /* takes all, and waits first in the queue for more */
    want(1, 1);
    end_one(0);
    assert_int_equal(users[1].in_flight, 1);
    assert_int_equal(users[0].in_flight, 7);
    end_one(0); /* nobody with less waits any more */
    assert_int_equal(users[0].in_flight, 7);
}

static void one_that_stops_waiting_holds_up_nobody(void **state) {
    (void)state;
    want(0, 8);
    want(1, 1);
    want(2, 1);
    capacity_leave(&capacity, &users[1]);
    end_one(0);
    assert_int_equal(users[2].in_flight, 1);
    assert_int_equal(capacity.waiting, 0);
}

static void the_bound_holds_whatever_comes_and_goes(void **state) {
    (void)state;
    uint64_t seed = 7;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        int number = (int)((seed >> 33) % USERS);
        if ((seed >> 62) & 1)
            want(number, (int64_t)((seed >> 40) % 10));
        else if (users[number].in_flight)
            end_one(number);
        int64_t sum = 0, waiting = 0;
        for (int u = 0; u < USERS; u++) {
            sum += users[u].in_flight;
            waiting += users[u].queued;
            assert_true(users[u].queued || wishes[u] == 0); /* nobody is forgotten */
        }
        assert_true(sum == capacity.in_flight && sum <= capacity.max && waiting == capacity.waiting);
        assert_true(waiting == 0 || sum == capacity.max); /* no room is left unused */
    }
}

#define TEST(name) cmocka_unit_test_setup(name, begin)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(one_alone_may_take_all),
        TEST(those_that_wait_are_served_in_turn_one_each),
        TEST(one_with_a_quarter_of_all_waits_behind_those_with_less),
        TEST(one_that_stops_waiting_holds_up_nobody),
        TEST(the_bound_holds_whatever_comes_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
