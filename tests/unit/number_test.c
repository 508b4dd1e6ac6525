/* Whole numbers as text. */
#include "common/base/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void digits_are_a_number(void **state) {
    (void)state;
    assert_int_equal(number_parse(span_of("0")), 0);
    assert_int_equal(number_parse(span_of("1842")), 1842);
    assert_int_equal(number_parse(span_of("007")), 7);
    assert_int_equal(number_parse(span_of("999999999999999999")), INT64_C(999999999999999999));
}

static void only_the_span_counts(void **state) {
    (void)state;
    assert_int_equal(number_parse((struct span){"12345", 2}), 12);
}

static void any_other_text_is_none(void **state) {
    static const char *const texts[] = {"",      "-1",  "+1",  " 1", "1 ",
                                        "1.0",   "1e3", "0x1", "١",  "1000000000000000000",
                                        "\"1\"", "null"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(number_parse(span_of(texts[i])), -1);
    assert_int_equal(number_parse((struct span){NULL, 0}), -1);
    assert_int_equal(number_parse((struct span){"1\0", 2}), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_are_a_number),
        cmocka_unit_test(only_the_span_counts),
        cmocka_unit_test(any_other_text_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
