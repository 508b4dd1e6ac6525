/* A lane that sends several events in one request: what goes together, what a failure of a request
 * means for its events, in virtual time. */
#include "tests/unit/lane_fixture.h"

enum { BYTES = 100 };

static void batches_of(int64_t max_events, int64_t max_bytes, int64_t max_wait_ms) {
    struct lane_policy policy = lane.policy;
    policy.batch = (struct batch_limits){max_events, max_bytes, max_wait_ms};
    lane_set_policy(&lane, &policy);
}

/* The log has an event here. */
static void find(int64_t cursor, uint64_t key) {
    int64_t ignored;
    assert_int_equal(next(&ignored), LANE_SCAN);
    lane_expect(&lane, BYTES);
    assert_false(lane_found(&lane, cursor, (uint64_t)cursor * 31, key, false));
}

static void find_all(int64_t from, int64_t to) {
    for (int64_t cursor = from; cursor <= to; cursor++)
        find(cursor, 0);
}

/* A request that begins with this event may start now; returns the number of its events. */
static size_t fix(int64_t cursor) {
    int64_t first;
    assert_int_equal(next(&first), LANE_SEND);
    assert_int_equal(first, cursor);
    lane_fix(&lane, first, now_ms);
    return lane_batch_count(lane_entry(&lane, first));
}

static size_t start(int64_t cursor) {
    size_t count = fix(cursor);
    lane_start(&lane, cursor);
    return count;
}

/* Waits until a request that begins with the event may start, and starts it. */
static size_t start_later(int64_t cursor) {
    now_ms = due_ms() > now_ms ? due_ms() : now_ms;
    return start(cursor);
}

/* Finds the events from..to, and starts one request with all of them. */
static void start_all(int64_t from, int64_t to) {
    find_all(from, to);
    assert_int_equal(start(from), to - from + 1);
}

static void a_full_batch_goes_at_once(UNUSED void **state) {
    batches_of(3, 10000, 60000);
    start_all(1, 3);
    assert_int_equal(lane_entry(&lane, 1)->attempts, 1);
    assert_true(lane_entry(&lane, 2)->prev == 1 && lane_entry(&lane, 3)->prev == 2);
    assert_int_equal(due_ms(), INT64_MAX);
    assert_int_equal(finish(1, 200), ENTRY_SETTLED);
    assert_true(lane.position == 3 && lane.delivered == 3 && lane.window.count == 0);
}

static void at_the_end_of_the_log_a_batch_takes_what_is_there(UNUSED void **state) {
    batches_of(100, 10000, 0);
    find_all(1, 2);
    lane_at_end(&lane, 9, false);
    assert_int_equal(start(1), 2);
    finish(1, 200);
    assert_true(lane_idle(&lane) && lane.position == 9);
}

static void a_batch_that_is_not_full_waits_as_long_as_it_may(UNUSED void **state) {
    batches_of(100, 10000, 5000);
    find(1, 0);
    lane_at_end(&lane, 1, false);
    assert_int_equal(due_ms(), now_ms + 5000);
    now_ms += 3000;
    lane_wake(&lane, 1);
    find(2, 0);
    lane_at_end(&lane, 2, false);
    assert_int_equal(due_ms(), now_ms + 2000); /* the first one's time counts */
    assert_int_equal(start_later(1), 2);
}

static void an_event_that_fills_the_batch_ends_the_wait(UNUSED void **state) {
    batches_of(2, 10000, 5000);
    find(1, 0);
    lane_at_end(&lane, 1, false);
    assert_int_equal(due_ms(), now_ms + 5000);
    lane_wake(&lane, 1);
    find(2, 0);
    assert_int_equal(start(1), 2);
}

static void a_log_that_is_slow_to_read_holds_up_no_event_for_long(UNUSED void **state) {
    int64_t cursor, due;
    batches_of(100, 10000, 0);
    find(1, 0);
    assert_int_equal(lane_next(&lane, now_ms, &cursor, &due), LANE_SCAN);
    assert_int_equal(due, now_ms + 1000);
    now_ms = due;
    assert_int_equal(start(1), 1);
}

static void a_job_waits_for_no_event_after_its_last(UNUSED void **state) {
    batches_of(100, 10000, 60000);
    lane.until = 3;
    find_all(1, 3);
    assert_int_equal(start(1), 3);
    finish(1, 200);
    assert_true(lane_done(&lane));
}

static void a_batch_has_no_more_bytes_than_allowed(UNUSED void **state) {
    batches_of(100, 16 + 3 * BYTES + 2, 60000);
    find_all(1, 4);
    assert_int_equal(start(1), 3);
    finish(1, 200);
    find_all(5, 7);
    assert_int_equal(start(4), 3);
}

static void an_event_larger_than_a_batch_goes_alone(UNUSED void **state) {
    batches_of(100, 50, 60000);
    find_all(1, 2);
    assert_int_equal(start(1), 1);
    finish(1, 200);
    find(3, 0);
    assert_int_equal(start(2), 1);
}

static void a_retry_has_the_same_events(UNUSED void **state) {
    batches_of(3, 10000, 0);
    find_all(1, 2);
    lane_at_end(&lane, 2, false);
    assert_int_equal(start(1), 2);
    lane_wake(&lane, 2);
    assert_int_equal(finish(1, 503), ENTRY_BACKOFF);
    assert_true(lane.position == 0 && lane_state(&lane) == TOKEN_RETRYING);
    for (int64_t number = 2; number < 6; number++) {
        assert_int_equal(start_later(1), 2);
        assert_int_equal(lane_entry(&lane, 1)->attempts, number);
        assert_true(lane_entry(&lane, 1)->prev == 0 && lane_entry(&lane, 2)->prev == 1);
        finish(1, 0);
    }
    start_later(1);
    finish(1, 204);
    assert_true(lane.position == 2 && lane.delivered == 2);
}

static void an_attempt_that_is_called_off_keeps_the_events(UNUSED void **state) {
    batches_of(3, 10000, 0);
    start_all(1, 3);
    lane_abort(&lane, 1, now_ms);
    assert_int_equal(start(1), 3);
    assert_int_equal(lane_entry(&lane, 1)->attempts, 1);
}

static void a_refused_batch_is_halved_until_one_event_stands_alone(UNUSED void **state) {
    static const struct {
        int64_t first;
        size_t count;
        int status;
    } requests[] = {{1, 8, 422}, {1, 4, 200}, {5, 4, 422}, {5, 2, 200}, {7, 2, 422}, {7, 1, 422}};
    batches_of(8, 10000, 0);
    find_all(1, 8);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        assert_int_equal(start(requests[i].first), requests[i].count);
        assert_int_equal(lane_entry(&lane, requests[i].first)->attempts, 1);
        finish(requests[i].first, requests[i].status);
    }
    int64_t cursor;
    assert_int_equal(next(&cursor), LANE_NOTHING); /* strict: its dead letter comes first */
    dead_letter(7);
    assert_int_equal(start(8), 1);
    finish(8, 200);
    assert_true(lane.position == 8 && lane.delivered == 7 && lane.dead_lettered == 1);
}

static void a_batch_is_halved_also_while_nothing_may_be_given_up(UNUSED void **state) {
    batches_of(2, 10000, 0);
    lane.given_up = true;
    start_all(1, 2);
    assert_int_equal(finish(1, 400), ENTRY_QUEUED);
    start(1);
    finish(1, 200); /* the 2xx that was waited for */
    start(2);
    assert_int_equal(finish(2, 400), ENTRY_DEAD_LETTERING);
}

/* Fails the request that begins with the event until its attempts are used up. */
static void use_up(int64_t cursor) {
    for (int64_t i = 1; i <= lane.policy.max_attempts; i++) {
        start_later(cursor);
        finish(cursor, 500);
    }
}

static void an_outage_costs_one_dead_letter_of_a_batch(UNUSED void **state) {
    batches_of(8, 10000, 0);
    find_all(1, 8);
    use_up(1);
    for (size_t count = 4; count >= 1; count /= 2) {
        assert_int_equal(state_of(1), ENTRY_BACKOFF);
        assert_int_equal(start_later(1), count);
        finish(1, 500);
    }
    dead_letter(1);
    for (int i = 0; i < 50; i++) { /* nothing more before a 2xx */
        assert_int_equal(start_later(2), 1);
        assert_int_equal(finish(2, 500), ENTRY_BACKOFF);
    }
    assert_int_equal(start_later(2), 1);
    finish(2, 200);
    assert_int_equal(start(3), 2);
    finish(3, 200);
    assert_int_equal(start(5), 4);
    finish(5, 200);
    assert_true(lane.position == 8 && lane.delivered == 7 && lane.dead_lettered == 1);
}

static void an_event_that_breaks_the_endpoint_is_found_by_halving(UNUSED void **state) {
    int requests = 0;
    batches_of(100, 100000, 0);
    find_all(1, 100);
    use_up(1);
    while (lane.window.count && requests++ < 100) {
        int64_t first = lane.window.entries[0]->cursor;
        size_t count = start_later(first);
        bool has_it = first <= 57 && first + (int64_t)count > 57;
        if (finish(first, has_it ? 500 : 200) == ENTRY_DEAD_LETTERING)
            lane_dead_lettered(&lane, first);
    }
    assert_true(lane.position == 100 && lane.delivered == 99 && lane.dead_lettered == 1);
    assert_in_range(requests, 7, 40);
}

static void with_dead_letters_all_each_event_has_an_attempt_of_its_own(UNUSED void **state) {
    batches_of(4, 10000, 0);
    lane.policy.dead_letters_all = true;
    find_all(1, 4);
    use_up(1);
    for (int64_t cursor = 1; cursor <= 4; cursor++) {
        while (state_of(cursor) != ENTRY_DEAD_LETTERING) {
            start_later(cursor);
            finish(cursor, 500);
        }
        dead_letter(cursor);
    }
    assert_true(lane.position == 4 && lane.dead_lettered == 4);
}

static void a_skip_takes_the_first_event_of_the_batch_that_fails(UNUSED void **state) {
    int64_t cursor;
    batches_of(3, 10000, 0);
    start_all(1, 3);
    finish(1, 503);
    assert_int_equal(lane_skip(&lane), 1);
    assert_int_equal(next(&cursor), LANE_DEAD_LETTER);
    lane_dead_letter(&lane, cursor);
    dead_letter(1);
    assert_int_equal(start(2), 2);
    assert_int_equal(lane_entry(&lane, 2)->attempts, 1);
    finish(2, 200);
    assert_true(lane.position == 3 && lane.delivered == 2 && lane.dead_lettered == 1);
}

static void a_resume_sends_the_batch_again_at_once(UNUSED void **state) {
    batches_of(3, 10000, 0);
    start_all(1, 3);
    finish(1, 0);
    lane_resume(&lane);
    assert_int_equal(start(1), 3);
    assert_int_equal(lane_entry(&lane, 1)->attempts, 1);
}

static void an_event_that_has_left_the_log_leaves_its_batch(UNUSED void **state) {
    batches_of(4, 10000, 0);
    start_all(1, 4);
    finish(1, 503);
    now_ms = due_ms();
    fix(1);
    lane_missing(&lane, 3, true);
    assert_true(lane_entry(&lane, 4)->compacted && lane_entry(&lane, 4)->prev == 3);
    lane_missing(&lane, 1, true);
    assert_true(lane_entry(&lane, 2)->compacted && !lane.compacted);
    assert_int_equal(fix(2), 2);
    lane_missing(&lane, 4, true);
    assert_int_equal(start(2), 1);
    assert_int_equal(lane_entry(&lane, 2)->attempts, 2);
    finish(2, 200);
    assert_true(lane.position == 4 && lane.delivered == 1);
}

static void an_unwanted_event_in_a_batch_is_no_ones_prev_cursor(UNUSED void **state) {
    batches_of(3, 10000, 0);
    find_all(1, 3);
    fix(1);
    lane_missing(&lane, 2, false);
    assert_int_equal(lane_entry(&lane, 3)->prev, 1);
    assert_int_equal(start(1), 2);
    finish(1, 503);
    lane_missing(&lane, 1, false);
    assert_int_equal(lane_entry(&lane, 3)->prev, 1); /* it went out with this */
}

static void by_key_a_batch_has_several_events_of_one_key(UNUSED void **state) {
    concurrent(SPEC_KEY, 4);
    batches_of(3, 10000, 0);
    for (int64_t cursor = 1; cursor <= 3; cursor++)
        find(cursor, 7);
    assert_int_equal(start(1), 3);
    for (int64_t cursor = 4; cursor <= 5; cursor++)
        find(cursor, 7);
    assert_int_equal(state_of(4), ENTRY_BLOCKED);
    finish(1, 200);
    lane_at_end(&lane, 5, false);
    assert_int_equal(start(4), 2);
}

static void by_key_no_event_goes_ahead_of_a_failed_one_of_its_key(UNUSED void **state) {
    concurrent(SPEC_KEY, 4);
    batches_of(2, 10000, 0);
    find(1, 7);
    find(2, 8);
    start(1);
    finish(1, 503);
    find(3, 9);
    find(4, 7); /* waits for 1, and ends the batch of 3 */
    assert_int_equal(start(3), 1);
    find(5, 10);
    lane_at_end(&lane, 5, false);
    finish(3, 200);
    assert_int_equal(start(5), 1);
    finish(5, 200);
    assert_int_equal(state_of(4), ENTRY_BLOCKED);
    assert_int_equal(start_later(1), 2);
    finish(1, 200);
    assert_int_equal(start_later(4), 1);
}

static void by_key_the_second_half_waits_for_the_first(UNUSED void **state) {
    int64_t cursor;
    concurrent(SPEC_KEY, 4);
    batches_of(4, 10000, 0);
    find(1, 7);
    find(2, 8);
    find(3, 9);
    find(4, 7);
    lane_at_end(&lane, 4, false);
    assert_int_equal(start(1), 4);
    finish(1, 422);
    assert_int_equal(start(1), 2);
    assert_int_equal(next(&cursor), LANE_NOTHING);
    finish(1, 503);
    assert_int_equal(next(&cursor), LANE_NOTHING);
    start_later(1);
    finish(1, 200);
    assert_int_equal(start(3), 2);
}

static void without_order_batches_go_side_by_side(UNUSED void **state) {
    concurrent(SPEC_NONE, 2);
    batches_of(2, 10000, 0);
    start_all(1, 2);
    start_all(3, 4);
    int64_t cursor;
    assert_int_equal(next(&cursor), LANE_NOTHING); /* max_in_flight counts requests */
    finish(3, 200);
    assert_int_equal(lane.position, 0);
    start_all(5, 6);
    finish(1, 503);
    finish(5, 200);
    struct token token;
    hand_over(&token); /* settled are 3 to 6 */
    assert_true(token.settled_count == 1 && token.settled[0].from == 3 && token.settled[0].to == 6);
    token_fini(&token);
    find_all(1, 2);
    assert_int_equal(start(1), 2);
}

static void after_a_take_over_nothing_is_skipped(UNUSED void **state) {
    struct token token;
    batches_of(4, 10000, 0);
    find_all(1, 3);
    lane_at_end(&lane, 3, false);
    start(1);
    hand_over(&token);
    token_fini(&token);
    start_all(1, 4); /* the batch differs */
    assert_int_equal(lane_entry(&lane, 1)->prev, 0);
    finish(1, 200);
    assert_int_equal(lane.position, 4);
}

static void the_throttle_counts_events(UNUSED void **state) {
    throttle_fini(&throttle);
    throttle_init(&throttle, 10);
    batches_of(4, 10000, 0);
    find_all(1, 4);
    assert_int_equal(start(1), 4);
    finish(1, 200);
    find_all(5, 8);
    assert_int_equal(start(5), 4);
    now_ms += 500;
    finish(5, 200);
    find_all(9, 12);
    assert_int_equal(start(9), 2); /* what is left of ten a second */
    finish(9, 200);
    lane_at_end(&lane, 12, false);
    assert_int_equal(due_ms(), now_ms - 500 + 1001);
    assert_int_equal(start_later(11), 2);
}

static void a_batch_is_full_with_what_the_throttle_lets_through(UNUSED void **state) {
    throttle_fini(&throttle);
    throttle_init(&throttle, 3);
    batches_of(100, 10000, 60000);
    find_all(1, 3);
    assert_int_equal(start(1), 3);
    finish(1, 200);
    assert_int_equal(due_ms(), now_ms + 1001);
}

static void a_batch_that_meets_an_outage_does_not_hold_up_what_follows(UNUSED void **state) {
    struct lane_policy policy = lane.policy;
    policy.adaptive_per_sec = 1000;
    policy.max_attempts = 1000;
    lane_set_policy(&lane, &policy);
    batches_of(100, 100000, 0);
    start_all(1, 100);
    for (int n = 0; n < 20; n++) {
        finish(1, 503);
        assert_int_equal(start_later(1), 100);
    }
    finish(1, 200);
    assert_true(due_ms() <= now_ms + 20000);
    now_ms = due_ms();
    find(101, 0);
    assert_int_equal(start(101), 1); /* what the low rate lets through at once */
}

static void a_batch_above_an_edited_throttle_passes_in_the_end(UNUSED void **state) {
    batches_of(10, 10000, 0);
    start_all(1, 10);
    finish(1, 503);
    throttle_set_rate(&throttle, 2);
    assert_int_equal(start_later(1), 10);
    finish(1, 200);
    assert_int_equal(due_ms(), now_ms + 1 + 4000 + 1000); /* ten events are five seconds of it */
}

static void without_batches_what_is_left_goes_one_by_one(UNUSED void **state) {
    batches_of(3, 10000, 0);
    start_all(1, 3);
    finish(1, 503);
    batches_of(0, 0, 0);
    for (int64_t cursor = 1; cursor <= 3; cursor++) {
        assert_int_equal(start_later(cursor), 1);
        finish(cursor, 200);
    }
    assert_int_equal(attempt(4, 200), 1);
    assert_int_equal(lane.position, 4);
}

static void a_change_while_a_batch_is_under_way_holds_from_its_end(UNUSED void **state) {
    batches_of(3, 10000, 0);
    start_all(1, 3);
    batches_of(2, 10000, 0);
    finish(1, 503);
    assert_int_equal(start_later(1), 1);
    finish(1, 200);
    assert_int_equal(start(2), 2);
}

static void a_failed_event_stays_alone_when_batches_begin(UNUSED void **state) {
    attempt(1, 503);
    batches_of(3, 10000, 0);
    assert_int_equal(start_later(1), 1);
    finish(1, 200);
    start_all(2, 4);
}

static void a_rewind_forgets_the_batch(UNUSED void **state) {
    batches_of(3, 10000, 60000);
    find_all(5, 6);
    lane_rewind(&lane, 2);
    find_all(3, 4);
    lane_at_end(&lane, 4, false);
    assert_int_equal(due_ms(), now_ms + 60000);
    assert_int_equal(start_later(3), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_full_batch_goes_at_once),
        TEST(at_the_end_of_the_log_a_batch_takes_what_is_there),
        TEST(a_batch_that_is_not_full_waits_as_long_as_it_may),
        TEST(an_event_that_fills_the_batch_ends_the_wait),
        TEST(a_log_that_is_slow_to_read_holds_up_no_event_for_long),
        TEST(a_job_waits_for_no_event_after_its_last),
        TEST(a_batch_has_no_more_bytes_than_allowed),
        TEST(an_event_larger_than_a_batch_goes_alone),
        TEST(a_retry_has_the_same_events),
        TEST(an_attempt_that_is_called_off_keeps_the_events),
        TEST(a_refused_batch_is_halved_until_one_event_stands_alone),
        TEST(a_batch_is_halved_also_while_nothing_may_be_given_up),
        TEST(an_outage_costs_one_dead_letter_of_a_batch),
        TEST(an_event_that_breaks_the_endpoint_is_found_by_halving),
        TEST(with_dead_letters_all_each_event_has_an_attempt_of_its_own),
        TEST(a_skip_takes_the_first_event_of_the_batch_that_fails),
        TEST(a_resume_sends_the_batch_again_at_once),
        TEST(an_event_that_has_left_the_log_leaves_its_batch),
        TEST(an_unwanted_event_in_a_batch_is_no_ones_prev_cursor),
        TEST(by_key_a_batch_has_several_events_of_one_key),
        TEST(by_key_no_event_goes_ahead_of_a_failed_one_of_its_key),
        TEST(by_key_the_second_half_waits_for_the_first),
        TEST(without_order_batches_go_side_by_side),
        TEST(after_a_take_over_nothing_is_skipped),
        TEST(the_throttle_counts_events),
        TEST(a_batch_is_full_with_what_the_throttle_lets_through),
        TEST(a_batch_that_meets_an_outage_does_not_hold_up_what_follows),
        TEST(a_batch_above_an_edited_throttle_passes_in_the_end),
        TEST(without_batches_what_is_left_goes_one_by_one),
        TEST(a_change_while_a_batch_is_under_way_holds_from_its_end),
        TEST(a_failed_event_stays_alone_when_batches_begin),
        TEST(a_rewind_forgets_the_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
