/* What becomes of a lane when its time is over, and when it is renewed. */
#include "tests/unit/lane_fixture.h"

#include "dispatcher/lane/expiry.h"

static void it_is_over_at_its_time_and_without_one_never(UNUSED void **state) {
    assert_false(expiry_is_over(0, INT64_MAX));
    assert_false(expiry_is_over(1000, 999));
    assert_true(expiry_is_over(1000, 1000));
}

static void a_timer_looks_when_it_is_over_and_once_an_hour(UNUSED void **state) {
    assert_int_equal(expiry_wait_ms(0, 1000), INT64_MAX);
    assert_int_equal(expiry_wait_ms(1500, 1000), 500);
    assert_int_equal(expiry_wait_ms(1000, 1000), INT64_MAX);
    assert_int_equal(expiry_wait_ms(WALL_OFFSET, 1000), EXPIRY_LOOK_MAX_MS);
}

static void a_lane_expires_once_and_every_resume_ends_at_once(UNUSED void **state) {
    assert_int_equal(expiry_judge(&lane, 1000, 999), EXPIRY_NONE);
    assert_int_equal(expiry_judge(&lane, 1000, 1000), EXPIRY_OVER);
    lane_disable(&lane, expiry_reason());
    assert_int_equal(expiry_judge(&lane, 1000, 1001), EXPIRY_NONE);
    lane_resume(&lane);
    assert_int_equal(expiry_judge(&lane, 1000, 1002), EXPIRY_OVER);
}

static void only_what_had_expired_is_renewed(UNUSED void **state) {
    lane_disable(&lane, "gone (410)");
    assert_int_equal(expiry_judge(&lane, 1000, 1001), EXPIRY_NONE);
    assert_int_equal(expiry_judge(&lane, 2000, 1001), EXPIRY_NONE);
    lane_resume(&lane);
    lane_disable(&lane, expiry_reason());
    assert_int_equal(expiry_judge(&lane, 2000, 1001), EXPIRY_RENEWED);
    assert_int_equal(expiry_judge(&lane, 0, 1001), EXPIRY_RENEWED);
}

static void what_a_token_says_has_expired_is_renewed_too(UNUSED void **state) {
    struct token token = {.state = TOKEN_DISABLED, .reason = "expired"};
    lane_fini(&lane);
    lane_init_from_token(&lane, &usual, &throttle, &endpoint, &token);
    assert_int_equal(expiry_judge(&lane, 1000, 1001), EXPIRY_NONE);
    assert_int_equal(expiry_judge(&lane, 2000, 1001), EXPIRY_RENEWED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_over_at_its_time_and_without_one_never),
        cmocka_unit_test(a_timer_looks_when_it_is_over_and_once_an_hour),
        cmocka_unit_test_setup_teardown(a_lane_expires_once_and_every_resume_ends_at_once, begin,
                                        end),
        cmocka_unit_test_setup_teardown(only_what_had_expired_is_renewed, begin, end),
        cmocka_unit_test_setup_teardown(what_a_token_says_has_expired_is_renewed_too, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
