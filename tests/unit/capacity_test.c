/* Webhooks under way, shared among senders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatcher/lane/capacity.h"

enum { USERS = 6 };

static struct capacity capacity;
static struct capacity_user users[USERS];
static struct capacity_group groups[USERS];
static size_t endings, servings;
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

static void on_ended(void *arg) {
    (void)arg;
    endings++;
}

static void on_serve_soon(void *arg) {
    (void)arg;
    servings++;
}

static int begin(void **state) {
    (void)state;
    capacity_init(&capacity, 8, on_serve_soon, NULL);
    for (int i = 0; i < USERS; i++) {
        groups[i] = (struct capacity_group){.ended = on_ended};
        users[i] = (struct capacity_user){.group = &groups[i], .served = step, .arg = &users[i]};
        wishes[i] = 0;
    }
    started = endings = servings = 0;
    return 0;
}

static void want(int number, int64_t count) {
    wishes[number] = count;
    step(&users[number]);
}

/* What the loop does when the callbacks are done. */
static void turn_of_the_loop(void) {
    for (; servings; servings--)
        capacity_serve(&capacity);
}

static void end_one(int number) {
    capacity_give(&capacity, &users[number]);
    turn_of_the_loop();
}

static void one_alone_leaves_a_quarter_free(void **state) {
    (void)state;
    want(0, 20);
    assert_int_equal(groups[0].in_flight, 6);
    assert_true(users[0].queued);
    end_one(0);
    assert_int_equal(groups[0].in_flight, 6);
    assert_int_equal(wishes[0], 13);
    want(1, 5);
    assert_int_equal(groups[1].in_flight, 2);
}

static void those_that_wait_are_served_in_turn_one_each(void **state) {
    (void)state;
    want(0, 8);
    want(1, 3);
    want(2, 3);
    want(3, 3);
    for (int i = 0; i < 5; i++)
        end_one(0);
    static const int expected[] = {1, 1, 2, 3, 2, 3};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(order[6 + i], expected[i]);
}

static void while_places_are_closed_one_has_its_turn_at_each_probe(void **state) {
    (void)state;
    capacity_close(&capacity, true);
    for (int i = 0; i < 3; i++)
        want(i, 2);
    assert_int_equal(started, 0);
    wishes[0] = 0; /* it passes its turn on */
    capacity_probe(&capacity);
    capacity_probe(&capacity);
    turn_of_the_loop();
    assert_int_equal(started, 2);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    capacity_close(&capacity, false);
    turn_of_the_loop();
    assert_int_equal(started, 4);
}

static void the_users_of_one_group_share_its_quarter(void **state) {
    (void)state;
    users[1].group = &groups[0];
    want(0, 3);
    want(1, 20);
    assert_int_equal(groups[0].in_flight, 6);
    end_one(0);
    assert_int_equal(groups[0].in_flight, 6);
}

static void the_silent_share_a_quarter(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        capacity_set_silent(&capacity, &groups[i], true);
        want(i, 5);
    }
    assert_int_equal(capacity.in_flight, 2);
    want(4, 3);
    want(5, 2);
    assert_int_equal(capacity.in_flight, 2 + 3 + 2);
    end_one(4);
    end_one(5);
    assert_int_equal(capacity.in_flight, 5); /* nobody silent takes them */
    end_one(0);
    assert_int_equal(capacity.silent_in_flight, 2);
}

static void one_that_answers_again_is_silent_no_more(void **state) {
    (void)state;
    capacity_set_silent(&capacity, &groups[0], true);
    capacity_set_silent(&capacity, &groups[1], true);
    want(0, 2);
    want(1, 3);
    assert_int_equal(groups[1].in_flight, 0);
    capacity_set_silent(&capacity, &groups[1], false);
    turn_of_the_loop();
    assert_int_equal(groups[1].in_flight, 3);
    capacity_set_silent(&capacity, &groups[1], true);
    assert_int_equal(capacity.silent_in_flight, 5);
}

static void one_that_stops_waiting_holds_up_nobody(void **state) {
    (void)state;
    want(0, 6);
    want(1, 2);
    want(2, 1);
    want(3, 1);
    capacity_leave(&capacity, &users[2]);
    end_one(0);
    assert_int_equal(groups[3].in_flight, 1);
    assert_int_equal(capacity.waiting, 0);
}

static void whoever_gives_a_place_back_serves_those_who_wait_but_not_from_within(void **state) {
    (void)state;
    want(0, 8);
    want(1, 2);
    want(2, 1);
    capacity_give(&capacity, &users[0]);
    assert_int_equal(groups[2].in_flight, 0);
    assert_int_equal(servings, 1);
    want(3, 1); /* it does not overtake those that wait */
    assert_int_equal(groups[3].in_flight, 0);
    turn_of_the_loop();
    assert_int_equal(groups[2].in_flight, 1);
}

static void each_end_is_told_to_its_group(void **state) {
    (void)state;
    want(0, 2);
    capacity_give(&capacity, &users[0]);
    assert_int_equal(endings, 1);
}

static bool may_start(int number) {
    int64_t quarter = capacity.max / 4, left = capacity.max - capacity.in_flight;
    const struct capacity_group *group = &groups[number];
    return left > 0 && (!group->silent || capacity.silent_in_flight < quarter) &&
           (group->in_flight < quarter || left > quarter);
}

static void the_bounds_hold_whatever_comes_and_goes(void **state) {
    (void)state;
    uint64_t seed = 7;
    for (int i = 0; i < 40000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        int number = (int)((seed >> 33) % USERS), what = (int)(seed >> 60);
        if (what >= 8)
            want(number, (int64_t)((seed >> 40) % 10));
        else if (what == 0)
            capacity_set_silent(&capacity, &groups[number], (seed >> 50) & 1);
        else if (groups[number].in_flight)
            capacity_give(&capacity, &users[number]);
        turn_of_the_loop();
        int64_t sum = 0, silent = 0, waiting = 0;
        for (int u = 0; u < USERS; u++) {
            sum += groups[u].in_flight;
            silent += groups[u].silent ? groups[u].in_flight : 0;
            waiting += users[u].queued;
            assert_true(users[u].queued || wishes[u] == 0); /* nobody is forgotten */
            assert_false(users[u].queued && may_start(u));  /* no place is left unused */
        }
        assert_true(sum == capacity.in_flight && sum <= capacity.max &&
                    waiting == capacity.waiting);
        assert_int_equal(silent, capacity.silent_in_flight);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, begin)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(one_alone_leaves_a_quarter_free),
        TEST(those_that_wait_are_served_in_turn_one_each),
        TEST(while_places_are_closed_one_has_its_turn_at_each_probe),
        TEST(the_users_of_one_group_share_its_quarter),
        TEST(the_silent_share_a_quarter),
        TEST(one_that_answers_again_is_silent_no_more),
        TEST(one_that_stops_waiting_holds_up_nobody),
        TEST(whoever_gives_a_place_back_serves_those_who_wait_but_not_from_within),
        TEST(each_end_is_told_to_its_group),
        TEST(the_bounds_hold_whatever_comes_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
