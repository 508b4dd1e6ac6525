/* The pace of tokens: one a second at most, progress within a second, and the age of unwritten
 * changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatcher/subscriber/checkpoint_pace.h"

static struct checkpoint_pace pace;

static int setup(void **state) {
    (void)state;
    pace = (struct checkpoint_pace){0};
    return 0;
}

static void test_a_change_of_state_is_written_at_once_and_the_next_one_a_second_later(
    void **state) {
    (void)state;
    assert_int_equal(checkpoint_pace_changed(&pace, true, 5000), 5000);
    checkpoint_pace_sent(&pace, 1, 5000);
    assert_int_equal(checkpoint_pace_changed(&pace, true, 5001), 6000);
    assert_int_equal(checkpoint_pace_changed(&pace, true, 5999), 6000);
    checkpoint_pace_sent(&pace, 2, 6000);
    assert_int_equal(checkpoint_pace_changed(&pace, true, 7500), 7500);
}

static void test_a_lane_that_changes_its_state_all_the_time_writes_a_token_a_second(void **state) {
    int64_t due_ms = 0, tokens = 0;
    (void)state;
    for (int64_t now_ms = 1; now_ms <= 10000; now_ms++) {
        due_ms = checkpoint_pace_changed(&pace, now_ms % 2, now_ms);
        if (due_ms <= now_ms)
            checkpoint_pace_sent(&pace, ++tokens, now_ms);
    }
    assert_int_equal(tokens, 10);
}

static void test_progress_is_written_within_a_second(void **state) {
    (void)state;
    assert_int_equal(checkpoint_pace_changed(&pace, false, 5000), 5000 + CHECKPOINT_PACE_WITHIN_MS);
    checkpoint_pace_sent(&pace, 1, 5900);
    assert_int_equal(checkpoint_pace_changed(&pace, false, 5901), 6900);
}

static void test_what_is_unwritten_is_as_old_as_its_oldest_change(void **state) {
    (void)state;
    assert_int_equal(checkpoint_pace_unwritten_ms(&pace, 5000), 0);
    checkpoint_pace_changed(&pace, false, 5000);
    checkpoint_pace_changed(&pace, false, 5500);
    assert_int_equal(checkpoint_pace_unwritten_ms(&pace, 6000), 1000);
    checkpoint_pace_sent(&pace, 1, 6000);
    assert_int_equal(checkpoint_pace_unwritten_ms(&pace, 7000), 2000); /* sent is not written */
    checkpoint_pace_reported(&pace, 1, 6000, true);
    assert_int_equal(checkpoint_pace_unwritten_ms(&pace, 7000), 0);
}

static void test_tokens_that_fail_leave_their_changes_unwritten(void **state) {
    (void)state;
    checkpoint_pace_changed(&pace, false, 5000);
    checkpoint_pace_sent(&pace, 1, 6000);
    checkpoint_pace_changed(&pace, false, 6500);
    checkpoint_pace_sent(&pace, 2, 7000);
    checkpoint_pace_reported(&pace, 1, 6000, false);
    assert_int_equal(checkpoint_pace_unwritten_ms(&pace, 9000), 4000);
    checkpoint_pace_reported(&pace, 2, 7000, false);
    assert_int_equal(checkpoint_pace_unwritten_ms(&pace, 9000), 4000);
    checkpoint_pace_sent(&pace, 3, 9000);
    checkpoint_pace_reported(&pace, 3, 9000, true);
    assert_int_equal(checkpoint_pace_unwritten_ms(&pace, 9500), 0);
}

static void test_an_older_token_that_is_written_proves_what_happened_before_it_was_sent(
    void **state) {
    (void)state;
    checkpoint_pace_changed(&pace, false, 5000);
    checkpoint_pace_sent(&pace, 1, 6000);
    checkpoint_pace_changed(&pace, false, 6500);
    checkpoint_pace_sent(&pace, 2, 7000);
    checkpoint_pace_reported(&pace, 1, 6000, true);
    assert_int_equal(checkpoint_pace_unwritten_ms(&pace, 9000), 3000);
    checkpoint_pace_reported(&pace, 2, 7000, true);
    assert_int_equal(checkpoint_pace_unwritten_ms(&pace, 9000), 0);
    checkpoint_pace_reported(&pace, 1, 6000, true); /* of an earlier lane */
    assert_int_equal(checkpoint_pace_unwritten_ms(&pace, 9000), 0);
}

#define CASE(test) cmocka_unit_test_setup(test, setup)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_a_change_of_state_is_written_at_once_and_the_next_one_a_second_later),
        CASE(test_a_lane_that_changes_its_state_all_the_time_writes_a_token_a_second),
        CASE(test_progress_is_written_within_a_second),
        CASE(test_what_is_unwritten_is_as_old_as_its_oldest_change),
        CASE(test_tokens_that_fail_leave_their_changes_unwritten),
        CASE(test_an_older_token_that_is_written_proves_what_happened_before_it_was_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
