/* JSON strings: escapes resolved byte by byte, and texts that do not fit. */
#include <limits.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

#include <cmocka.h>

#include "common/json/json_string.h"

static void test_each_escape_stands_for_its_character(void **state) {
    static const struct {
        const char *value, *text;
    } cases[] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u007f\"", "A\x7f"},
        {"\"\\u0080\\u00e9\\u07ff\"", "\xc2\x80\u00e9\u07ff"},
        {"\"\\u0800\\u20AC\\uffff\"", "\u0800\u20ac\uffff"},
        {"\"\\ud800\\udc00\\uDBFF\\uDFFF\"", "\U00010000\U0010ffff"},
        {"\"a\\ud83d\\ude00b\"", "a\U0001F600b"},
        {"\"\u00e9\u20ac\U0001F600\"", "\u00e9\u20ac\U0001F600"},
        {"\"\\\\u0041\"", "\\u0041"},
        {"\"\\/\\/\"", "//"},
    };
    char out[64];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(json_unescape(span_of(cases[i].value), out, sizeof out),
                         strlen(cases[i].text));
        assert_string_equal(out, cases[i].text);
    }
}

static void test_a_zero_character_is_a_byte_like_others(void **state) {
    char out[8];
    (void)state;
    assert_int_equal(json_unescape(span_of("\"a\\u0000b\""), out, sizeof out), 3);
    assert_memory_equal(out, "a\0b", 4);
}

static void test_all_code_points_are_resolved_as_the_c_library_encodes_them(void **state) {
    char value[24], out[8], expected[MB_LEN_MAX];
    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    for (unsigned code = 1; code <= 0x10ffff; code++) {
        mbstate_t shift = {0};
        if (code >= 0xd800 && code <= 0xdfff)
            continue;
        if (code < 0x10000)
            snprintf(value, sizeof value, "\"\\u%04x\"", code);
        else
            snprintf(value, sizeof value, "\"\\u%04x\\u%04X\"", 0xd800 + ((code - 0x10000) >> 10),
                     0xdc00 + ((code - 0x10000) & 0x3ff));
        size_t len = wcrtomb(expected, (wchar_t)code, &shift);
        assert_true(json_unescape(span_of(value), out, sizeof out) == (long)len &&
                    memcmp(out, expected, len) == 0);
    }
}

static void test_a_text_fits_with_its_nul_or_is_refused(void **state) {
    char *out = malloc(4); /* so that a sanitizer detects a write beyond it */
    (void)state;
    assert_int_equal(json_unescape(span_of("\"abc\""), out, 4), 3);
    assert_string_equal(out, "abc");
    assert_int_equal(json_unescape(span_of("\"abcd\""), out, 4), -1);
    assert_string_equal(out, "abc");
    assert_int_equal(json_unescape(span_of("\"\\u20ac\""), out, 4), 3);
    assert_int_equal(json_unescape(span_of("\"\""), out, 1), 0);
    assert_int_equal(json_unescape(span_of("\"a\""), out, 1), -1);
    assert_string_equal(out, "");
    free(out);
}

static void test_what_is_left_of_a_text_that_does_not_fit_is_whole_characters(void **state) {
    char out[8];
    (void)state;
    assert_int_equal(json_unescape(span_of("\"a\u20ac\u20ac\u20ac\""), out, 6), -1);
    assert_string_equal(out, "a\u20ac");
    assert_int_equal(json_unescape(span_of("\"\\ud83d\\ude00\""), out, 4), -1);
    assert_string_equal(out, "");
    assert_int_equal(json_unescape(span_of("\"ab\u00e9c\""), out, 5), -1);
    assert_string_equal(out, "ab\u00e9");
}

static void test_only_a_whole_valid_string_is_one(void **state) {
    static const char *const others[] = {"",        "\"",     "5",     "null",     "\"a",
                                         "\"\\q\"", "\"\\\"", "\"\"1", "\"a\"b\"", "\"\xff\""};
    (void)state;
    assert_true(json_string_is_valid(span_of("\"\"")));
    assert_true(json_string_is_valid(span_of("\"a\\n\\\"b\"")));
    assert_false(json_string_is_valid((struct span){NULL, 0}));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (json_string_is_valid(span_of(others[i])))
            fail_msg("%s", others[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_escape_stands_for_its_character),
        cmocka_unit_test(test_a_zero_character_is_a_byte_like_others),
        cmocka_unit_test(test_all_code_points_are_resolved_as_the_c_library_encodes_them),
        cmocka_unit_test(test_a_text_fits_with_its_nul_or_is_refused),
        cmocka_unit_test(test_what_is_left_of_a_text_that_does_not_fit_is_whole_characters),
        cmocka_unit_test(test_only_a_whole_valid_string_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
