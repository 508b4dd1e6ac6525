/* When an operator is warned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/lookout.h"
#include "dispatcher/subscriber/subscriber.h"

static struct dispatcher dispatcher;
static struct subscriber subscriber = {.dispatcher = &dispatcher};
static const int64_t now_ms = 1700000000000, hour_ms = 3600000;

static void a_lag_is_near_the_window_from_four_fifths_of_it_on(void **state) {
    (void)state;
    dispatcher.settings.kafka.replay_window_ms = 10 * hour_ms;
    subscriber.oldest_ms = 0;
    assert_false(lookout_lag_nears_window(&subscriber, now_ms));
    subscriber.oldest_ms = now_ms - 8 * hour_ms + 1;
    assert_false(lookout_lag_nears_window(&subscriber, now_ms));
    subscriber.oldest_ms = now_ms - 8 * hour_ms;
    assert_true(lookout_lag_nears_window(&subscriber, now_ms));
}

static void an_endpoint_fails_long_after_an_hour_without_a_2xx(void **state) {
    (void)state;
    subscriber.endpoint.failing_ms = 0;
    assert_false(lookout_fails_long(&subscriber));
    subscriber.endpoint.failing_ms = hour_ms - 1;
    assert_false(lookout_fails_long(&subscriber));
    subscriber.endpoint.failing_ms = hour_ms;
    assert_true(lookout_fails_long(&subscriber));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lag_is_near_the_window_from_four_fifths_of_it_on),
        cmocka_unit_test(an_endpoint_fails_long_after_an_hour_without_a_2xx),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
