/* A lane with something to do waits for a next step, or is reported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/liveness.h"
#include "dispatcher/subscriber/subscriber.h"

static struct subscriber s;
static struct throttle throttle;

static int begin(void **state) {
    const struct lane_policy policy = {
        .ordering = SPEC_STRICT, .max_in_flight = 1, .max_attempts = 3};
    (void)state;
    memset(&s, 0, sizeof s);
    throttle_init(&throttle, 1);
    s.live = (struct sender){.subscriber = &s, .job = -1};
    lane_init(&s.live.lane, &policy, &throttle, &s.endpoint, 7);
    return 0;
}

static int end(void **state) {
    (void)state;
    lane_fini(&s.live.lane);
    throttle_fini(&throttle);
    return 0;
}

static void a_lane_that_is_behind_and_waits_for_nothing_is_stuck(void **state) {
    (void)state;
    assert_true(liveness_is_stuck(&s.live));
    assert_null(liveness_waits_for(&s.live));
}

static void one_at_the_end_or_paused_or_disabled_is_at_rest(void **state) {
    (void)state;
    lane_pause(&s.live.lane, true);
    assert_false(liveness_is_stuck(&s.live));
    lane_pause(&s.live.lane, false);
    assert_true(liveness_is_stuck(&s.live));
    lane_disable(&s.live.lane, "gone");
    assert_false(liveness_is_stuck(&s.live));
    lane_resume(&s.live.lane);
    lane_at_end(&s.live.lane, 9, false);
    assert_false(liveness_is_stuck(&s.live));
}

static void an_event_that_waits_at_the_end_needs_a_timer(void **state) {
    (void)state;
    lane_found(&s.live.lane, 8, 1, 1, false);
    lane_at_end(&s.live.lane, 9, false);
    assert_true(liveness_is_stuck(&s.live));
    s.live.due.slot = 1;
    assert_string_equal(liveness_waits_for(&s.live), "timer");
    assert_false(liveness_is_stuck(&s.live));
}

static void what_a_lane_waits_for_is_named(void **state) {
    struct feed_reader other;
    (void)state;
    s.live.user.queued = true;
    assert_string_equal(liveness_waits_for(&s.live), "place");
    s.live.user.queued = false;
    s.live.scanner.next = s.live.scanner.prev = &other;
    assert_string_equal(liveness_waits_for(&s.live), "log");
    s.live.scanner.next = s.live.scanner.prev = NULL;
    s.slots.in_flight = 1; /* of a job or test too: the end wakes all */
    assert_string_equal(liveness_waits_for(&s.live), "attempt");
}

static void a_job_that_is_done_waits_for_its_end(void **state) {
    (void)state;
    s.live.job = 4;
    s.live.lane.until = 7;
    assert_true(liveness_is_stuck(&s.live));
    s.jobs.due.slot = 1;
    assert_false(liveness_is_stuck(&s.live));
}

static void a_pending_lane_needs_a_handshake_that_is_due_or_posted(void **state) {
    struct message handshake = {.delivery.kind = DELIVERY_HANDSHAKE, .sender = &s.live},
                   test = {.delivery.kind = DELIVERY_TEST, .sender = &s.live};
    (void)state;
    s.standing.options.sender = &s.live;
    lane_await_handshake(&s.live.lane, true);
    s.live.messages = test.prev = &test; /* waits for the handshake too */
    assert_true(liveness_is_stuck(&s.live));
    s.standing.handshake_due.slot = 1;
    assert_false(liveness_is_stuck(&s.live));
    s.live.messages = handshake.prev = &handshake;
    assert_true(liveness_is_stuck(&s.live)); /* nothing sends it */
    s.live.due.slot = 1;
    assert_false(liveness_is_stuck(&s.live));
    s.live.due.slot = 0;
    handshake.under_way = true;
    s.slots.in_flight = 1;
    assert_false(liveness_is_stuck(&s.live));
}

static void an_event_that_a_consumer_is_to_fetch_needs_nothing(void **state) {
    (void)state;
    s.live.lane.policy.pulled = true;
    assert_true(liveness_is_stuck(&s.live)); /* it has yet to find the event */
    lane_found(&s.live.lane, 8, 1, 1, false);
    assert_false(liveness_is_stuck(&s.live));
    lane_acknowledge(&s.live.lane, 8);
    assert_true(liveness_is_stuck(&s.live));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_lane_that_is_behind_and_waits_for_nothing_is_stuck),
        TEST(one_at_the_end_or_paused_or_disabled_is_at_rest),
        TEST(an_event_that_waits_at_the_end_needs_a_timer),
        TEST(what_a_lane_waits_for_is_named),
        TEST(a_job_that_is_done_waits_for_its_end),
        TEST(a_pending_lane_needs_a_handshake_that_is_due_or_posted),
        TEST(an_event_that_a_consumer_is_to_fetch_needs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
