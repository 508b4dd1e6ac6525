/* How long the next attempt waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatcher/lane/retry.h"

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void the_wait_is_between_half_and_all_of_the_delay(void **state) {
    uint64_t seed = 0x5eed;
    (void)state;
    for (int64_t attempt = 1, delay = 1000; attempt <= 20;
         attempt++, delay = delay * 2 > 60000 ? 60000 : delay * 2) {
        int64_t low = INT64_MAX, high = 0;
        for (int i = 0; i < 2000; i++) {
            int64_t wait = retry_wait_ms(1000, 60000, attempt, 0, next_random(&seed));
            assert_true(wait >= delay / 2 && wait <= delay);
            low = wait < low ? wait : low;
            high = wait > high ? wait : high;
        }
        /* Spread over the range: a crowd that failed together does not return together. */
        assert_true(low < delay / 2 + delay / 20);
        assert_true(high > delay - delay / 20);
    }
}

static void the_extremes_of_the_random_number_stay_in_the_range(void **state) {
    static const uint64_t extremes[] = {
        0, 1, UINT32_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++) {
        assert_in_range(retry_wait_ms(1000, 3600000, 3, 0, extremes[i]), 2000, 4000);
        assert_in_range(retry_wait_ms(1, 1, 1, 0, extremes[i]), 0, 1);
        assert_in_range(retry_wait_ms(7, 7, 9, 0, extremes[i]), 3, 7);
    }
}

static void retry_after_is_a_lower_bound(void **state) {
    uint64_t seed = 0xabc;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_in_range(retry_wait_ms(1000, 60000, 1, 5000, next_random(&seed)), 5000, 5000);
        assert_in_range(retry_wait_ms(1000, 60000, 4, 5000, next_random(&seed)), 5000, 8000);
        assert_in_range(retry_wait_ms(1000, 60000, 5, 100, next_random(&seed)), 8000, 16000);
    }
}

static void retry_after_never_exceeds_the_longest_backoff(void **state) {
    uint64_t seed = 0xdef;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(retry_wait_ms(1000, 60000, 1, 60001, next_random(&seed)), 60000);
        assert_int_equal(retry_wait_ms(1000, 60000, 30, 86400000, next_random(&seed)), 60000);
        assert_int_equal(retry_wait_ms(1000, 60000, 1, INT64_MAX, next_random(&seed)), 60000);
    }
}

static void a_thousand_attempts_overflow_nothing(void **state) {
    static const int64_t longest = 10LL * 365 * 86400 * 1000;
    uint64_t seed = 0x1000;
    (void)state;
    for (int64_t attempt = 1; attempt <= 1000; attempt++) {
        int64_t wait = retry_wait_ms(1, longest, attempt, 0, next_random(&seed));
        assert_true(wait >= 0 && wait <= longest);
        if (attempt > 50) /* 2^50 ms is beyond `longest` */
            assert_true(wait >= longest / 2);
        wait = retry_wait_ms(3600000, 3600000, attempt, 0, next_random(&seed));
        assert_in_range(wait, 1800000, 3600000);
    }
    assert_in_range(retry_wait_ms(1000, 60000, INT64_MAX, 0, UINT64_MAX), 30000, 60000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wait_is_between_half_and_all_of_the_delay),
        cmocka_unit_test(the_extremes_of_the_random_number_stay_in_the_range),
        cmocka_unit_test(retry_after_is_a_lower_bound),
        cmocka_unit_test(retry_after_never_exceeds_the_longest_backoff),
        cmocka_unit_test(a_thousand_attempts_overflow_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
