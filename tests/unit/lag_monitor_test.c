/* When an operator is warned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatcher/lane/endpoint.h"
#include "dispatcher/subscriber/lag_monitor.h"

static struct endpoint endpoint;
static struct lag_watch watch = {.endpoint = &endpoint};
static const int64_t now_ms = 1700000000000, hour_ms = 3600000;

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lag_is_near_the_window_from_four_fifths_of_it_on),
        cmocka_unit_test(an_endpoint_fails_long_after_an_hour_without_a_2xx),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
