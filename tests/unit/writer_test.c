/* Writing JSON: commas are in the right places, and every text is valid. */
#include "common/json/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/json/json_scan.h"

static struct buf out;

static int setup(void **state) {
    (void)state;
    buf_init(&out);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    buf_fini(&out);
    return 0;
}

static void assert_written(const char *expected) {
    assert_string_equal(buf_string(&out), expected);
    assert_int_equal(strlen(expected), out.len);
}

static void commas_stand_between_members_and_elements(void **state) {
    (void)state;
    json_put_object(&out);
    json_member_string(&out, "id", "a");
    json_member_list(&out, "list");
    json_put_number(&out, 1);
    json_put_string(&out, "two");
    json_put_object(&out);
    json_end_object(&out);
    json_put_list(&out);
    json_end_list(&out);
    json_put_bool(&out, false);
    json_end_list(&out);
    json_member_object(&out, "object");
    json_member_number(&out, "n", 2);
    json_end_object(&out);
    json_member_bool(&out, "last", true);
    json_end_object(&out);
    assert_written("{\"id\":\"a\",\"list\":[1,\"two\",{},[],false],\"object\":{\"n\":2},"
                   "\"last\":true}");
}

/* A string may end with a character that otherwise means that no comma is due. */
static void what_a_text_ends_with_does_not_count(void **state) {
    static const char *const ends[] = {"{", "[", ":", ",", "\"", "\\"};
    struct error err;
    (void)state;
    json_put_list(&out);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        json_put_string(&out, ends[i]);
    json_end_list(&out);
    assert_written("[\"{\",\"[\",\":\",\",\",\"\\\"\",\"\\\\\"]");
    assert_int_equal(json_scan((struct span){out.data, out.len}, JSON_DEPTH_MAX, &err), 0);
}

static void numbers_of_any_size_are_written_whole(void **state) {
    const int64_t list[] = {0, -1, INT64_MAX, INT64_MIN, 10};
    char expected[128];
    (void)state;
    json_put_numbers(&out, list, 5);
    snprintf(expected, sizeof expected, "[0,-1,%lld,%lld,10]", (long long)INT64_MAX,
             (long long)INT64_MIN);
    assert_written(expected);
    buf_clear(&out);
    json_put_numbers(&out, NULL, 0);
    assert_written("[]");
}

static void a_real_number_has_the_fewest_digits_that_read_as_the_same(void **state) {
    static const double numbers[] = {0.1, 1.0 / 3, 2, 12345.678, 1e-2};
    static const char *const texts[] = {"0.1", "0.3333333333333333", "2", "12345.678", "0.01"};
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        buf_clear(&out);
        json_put_real(&out, numbers[i]);
        assert_written(texts[i]);
        assert_true(strtod(out.data, NULL) - numbers[i] == 0);
    }
}

static void any_bytes_give_a_valid_string(void **state) {
    struct error err;
    (void)state;
    json_put_object(&out);
    json_member_span(&out, "text", (struct span){"\0\xff\"\n\x7f", 5});
    json_end_object(&out);
    assert_int_equal(json_scan((struct span){out.data, out.len}, JSON_DEPTH_MAX, &err), 0);
}

static void what_is_json_already_stays_byte_for_byte(void **state) {
    (void)state;
    json_put_object(&out);
    json_member_raw(&out, "data", span_of("{ \"a\" : 1.50 }"));
    json_put_raw(&out, span_of("\"b\":2,\"c\":3"));
    json_put_raw(&out, span_of(""));
    json_put_raw(&out, (struct span){NULL, 0});
    json_end_object(&out);
    assert_written("{\"data\":{ \"a\" : 1.50 },\"b\":2,\"c\":3}");
}

static void members_without_braces_begin_without_a_comma(void **state) {
    (void)state;
    json_member_number(&out, "index", 3);
    json_member_string(&out, "id", "x");
    assert_written("\"index\":3,\"id\":\"x\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commas_stand_between_members_and_elements, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_text_ends_with_does_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_of_any_size_are_written_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_real_number_has_the_fewest_digits_that_read_as_the_same,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(any_bytes_give_a_valid_string, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_json_already_stays_byte_for_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(members_without_braces_begin_without_a_comma, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
