/* The lane of a pulled subscriber: it finds the next event, starts nothing, and follows what the
 * consumer acknowledges. */
#include "lane_fixture.h"

static int64_t ignored;

static void pull(bool pulled) {
    struct lane_policy policy = usual;
    policy.pulled = pulled;
    lane_set_policy(&lane, &policy);
}

/* Finds the event at `cursor`, which was not settled before. */
static void find(int64_t cursor) {
    assert_int_equal(next(&ignored), LANE_SCAN);
    assert_false(lane_found(&lane, cursor, (uint64_t)cursor * 31, 0, false));
}

static void it_finds_one_event_and_starts_nothing(UNUSED void **state) {
    pull(true);
    find(4);
    lane_note_appended(&lane, 4, WALL_OFFSET);
    assert_int_equal(next(&ignored), LANE_NOTHING);
    assert_int_equal(due_ms(), INT64_MAX);
    assert_int_equal(lane.position, 0);
    assert_int_equal(lane_oldest_ms(&lane), WALL_OFFSET);
    assert_int_equal(lane_state(&lane), TOKEN_ACTIVE);
    assert_int_equal(endpoint.started, 0);
}

static void an_acknowledgement_moves_it_and_the_event_there_is_read_once_more(UNUSED void **state) {
    pull(true);
    find(4);
    lane_acknowledge(&lane, 9); /* a page of events */
    find(9);
    assert_int_equal(lane.position, 9);
    assert_int_equal(lane.last, 9);
    assert_int_equal(lane.last_id_hash, 9 * 31);
    find(12);
    assert_int_equal(lane.position, 9);
    lane_acknowledge(&lane, 12);
    find(12);
    assert_int_equal(next(&ignored), LANE_SCAN);
    lane_at_end(&lane, 15, false);
    assert_true(lane_idle(&lane));
    assert_int_equal(lane.position, 15);
    assert_int_equal(lane.last, 12);
}

static void a_cursor_without_an_event_for_it_may_be_acknowledged(UNUSED void **state) {
    pull(true);
    find(4);
    lane_acknowledge(&lane, 7);
    assert_int_equal(next(&ignored), LANE_SCAN);
    assert_false(lane_found(&lane, 9, 1, 0, false));
    assert_int_equal(lane.position, 7);
    assert_int_equal(lane_entry(&lane, 9)->prev, 7);
}

static void a_checkpoint_in_between_loses_nothing(UNUSED void **state) {
    struct token token = {0};
    pull(true);
    find(4);
    lane_acknowledge(&lane, 9);
    lane_to_token(&lane, now_ms, WALL_OFFSET, &token); /* the event at 9 was not read yet */
    assert_int_equal(token.position, 8);
    struct lane_policy policy = lane.policy;
    lane_fini(&lane);
    lane_init_from_token(&lane, &policy, &throttle, &endpoint, &token);
    token_fini(&token);
    find(9);
    assert_int_equal(lane.position, 9);
}

static void a_paused_one_finds_nothing_and_can_be_acknowledged(UNUSED void **state) {
    pull(true);
    find(4);
    lane_pause(&lane, true);
    lane_acknowledge(&lane, 4);
    assert_int_equal(next(&ignored), LANE_NOTHING);
    lane_pause(&lane, false);
    find(4);
    assert_int_equal(lane.position, 4);
}

static void a_rewind_is_counted_and_an_acknowledgement_is_not(UNUSED void **state) {
    struct token token = {0};
    pull(true);
    find(4);
    lane_acknowledge(&lane, 4);
    assert_int_equal(lane.rewinds, 0);
    lane_rewind(&lane, 2);
    assert_int_equal(lane.rewinds, 1);
    lane_to_token(&lane, now_ms, WALL_OFFSET, &token);
    assert_int_equal(token.rewinds, 1);
    find(4);
    token_fini(&token);
}

static void with_other_topics_it_looks_again_from_its_position(UNUSED void **state) {
    pull(true);
    find(4);
    lane_acknowledge(&lane, 4);
    find(4);
    find(9);
    lane_look_again(&lane);
    assert_int_equal(lane.position, 4);
    find(7); /* it was passed before */
    assert_int_equal(lane_entry(&lane, 7)->prev, 4);
    lane_note_appended(&lane, 7, WALL_OFFSET);
    lane_look_again(&lane);
    assert_int_equal(next(&ignored), LANE_SCAN);
    lane_at_end(&lane, 9, false);
    assert_true(lane_idle(&lane));
    assert_int_equal(lane.last, 4);
}

static void with_an_endpoint_it_goes_on_where_the_consumer_stopped(UNUSED void **state) {
    pull(true);
    find(4);
    pull(false);
    assert_int_equal(next(&ignored), LANE_SEND);
    assert_int_equal(ignored, 4);
    assert_int_equal(lane_start(&lane, 4)->prev, 0);
    finish(4, 200);
    start_new(6, 0);
    lane_abort(&lane, 6, now_ms); /* the endpoint is gone */
    pull(true);
    assert_int_equal(next(&ignored), LANE_NOTHING);
    assert_int_equal(lane.position, 4);
    lane_acknowledge(&lane, 6);
    find(6);
    assert_int_equal(lane.position, 6);
}

#define pulled_test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        pulled_test(it_finds_one_event_and_starts_nothing),
        pulled_test(an_acknowledgement_moves_it_and_the_event_there_is_read_once_more),
        pulled_test(a_cursor_without_an_event_for_it_may_be_acknowledged),
        pulled_test(a_checkpoint_in_between_loses_nothing),
        pulled_test(a_paused_one_finds_nothing_and_can_be_acknowledged),
        pulled_test(a_rewind_is_counted_and_an_acknowledgement_is_not),
        pulled_test(with_other_topics_it_looks_again_from_its_position),
        pulled_test(with_an_endpoint_it_goes_on_where_the_consumer_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
