/* A lane with several events in flight: what holds up what, and what a successor sends again. */
#include "tests/unit/lane_fixture.h"

static void without_order_a_retry_holds_up_nothing_else(UNUSED void **state) {
    concurrent(SPEC_NONE, 3);
    start_new(1, 0);
    start_new(2, 0);
    start_new(3, 0);
    assert_int_equal(due_ms(), INT64_MAX); /* three are under way */
    finish(1, 503);
    start_new(4, 0);
    finish(2, 200);
    finish(3, 200);
    finish(4, 200);
    assert_true(lane.position == 0 && lane.delivered == 3);
    attempt(1, 200);
    assert_true(lane.position == 4 && lane.last == 4);
}

static void by_key_only_that_key_waits(UNUSED void **state) {
    int64_t cursor;
    concurrent(SPEC_KEY, 4);
    start_new(1, 100);
    assert_false(lane_found(&lane, 2, 1, 100, false)); /* its key is busy */
    start_new(3, 200);
    finish(3, 200);
    finish(1, 503);
    assert_int_equal(next(&cursor), LANE_SCAN); /* 2 does not overtake 1 */
    attempt(1, 200);
    assert_int_equal(next(&cursor), LANE_SEND);
    assert_int_equal(cursor, 2);
    lane_start(&lane, 2);
    finish(2, 200);
    assert_int_equal(lane.position, 3);
}

static void the_endpoint_backs_off_as_a_whole_when_it_is_not_there_and_is_probed_by_one(UNUSED void **state) {
    int64_t cursor;
    concurrent(SPEC_NONE, 8);
    for (int64_t c = 1; c <= 8; c++)
        start_new(c, 0);
    for (int64_t c = 1; c <= 8; c++)
        finish(c, 0);
    assert_in_range(due_ms() - now_ms, 500, 1000); /* eight failures of one moment are one */
    now_ms += 5000;
    assert_int_equal(next(&cursor), LANE_SEND);
    lane_start(&lane, cursor);
    assert_int_equal(due_ms(), INT64_MAX); /* one probe */
    finish(cursor, 0);
    assert_in_range(due_ms() - now_ms, 1000, 2000);
    now_ms += 5000;
    assert_int_equal(next(&cursor), LANE_SEND);
    lane_start(&lane, cursor);
    finish(cursor, 200);
    for (int i = 0; i < 7; i++) { /* all at once again */
        assert_int_equal(next(&cursor), LANE_SEND);
        lane_start(&lane, cursor);
    }
}

static void what_is_settled_out_of_order_is_not_sent_again_after_a_hand_over(UNUSED void **state) {
    struct token token;
    concurrent(SPEC_NONE, 8);
    for (int64_t c = 1; c <= 6; c++)
        start_new(c * 10, 0);
    finish(20, 200);
    finish(30, 200);
    finish(50, 200);
    hand_over(&token);
    assert_true(token.position == 0 && token.settled_count == 2);
    assert_true(token.settled[0].from == 20 && token.settled[0].to == 30 && token.settled[1].from == 50 && token.settled[1].to == 50);
    token_fini(&token);
    assert_true(lane_found(&lane, 10, 1, 0, false));
    assert_false(lane_found(&lane, 20, 1, 0, false));
    hand_over(&token); /* in the middle of it */
    assert_int_equal(token.settled_count, 3);
    token_fini(&token);
    for (int64_t c = 10; c <= 60; c += 10) {
        bool may = lane_found(&lane, c, 1, 0, false);
        assert_int_equal(may, c == 10 || c == 40 || c == 60);
        assert_int_equal(lane_flight(&lane, c)->prev, c - 10);
    }
}

static void the_window_is_bounded(UNUSED void **state) {
    int64_t cursor, found = 1;
    concurrent(SPEC_NONE, 10);
    start_new(1, 0);
    finish(1, 503);
    while (next(&cursor) == LANE_SCAN && found < 100000) {
        start_new(++found, 0);
        finish(found, 200);
    }
    assert_int_equal(found, LANE_WINDOW_MAX);
    attempt(1, 200);
    assert_int_equal(lane.position, found);
}

static void a_job_ends_where_it_is_to(UNUSED void **state) {
    int64_t cursor;
    lane.until = 20;
    lane_rewind(&lane, 10);
    attempt(15, 200);
    assert_false(lane_done(&lane));
    lane_passed(&lane, 25, false);
    assert_true(lane_done(&lane) && lane.position == 20 && next(&cursor) == LANE_NOTHING);
}

static void another_ordering_frees_or_holds_what_waits(UNUSED void **state) {
    int64_t cursor;
    concurrent(SPEC_KEY, 4);
    start_new(1, 7);
    lane_found(&lane, 2, 1, 7, false);
    lane_found(&lane, 3, 1, 7, false);
    concurrent(SPEC_NONE, 4);
    assert_int_equal(next(&cursor), LANE_SEND);
    assert_int_equal(cursor, 2);
    concurrent(SPEC_KEY, 4);
    assert_int_equal(next(&cursor), LANE_SCAN);
    concurrent(SPEC_STRICT, 1);
    finish(1, 200);
    assert_int_equal(next(&cursor), LANE_SEND);
    assert_int_equal(cursor, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(without_order_a_retry_holds_up_nothing_else),
        TEST(by_key_only_that_key_waits),
        TEST(the_endpoint_backs_off_as_a_whole_when_it_is_not_there_and_is_probed_by_one),
        TEST(what_is_settled_out_of_order_is_not_sent_again_after_a_hand_over),
        TEST(the_window_is_bounded),
        TEST(a_job_ends_where_it_is_to),
        TEST(another_ordering_frees_or_holds_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
