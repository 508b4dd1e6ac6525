/* UTF-8 by the table of RFC 3629, section 4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/utf8.h"

/* Writes the character, in as many bytes as its number needs. */
static size_t encode(uint32_t code, char out[4]) {
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(lead[length] | code);
    return length;
}

static void every_character_but_surrogates_has_its_length(void **state) {
    (void)state;
    char text[4];
    for (uint32_t code = 0; code < 0x200000; code++) {
        size_t length = encode(code, text);
        bool character = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        if (utf8_length(text, length) != (character ? length : 0))
            fail_msg("U+%04X", code);
    }
}

static void of_all_pairs_of_bytes_only_the_shortest_forms_are_characters(void **state) {
    (void)state;
    for (unsigned first = 0x80; first <= 0xff; first++) {
        for (unsigned second = 0; second <= 0xff; second++) {
            const char text[2] = {(char)first, (char)second};
            bool character = first >= 0xc2 && first <= 0xdf && second >= 0x80 && second <= 0xbf;
            if (utf8_length(text, 2) != (character ? 2 : 0))
                fail_msg("%02x %02x", first, second);
        }
    }
}

static void overlong_forms_are_refused(void **state) {
    (void)state;
    assert_int_equal(utf8_length("\xe0\x9f\xbf", 3), 0);     /* U+07FF in three */
    assert_int_equal(utf8_length("\xf0\x8f\xbf\xbf", 4), 0); /* U+FFFF in four */
    assert_int_equal(utf8_length("\xf8\x88\x80\x80\x80", 5), 0);
}

static void a_character_that_is_cut_off_is_none(void **state) {
    (void)state;
    static const char *const whole[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < 3; i++) {
        for (size_t left = 0; left < strlen(whole[i]); left++)
            assert_int_equal(utf8_length(whole[i], left), 0);
        assert_int_equal(utf8_length(whole[i], strlen(whole[i])), strlen(whole[i]));
        assert_int_equal(utf8_length(whole[i], 100), strlen(whole[i]));
    }
}

static void a_character_is_none_when_another_begins_within_it(void **state) {
    (void)state;
    assert_int_equal(utf8_length("\xe2\x82g", 3), 0);
    assert_int_equal(utf8_length("\xe2g\xac", 3), 0);
    assert_int_equal(utf8_length("\xf0\x9f\x98g", 4), 0);
    assert_int_equal(utf8_length("\xf0\x9f\xc3\xa4", 4), 0);
}

static void what_fits_ends_with_a_whole_character(void **state) {
    (void)state;
    static const size_t fits[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10}; /* of a, 2, 3 and 4 bytes */
    for (size_t max = 0; max <= 10; max++)
        assert_int_equal(utf8_fit("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10, max), fits[max]);
    assert_int_equal(utf8_fit("a\xc3\xa4", 3, 100), 3);
    assert_int_equal(utf8_fit("", 0, 0), 0);
    assert_int_equal(utf8_fit("\xa4\xa4\xa4", 3, 2), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_but_surrogates_has_its_length),
        cmocka_unit_test(of_all_pairs_of_bytes_only_the_shortest_forms_are_characters),
        cmocka_unit_test(overlong_forms_are_refused),
        cmocka_unit_test(a_character_that_is_cut_off_is_none),
        cmocka_unit_test(a_character_is_none_when_another_begins_within_it),
        cmocka_unit_test(what_fits_ends_with_a_whole_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
