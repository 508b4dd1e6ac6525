/* Which lanes an appended event wakes: lanes at the end of the log. A lane found behind costs
 * nothing from then on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/subscriber.h"
#include "dispatcher/subscriber/subscribers.h"

static struct dispatcher d;
static struct subscriber *s;
static char *topics[] = {"a", "a.*"};

static int begin(void **state) {
    const struct lane_policy policy = {
        .ordering = SPEC_STRICT, .max_in_flight = 1, .max_attempts = 3};
    (void)state;
    d.service.loop = loop_new();
    d.checkpoints.loop = d.service.loop;
    d.match = match_new();
    s = subscriber_new(&d, "one", 0);
    s->record.spec = (struct spec){.subscription = {.patterns = topics, .patterns_count = 2}};
    s->live = (struct sender){
        .subscriber = s, .owner = subscriber_as_sender_owner(), .owner_arg = s, .job = -1};
    lane_init(&s->live.lane, &policy, &s->throttle, &s->endpoint, 7);
    lane_at_end(&s->live.lane, 7, false);
    subscriber_as_sender_owner()->at_end(s);
    return 0;
}

static int end(void **state) {
    (void)state;
    loop_timer_clear(d.service.loop, &s->checkpoint.due);
    subscriber_free(s);
    match_free(d.match);
    loop_free(d.service.loop);
    return 0;
}

static void append(int64_t cursor, const char *topic) {
    const struct feed_event event = {
        .cursor = cursor, .topic = span_of(topic), .appended_ms = 1000 + cursor};
    subscribers_appended(&d, &event);
}

static void an_event_wakes_the_lane_that_waits_for_it(void **state) {
    (void)state;
    append(8, "b");
    assert_true(s->live.lane.at_end);
    append(9, "a.b");
    assert_false(s->live.lane.at_end);
    assert_true(s->live.lane.scanned == 8 && subscriber_oldest_ms(s) == 1009);
    assert_true(s->checkpoint.due.slot); /* the token soon says that the lane is behind */
    assert_true(s->in_match);
}

static void a_lane_that_is_behind_leaves_the_index_until_it_is_at_the_end_again(void **state) {
    (void)state;
    append(8, "a");
    append(9, "a");
    assert_false(s->in_match);
    append(10, "a");
    assert_true(s->live.lane.scanned == 7);
    lane_at_end(&s->live.lane, 10, false);
    subscriber_as_sender_owner()->at_end(s);
    append(11, "a");
    assert_false(s->live.lane.at_end);
    assert_true(s->in_match && s->live.lane.scanned == 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_event_wakes_the_lane_that_waits_for_it),
        TEST(a_lane_that_is_behind_leaves_the_index_until_it_is_at_the_end_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
