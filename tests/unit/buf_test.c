/* The growing buffer: its NUL, its growth, and its JSON strings. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/base/buf.h"

static void an_empty_buffer_is_the_empty_string(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b);
    assert_string_equal(buf_string(&b), "");
    buf_append(&b, NULL, 0);
    assert_string_equal(buf_string(&b), "");
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

static void what_is_appended_stands_there_with_a_nul_behind_it(void **state) {
    (void)state;
    struct buf b = {0};
    buf_puts(&b, "one");
    buf_append(&b, " two\0three", 10);
    buf_printf(&b, " %s %d", "four", 5);
    assert_int_equal(b.len, 20);
    assert_memory_equal(b.data, "one two\0three four 5", 21);
    buf_fini(&b);
    assert_null(b.data);
    assert_int_equal(b.len, 0);
}

static void it_grows_without_losing_a_byte(void **state) {
    (void)state;
    struct buf b = {0};
    for (unsigned i = 0; i < 100000; i++) {
        buf_append(&b, &(unsigned char){(unsigned char)(i * 7)}, 1);
        assert_true(b.len < b.cap);
    }
    for (unsigned i = 0; i < 100000; i++)
        if ((unsigned char)b.data[i] != (unsigned char)(i * 7))
            fail_msg("at %u", i);
    assert_int_equal(b.data[b.len], 0);
    buf_fini(&b);
}

static void a_printed_text_of_any_length_fits(void **state) {
    (void)state;
    for (size_t len = 0; len < 300; len++) {
        struct buf b = {0};
        buf_printf(&b, "%*s", (int)len, "");
        assert_int_equal(b.len, len);
        assert_int_equal(strlen(buf_string(&b)), len);
        buf_fini(&b);
    }
}

static void a_cleared_buffer_is_empty_and_keeps_its_memory(void **state) {
    (void)state;
    struct buf b = {0};
    buf_clear(&b);
    assert_string_equal(buf_string(&b), "");
    buf_puts(&b, "something");
    size_t cap = b.cap;
    buf_clear(&b);
    assert_string_equal(buf_string(&b), "");
    assert_int_equal(b.cap, cap);
    buf_puts(&b, "new");
    assert_string_equal(buf_string(&b), "new");
    buf_fini(&b);
}

static void room_that_nothing_was_written_to_leaves_the_string_as_it_was(void **state) {
    (void)state;
    struct buf b = {0};
    buf_reserve(&b, 100);
    assert_string_equal(buf_string(&b), "");
    buf_puts(&b, "text");
    buf_reserve(&b, 5000);
    assert_string_equal(buf_string(&b), "text");
    buf_fini(&b);
}

static void bytes_written_to_reserved_room_count_once_they_are_committed(void **state) {
    (void)state;
    struct buf b = {0};
    buf_puts(&b, "text");
    memset(buf_reserve(&b, 200), 'x', 200); /* more than the buffer keeps */
    buf_commit(&b, 3);
    assert_int_equal(b.len, 7);
    assert_string_equal(buf_string(&b), "textxxx");
    buf_fini(&b);
}

static void detached_memory_is_the_callers_and_the_buffer_is_new(void **state) {
    (void)state;
    struct buf b = {0};
    size_t len = 99;
    char *text = buf_detach(&b, &len);
    assert_string_equal(text, "");
    assert_int_equal(len, 0);
    free(text);
    buf_puts(&b, "kept");
    text = buf_detach(&b, NULL);
    assert_null(b.data);
    buf_puts(&b, "other");
    assert_string_equal(text, "kept");
    assert_string_equal(buf_string(&b), "other");
    free(text);
    buf_fini(&b);
}

/* --- JSON strings */

static void assert_json(const char *text, size_t len, const char *expected) {
    struct buf b = {0};
    buf_json_string(&b, text, len);
    assert_string_equal(buf_string(&b), expected);
    buf_fini(&b);
}

static void plain_text_and_other_scripts_stand_in_quotes_as_they_are(void **state) {
    (void)state;
    assert_json("", 0, "\"\"");
    assert_json(NULL, 0, "\"\"");
    assert_json("a/b <c> & 'd'", 13, "\"a/b <c> & 'd'\"");
    assert_json("Łódź, 日本, 😀", strlen("Łódź, 日本, 😀"), "\"Łódź, 日本, 😀\"");
}

static void quotes_and_backslashes_are_escaped(void **state) {
    (void)state;
    assert_json("\"", 1, "\"\\\"\"");
    assert_json("a\\b\"c", 5, "\"a\\\\b\\\"c\"");
}

static void control_characters_are_escaped_also_the_nul(void **state) {
    (void)state;
    assert_json("\b\t\n\f\r", 5, "\"\\b\\t\\n\\f\\r\"");
    assert_json("a\0b\x01\x0b\x1f", 6, "\"a\\u0000b\\u0001\\u000b\\u001f\"");
    assert_json("\x7f\xc2\x80\xc2\x9b\xc2\xa0", 7, "\"\\u007f\\u0080\\u009b\xc2\xa0\"");
}

static void what_is_not_utf8_becomes_the_replacement_character(void **state) {
    (void)state;
    assert_json("a\xff"
                "b",
                3,
                "\"a\xef\xbf\xbd"
                "b\"");
    assert_json("\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_json("cut \xe2\x82", 6, "\"cut \xef\xbf\xbd\xef\xbf\xbd\"");
    assert_json("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

/* Any bytes at all make a string that a parser reads; valid text comes back as it was. */
static void a_parser_reads_back_what_was_written(void **state) {
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (int round = 0; round < 2000; round++) {
        char text[64];
        struct buf b = {0};
        for (size_t i = 0; i < sizeof text; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            text[i] = (char)(seed >> 20 & (round % 2 ? 0x7f : 0xff));
        }
        buf_json_string(&b, text, sizeof text);
        json_error_t err;
        json_t *read = json_loadb(b.data, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL,
                                  &err); /* json-c 0.18 accepts no UTF-8 in strict mode */
        assert_true(json_is_string(read));
        if (round % 2) {
            assert_int_equal(json_string_length(read), sizeof text);
            assert_memory_equal(json_string_value(read), text, sizeof text);
        }
        json_decref(read);
        buf_fini(&b);
    }
}

/* --- memory */

static void nothing_can_be_copied_from_nowhere(void **state) {
    (void)state;
    char *copy = mem_copy_string(NULL, 0);
    assert_string_equal(copy, "");
    free(copy);
}

static void a_copy_holds_exactly_the_bytes_and_a_nul(void **state) {
    (void)state;
    char *copy = mem_copy_string("abc\0def", 6);
    assert_memory_equal(copy, "abc\0de", 7);
    free(copy);
}

static void memory_of_no_bytes_is_still_memory(void **state) {
    (void)state;
    void *a = mem_alloc(0), *b = mem_zero(0);
    assert_non_null(a);
    assert_non_null(b);
    a = mem_resize(a, 0);
    assert_non_null(a);
    free(a);
    free(b);
}

static void zeroed_memory_is_zero(void **state) {
    (void)state;
    unsigned char *p = mem_zero(1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(p[i], 0);
    free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_is_the_empty_string),
        cmocka_unit_test(what_is_appended_stands_there_with_a_nul_behind_it),
        cmocka_unit_test(it_grows_without_losing_a_byte),
        cmocka_unit_test(a_printed_text_of_any_length_fits),
        cmocka_unit_test(a_cleared_buffer_is_empty_and_keeps_its_memory),
        cmocka_unit_test(room_that_nothing_was_written_to_leaves_the_string_as_it_was),
        cmocka_unit_test(bytes_written_to_reserved_room_count_once_they_are_committed),
        cmocka_unit_test(detached_memory_is_the_callers_and_the_buffer_is_new),
        cmocka_unit_test(plain_text_and_other_scripts_stand_in_quotes_as_they_are),
        cmocka_unit_test(quotes_and_backslashes_are_escaped),
        cmocka_unit_test(control_characters_are_escaped_also_the_nul),
        cmocka_unit_test(what_is_not_utf8_becomes_the_replacement_character),
        cmocka_unit_test(a_parser_reads_back_what_was_written),
        cmocka_unit_test(nothing_can_be_copied_from_nowhere),
        cmocka_unit_test(a_copy_holds_exactly_the_bytes_and_a_nul),
        cmocka_unit_test(memory_of_no_bytes_is_still_memory),
        cmocka_unit_test(zeroed_memory_is_zero),
    };
    mallopt(M_PERTURB, 0x55); /* fresh memory is not zero */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
