/* Hex digits: lower-case when written; of either case, and exactly as many as asked for, when
 * read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hex.h"

static void test_every_byte_comes_back(void **state) {
    unsigned char bytes[256], read[sizeof bytes];
    char hex[2 * sizeof bytes + 1];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    hex_put(bytes, sizeof bytes, hex);
    assert_int_equal(strlen(hex), 2 * sizeof bytes);
    assert_int_equal(strspn(hex, "0123456789abcdef"), 2 * sizeof bytes);
    assert_int_equal(hex_parse(span_of(hex), read, sizeof read), 0);
    assert_memory_equal(read, bytes, sizeof bytes);
}

static void test_the_high_digit_comes_first(void **state) {
    const unsigned char bytes[] = {0x01, 0xaf, 0xf0};
    unsigned char read[sizeof bytes];
    char hex[7];
    (void)state;
    hex_put(bytes, sizeof bytes, hex);
    assert_string_equal(hex, "01aff0");
    assert_int_equal(hex_parse(span_of("01AfF0"), read, sizeof read), 0);
    assert_memory_equal(read, bytes, sizeof bytes);
}

static void test_any_other_text_is_refused(void **state) {
    static const char *const bad[] = {"",     "0",    "012",  "01234", "0g12", "012g",   "01 2",
                                      "/012", ":012", "@012", "G012",  "`012", "\200012"};
    unsigned char bytes[2];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(hex_parse(span_of(bad[i]), bytes, sizeof bytes), -1);
    assert_int_equal(hex_parse((struct span){"01\0002", 4}, bytes, sizeof bytes), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_comes_back),
        cmocka_unit_test(test_the_high_digit_comes_first),
        cmocka_unit_test(test_any_other_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
