/* librdkafka's log lines as an operator sees them: only warnings and worse, each kind once a
 * minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/kafka/cause.h"

enum { LEVEL_ERROR = 3, LEVEL_WARNING = 4, LEVEL_NOTICE = 5 };

static struct causes fresh(void) {
    struct causes causes;
    causes_init(&causes);
    return causes;
}

static void a_line_that_repeats_is_shown_once_a_minute_with_a_count(void **state) {
    (void)state;
    struct causes causes = fresh();
    int64_t held_back = -1;
    assert_true(causes_pass(&causes, LEVEL_ERROR,
                            "b:1: SASL authentication error (after 304ms in state AUTH_REQ)", 1000,
                            &held_back));
    assert_int_equal(held_back, 0);
    assert_false(causes_pass(&causes, LEVEL_ERROR,
                             "b:1: SASL authentication error (after 7ms in state CONNECT)", 1001,
                             &held_back));
    assert_false(
        causes_pass(&causes, LEVEL_ERROR, "b:2: SASL authentication error", 60999, &held_back));
    assert_true(
        causes_pass(&causes, LEVEL_ERROR, "b:1: SASL authentication error", 61000, &held_back));
    assert_int_equal(held_back, 2);
}

static void another_cause_is_shown_at_once(void **state) {
    (void)state;
    struct causes causes = fresh();
    int64_t held_back;
    assert_true(
        causes_pass(&causes, LEVEL_ERROR, "Connect failed: Connection refused", 1000, &held_back));
    assert_true(
        causes_pass(&causes, LEVEL_WARNING, "Failed to resolve 'kafka:9092'", 1000, &held_back));
    assert_false(
        causes_pass(&causes, LEVEL_ERROR, "Connect failed: Connection refused", 1000, &held_back));
}

static void what_is_no_warning_is_not_shown(void **state) {
    (void)state;
    struct causes causes = fresh();
    int64_t held_back;
    assert_false(causes_pass(&causes, LEVEL_NOTICE, "Disconnected", 1000, &held_back));
}

static void more_kinds_than_are_kept_are_shown_all_the_same(void **state) {
    (void)state;
    struct causes causes = fresh();
    char text[] = "a";
    int64_t held_back;
    for (int i = 0; i < 20; i++, text[0]++)
        assert_true(causes_pass(&causes, LEVEL_ERROR, text, 1000, &held_back));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_that_repeats_is_shown_once_a_minute_with_a_count),
        cmocka_unit_test(another_cause_is_shown_at_once),
        cmocka_unit_test(what_is_no_warning_is_not_shown),
        cmocka_unit_test(more_kinds_than_are_kept_are_shown_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
