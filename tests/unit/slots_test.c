/* Webhooks under way, shared among senders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatcher/lane/slots.h"

enum { USERS = 6 };

static struct slots slots;
static struct slots_user users[USERS];
static struct slots_group groups[USERS];
static size_t endings, servings;
static int64_t wishes[USERS]; /* webhooks still to start */
static int order[64];         /* users started, in order */
static size_t started;

/* A sender's turn or own step: starts as many webhooks as allowed. */
static void step(void *arg) {
    struct slots_user *user = arg;
    int number = (int)(user - users);
    while (wishes[number] > 0 && slots_ask(&slots, user)) {
        slots_take(&slots, user);
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
    slots_init(&slots, 8, on_serve_soon, NULL);
    for (int i = 0; i < USERS; i++) {
        groups[i] = (struct slots_group){.ended = on_ended};
        users[i] = (struct slots_user){.group = &groups[i], .served = step, .arg = &users[i]};
        wishes[i] = 0;
    }
    started = endings = servings = 0;
    return 0;
}

static void want(int number, int64_t count) {
    wishes[number] = count;
    step(&users[number]);
}

/* The loop's work after the callbacks. */
static void turn_of_the_loop(void) {
    for (; servings; servings--)
        slots_serve(&slots);
}

static void end_one(int number) {
    slots_give(&slots, &users[number]);
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
    slots_close(&slots, true);
    for (int i = 0; i < 3; i++)
        want(i, 2);
    assert_int_equal(started, 0);
    wishes[0] = 0; /* passes the turn on */
    slots_probe(&slots);
    slots_probe(&slots);
    turn_of_the_loop();
    assert_int_equal(started, 2);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    slots_close(&slots, false);
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
        slots_set_silent(&slots, &groups[i], true);
        want(i, 5);
    }
    assert_int_equal(slots.in_flight, 2);
    want(4, 3);
    want(5, 2);
    assert_int_equal(slots.in_flight, 2 + 3 + 2);
    end_one(4);
    end_one(5);
    assert_int_equal(slots.in_flight, 5); /* no silent group takes the slots */
    end_one(0);
    assert_int_equal(slots.silent_in_flight, 2);
}

static void one_that_answers_again_is_silent_no_more(void **state) {
    (void)state;
    slots_set_silent(&slots, &groups[0], true);
    slots_set_silent(&slots, &groups[1], true);
    want(0, 2);
    want(1, 3);
    assert_int_equal(groups[1].in_flight, 0);
    slots_set_silent(&slots, &groups[1], false);
    turn_of_the_loop();
    assert_int_equal(groups[1].in_flight, 3);
    slots_set_silent(&slots, &groups[1], true);
    assert_int_equal(slots.silent_in_flight, 5);
}

static void one_that_stops_waiting_holds_up_nobody(void **state) {
    (void)state;
    want(0, 6);
    want(1, 2);
    want(2, 1);
    want(3, 1);
    slots_leave(&slots, &users[2]);
    end_one(0);
    assert_int_equal(groups[3].in_flight, 1);
    assert_int_equal(slots.waiting, 0);
}

static void whoever_gives_a_place_back_serves_those_who_wait_but_not_from_within(void **state) {
    (void)state;
    want(0, 8);
    want(1, 2);
    want(2, 1);
    slots_give(&slots, &users[0]);
    assert_int_equal(groups[2].in_flight, 0);
    assert_int_equal(servings, 1);
    want(3, 1); /* does not overtake the queue */
    assert_int_equal(groups[3].in_flight, 0);
    turn_of_the_loop();
    assert_int_equal(groups[2].in_flight, 1);
}

static void each_end_is_told_to_its_group(void **state) {
    (void)state;
    want(0, 2);
    slots_give(&slots, &users[0]);
    assert_int_equal(endings, 1);
}

static bool may_start(int number) {
    int64_t quarter = slots.max / 4, left = slots.max - slots.in_flight;
    const struct slots_group *group = &groups[number];
    return left > 0 && (!group->silent || slots.silent_in_flight < quarter) &&
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
            slots_set_silent(&slots, &groups[number], (seed >> 50) & 1);
        else if (groups[number].in_flight)
            slots_give(&slots, &users[number]);
        turn_of_the_loop();
        int64_t sum = 0, silent = 0, waiting = 0;
        for (int u = 0; u < USERS; u++) {
            sum += groups[u].in_flight;
            silent += groups[u].silent ? groups[u].in_flight : 0;
            waiting += users[u].queued;
            assert_true(users[u].queued || wishes[u] == 0); /* nobody is forgotten */
            assert_false(users[u].queued && may_start(u));  /* no place is left unused */
        }
        assert_true(sum == slots.in_flight && sum <= slots.max && waiting == slots.waiting);
        assert_int_equal(silent, slots.silent_in_flight);
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
