/* When a heartbeat may be sent, and what it says. */
#include "tests/unit/lane_fixture.h"

#include "dispatcher/lane/heartbeat.h"

static void it_is_due_that_long_after_the_newest_delivery(UNUSED void **state) {
    struct heartbeat h = {0};
    assert_int_equal(heartbeat_due_ms(&h), INT64_MAX);
    heartbeat_note(&h, 5000);
    heartbeat_set(&h, 10000);
    assert_int_equal(heartbeat_due_ms(&h), 15000);
    heartbeat_note(&h, 14000);
    assert_int_equal(heartbeat_due_ms(&h), 24000);
    assert_int_equal(heartbeat_look_ms(&h, 24000), 25000);
    heartbeat_set(&h, 3600000);
    assert_int_equal(heartbeat_look_ms(&h, 24000), 24000 + 360000);
    heartbeat_set(&h, 0);
    assert_int_equal(heartbeat_due_ms(&h), INT64_MAX);
}

static void only_an_idle_lane_may_send_one(UNUSED void **state) {
    assert_false(heartbeat_may_go(&lane, now_ms)); /* the log was not looked at */
    lane_at_end(&lane, 30, false);
    assert_true(heartbeat_may_go(&lane, now_ms));
    lane_wake(&lane, 36);
    assert_false(heartbeat_may_go(&lane, now_ms));
    start_new(37, 0);
    assert_false(heartbeat_may_go(&lane, now_ms));
    finish(37, 503);
    assert_false(heartbeat_may_go(&lane, now_ms));
    attempt(37, 200);
    assert_false(heartbeat_may_go(&lane, now_ms));
    lane_at_end(&lane, 40, false);
    assert_true(heartbeat_may_go(&lane, now_ms));
}

static void a_lane_that_stands_sends_none(UNUSED void **state) {
    lane_at_end(&lane, 30, false);
    lane_pause(&lane, true);
    assert_false(heartbeat_may_go(&lane, now_ms));
    lane_pause(&lane, false);
    lane_await_handshake(&lane, true);
    assert_false(heartbeat_may_go(&lane, now_ms));
    lane_await_handshake(&lane, false);
    lane_disable(&lane, "gone (410)");
    assert_false(heartbeat_may_go(&lane, now_ms));
    lane_resume(&lane);
    assert_true(heartbeat_may_go(&lane, now_ms));
}

static void an_endpoint_that_is_backed_off_or_throttled_gets_none(UNUSED void **state) {
    lane_at_end(&lane, 30, false);
    endpoint_back_off(&endpoint, now_ms, now_ms + 100);
    assert_false(heartbeat_may_go(&lane, now_ms));
    assert_true(heartbeat_may_go(&lane, now_ms + 100)); /* no event may come for a day */
    endpoint_start(&endpoint);
    assert_false(heartbeat_may_go(&lane, now_ms + 100)); /* a job probes it */
    endpoint_end(&endpoint);
    endpoint_forget(&endpoint);
    throttle_set_rate(&throttle, 1);
    throttle_finish(&throttle, throttle_start(&throttle), now_ms);
    assert_false(heartbeat_may_go(&lane, now_ms));
    assert_true(heartbeat_may_go(&lane, now_ms + 1001));
}

static void a_failure_shows_and_does_nothing_else(UNUSED void **state) {
    lane_at_end(&lane, 30, false);
    struct outcome outcome = answer(0, 0);
    struct endpoint before = endpoint;
    for (int i = 0; i < 3; i++)
        lane_heartbeat_answered(&lane, &outcome, now_ms + WALL_OFFSET);
    assert_true(lane.failed_count == 3 && lane.failed[2].cursor == 0);
    assert_memory_equal(&endpoint, &before, sizeof before);
    assert_true(lane_state(&lane) == TOKEN_ACTIVE && heartbeat_may_go(&lane, now_ms));
    outcome = answer(200, 0);
    lane_heartbeat_answered(&lane, &outcome, now_ms + WALL_OFFSET);
    assert_int_equal(lane.failed_count, 3);
}

static void it_names_the_end_and_the_newest_event(UNUSED void **state) {
    struct buf body = {0};
    attempt(20, 200);
    lane_at_end(&lane, 30, false);
    heartbeat_put_body(&lane, 44, 1715090591123, &body);
    assert_string_equal(buf_string(&body), "{\"heartbeat\":true,\"cursor\":44,\"prev_cursor\":20,"
                                           "\"ts\":\"2024-05-07T14:03:11.123Z\"}");
    buf_clear(&body);
    heartbeat_put_body(&lane, 29, 1715090591123, &body); /* this process has read less */
    assert_non_null(strstr(buf_string(&body), "\"cursor\":30,"));
    buf_fini(&body);
}

#define IN_LANE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_due_that_long_after_the_newest_delivery),
        IN_LANE(only_an_idle_lane_may_send_one),
        IN_LANE(a_lane_that_stands_sends_none),
        IN_LANE(an_endpoint_that_is_backed_off_or_throttled_gets_none),
        IN_LANE(a_failure_shows_and_does_nothing_else),
        IN_LANE(it_names_the_end_and_the_newest_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
