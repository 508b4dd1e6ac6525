/* A lane with several events in flight: which event holds up which, and what a successor sends
 * again. */
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

static void while_the_log_must_be_waited_for_a_retry_keeps_its_time(UNUSED void **state) {
    int64_t cursor, due, retry_ms;
    concurrent(SPEC_NONE, 4);
    start_new(1, 0);
    assert_int_equal(lane_next(&lane, now_ms, &cursor, &due), LANE_SCAN);
    assert_int_equal(due, INT64_MAX);
    finish(1, 503);
    retry_ms = lane_entry(&lane, 1)->retry_at_ms;
    assert_int_equal(lane_next(&lane, now_ms, &cursor, &due), LANE_SCAN);
    assert_true(due == retry_ms && due > now_ms);
    now_ms = due;
    assert_int_equal(lane_next(&lane, now_ms, &cursor, &due), LANE_SEND);
    assert_int_equal(cursor, 1);
}

static void by_key_only_that_key_waits(UNUSED void **state) {
    int64_t cursor;
    concurrent(SPEC_KEY, 4);
    start_new(1, 100);
    assert_false(lane_found(&lane, 2, 1, 100, false)); /* the key is busy */
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

static void the_endpoint_backs_off_as_a_whole_when_it_is_not_there_and_is_probed_by_one(
    UNUSED void **state) {
    int64_t cursor;
    concurrent(SPEC_NONE, 8);
    for (int64_t c = 1; c <= 8; c++)
        start_new(c, 0);
    for (int64_t c = 1; c <= 8; c++)
        finish(c, 0);
    assert_in_range(due_ms() - now_ms, 500, 1000); /* eight simultaneous failures count as one */
    now_ms += 5000;
    assert_int_equal(next(&cursor), LANE_SEND);
    lane_start(&lane, cursor);
    assert_int_equal(due_ms(), INT64_MAX); /* a single probe */
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
    assert_true(token.settled[0].from == 11 && token.settled[0].to == 30 &&
                token.settled[1].from == 41 && token.settled[1].to == 50);
    token_fini(&token);
    assert_true(lane_found(&lane, 10, 1, 0, false));
    assert_false(lane_found(&lane, 20, 1, 0, false));
    hand_over(&token); /* in the middle of the range */
    assert_true(token.settled_count == 3 && token.settled[0].to == 20 &&
                token.settled[1].from == 21);
    token_fini(&token);
    for (int64_t c = 10; c <= 60; c += 10) {
        bool may = lane_found(&lane, c, 1, 0, false);
        assert_int_equal(may, c == 10 || c == 40 || c == 60);
        assert_true(!may || lane_entry(&lane, c)->prev == c - 10);
    }
}

static void a_successor_looks_only_for_what_was_not_settled(UNUSED void **state) {
    struct token token;
    int64_t cursor;
    concurrent(SPEC_NONE, 8);
    start_new(10, 0);
    finish(10, 503);
    for (int64_t c = 20; c <= 1000000; c += 10) {
        start_new(c, 0);
        finish(c, c == 700000 ? 503 : 200);
    }
    hand_over(&token);
    assert_int_equal(token.settled_count, 2);
    token_fini(&token);
    start_new(10, 0);
    assert_int_equal(next(&cursor), LANE_SCAN);
    assert_int_equal(lane.scanned, 699989);
    hand_over(&token); /* between the leap and the next event found */
    assert_true(token.settled_count == 2 && token.settled[0].from == 11 &&
                token.settled[0].to == 699990);
    token_fini(&token);
    start_new(10, 0);
    assert_int_equal(next(&cursor), LANE_SCAN);
    assert_false(lane_found(&lane, 699990, 77, 0, false));
    start_new(700000, 0);
    assert_true(lane_entry(&lane, 700000)->prev == 699990 &&
                lane_entry(&lane, 700000)->prev_id_hash == 77);
    assert_int_equal(next(&cursor), LANE_SCAN);
    assert_true(lane_found(&lane, 1000010, 1, 0, true)); /* compaction took the previous event */
    assert_true(lane_entry(&lane, 1000010)->prev == 1000000 &&
                lane_entry(&lane, 1000010)->compacted);
    lane_start(&lane, 1000010);
    finish(10, 200);
    finish(700000, 200);
    assert_true(lane.position == 1000000 && lane.last == 1000000 && lane.last_id_hash == 0);
    assert_null(lane.settled);
}

static void one_event_that_always_fails_holds_up_nothing_that_comes_after_it(UNUSED void **state) {
    concurrent(SPEC_NONE, 10);
    start_new(1, 0);
    finish(1, 503);
    for (int64_t found = 2; found <= 5 * LANE_WINDOW_MAX; found++) {
        start_new(found, 0);
        finish(found, 200);
    }
    assert_true(lane.position == 0 && lane.window.count == 1 && lane.window.cap <= 4);
    attempt(1, 200);
    assert_int_equal(lane.position, 5 * LANE_WINDOW_MAX);
}

static void by_key_too_only_what_is_not_settled_fills_the_window(UNUSED void **state) {
    int64_t cursor, found = 1;
    concurrent(SPEC_KEY, 10);
    start_new(1, 7);
    finish(1, 503);
    for (; found < 3 * LANE_WINDOW_MAX; found++) {
        bool is_its_key = found % 4 == 0;
        if (next(&cursor) != LANE_SCAN)
            break;
        assert_int_equal(lane_found(&lane, found + 1, 1, is_its_key ? 7 : 8, false), !is_its_key);
        if (is_its_key)
            continue;
        lane_start(&lane, found + 1);
        finish(found + 1, 200);
    }
    assert_true(lane.window.count == 3 * LANE_WINDOW_MAX / 4);
    lane_resume(&lane);
    while (next(&cursor) == LANE_SEND) { /* all events of the key, in order */
        lane_start(&lane, cursor);
        finish(cursor, 200);
    }
    assert_true(lane.window.count == 0 && lane.position == found);
}

static void the_number_of_unsettled_events_is_bounded_and_so_is_the_token(UNUSED void **state) {
    struct token token;
    struct buf text = {0};
    int64_t cursor, found = 1000000000;
    concurrent(SPEC_NONE, 10);
    while (next(&cursor) == LANE_SCAN && found < 2000000000) {
        found += 1000;
        start_new(found, 0);
        finish(found, 200);
        start_new(++found, 0);
        finish(found, 503);
    }
    assert_int_equal(lane.window.count, LANE_WINDOW_MAX);
    hand_over(&token);
    token_to_json(&token, &text);
    assert_int_equal(token.settled_count, LANE_WINDOW_MAX - 1);
    assert_true(text.len < 110000);
    buf_fini(&text);
    token_fini(&token);
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
        TEST(while_the_log_must_be_waited_for_a_retry_keeps_its_time),
        TEST(by_key_only_that_key_waits),
        TEST(the_endpoint_backs_off_as_a_whole_when_it_is_not_there_and_is_probed_by_one),
        TEST(what_is_settled_out_of_order_is_not_sent_again_after_a_hand_over),
        TEST(a_successor_looks_only_for_what_was_not_settled),
        TEST(one_event_that_always_fails_holds_up_nothing_that_comes_after_it),
        TEST(by_key_too_only_what_is_not_settled_fills_the_window),
        TEST(the_number_of_unsettled_events_is_bounded_and_so_is_the_token),
        TEST(a_job_ends_where_it_is_to),
        TEST(another_ordering_frees_or_holds_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
