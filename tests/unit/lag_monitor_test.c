/* When an operator is warned. */
#include "feed_fake.h"
#include "loop_fixture.h"

#include "dispatcher/lane/endpoint.h"
#include "dispatcher/lane/lane.h"
#include "dispatcher/subscriber/lag_monitor.h"

static struct endpoint endpoint;
static struct lag_watch watch = {.endpoint = &endpoint};
static const int64_t now_ms = 1700000000000, hour_ms = 3600000;

static int64_t virtual_ms = 1000000;

int64_t clock_ms(void) { return virtual_ms; }
int64_t clock_us(void) { return virtual_ms * 1000; }
int64_t clock_wall_ms(void) { return now_ms; }

static void a_lag_is_near_the_window_from_four_fifths_of_it_on(void **state) {
    (void)state;
    const int64_t window_ms = 10 * hour_ms;
    watch.oldest_ms = 0;
    assert_false(lag_watch_nears_window(&watch, window_ms, now_ms));
    watch.oldest_ms = now_ms - 8 * hour_ms + 1;
    assert_false(lag_watch_nears_window(&watch, window_ms, now_ms));
    watch.oldest_ms = now_ms - 8 * hour_ms;
    assert_true(lag_watch_nears_window(&watch, window_ms, now_ms));
}

static void an_endpoint_fails_long_after_an_hour_without_a_2xx(void **state) {
    (void)state;
    endpoint.failing_ms = 0;
    assert_false(lag_watch_fails_long(&watch));
    endpoint.failing_ms = hour_ms - 1;
    assert_false(lag_watch_fails_long(&watch));
    endpoint.failing_ms = hour_ms;
    assert_true(lag_watch_fails_long(&watch));
}

static void ignore_change(void *arg) { (void)arg; }

static void look(void) {
    virtual_ms += 1000;
    turn_once();
}

/* As in a pulled subscriber, whose consumer has gone. */
static void an_event_that_waits_in_the_window_is_warned_of_too(void **state) {
    static const struct lane_policy pulled = {.pulled = true};
    struct endpoint none = {0};
    struct throttle throttle;
    struct lane lane;
    struct lag_watch of_lane;
    (void)state;
    fake_feed_clear();
    throttle_init(&throttle, 0);
    lane_init(&lane, &pulled, &throttle, &none, 0);
    lane_found(&lane, 4, 1, 0, false);
    lane_note_appended(&lane, 4, now_ms - 9 * hour_ms);
    struct lag_monitor *monitor = lag_monitor_new(loop, &fake_feed, 10 * hour_ms);
    lag_watch_init(&of_lane, "a", &lane, &none, ignore_change, NULL);
    lag_watch_begin(&of_lane, monitor);
    look();
    assert_true(lag_watch_nears_window(&of_lane, 10 * hour_ms, now_ms));
    lane_acknowledge(&lane, 4);
    lane_at_end(&lane, 4, false);
    look();
    assert_false(lag_watch_nears_window(&of_lane, 10 * hour_ms, now_ms));
    lag_watch_end(&of_lane);
    lag_monitor_free(monitor);
    lane_fini(&lane);
    throttle_fini(&throttle);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lag_is_near_the_window_from_four_fifths_of_it_on),
        cmocka_unit_test(an_endpoint_fails_long_after_an_hour_without_a_2xx),
        cmocka_unit_test_setup_teardown(an_event_that_waits_in_the_window_is_warned_of_too,
                                        make_loop, free_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
