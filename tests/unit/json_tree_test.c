/* JSON as a tree: written again, it equals what was read, to the last digit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/json/json_tree.h"

static const char *written(struct json_object *tree) {
    return json_object_to_json_string_ext(tree,
                                          JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

static void test_what_is_written_again_is_what_was_read(void **state) {
    static const char *const texts[] = {
        "{}",
        "[]",
        "\"\"",
        "{\"a\":[1,-2,[],{}],\"b\":{\"c\":\"d/e\"}}",
        "[12345678901234567890123456789,-9223372036854775809,18446744073709551616]",
        "[9223372036854775807,-9223372036854775808]",
        "[1.50,0.1,-0.0,1e400,1E-5,3.0]",
        "[true,false,null]",
        "{\"a b\":\"\\n\\u0001é😀\",\"\":1}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct json_object *tree = json_tree_of(span_of(texts[i]));
        assert_string_equal(written(tree), texts[i]);
        json_object_put(tree);
    }
}

static void test_white_space_and_escapes_are_resolved(void **state) {
    (void)state;
    struct json_object *tree = json_tree_of(
        span_of(" { \"\\u0061\" : [ \"\\u00e9\\/\" ,\t1 ] ,\n \"b\" : null } "));
    assert_string_equal(written(tree), "{\"a\":[\"é/\",1],\"b\":null}");
    json_object_put(tree);
}

static void test_numbers_have_the_kind_and_value_that_json_c_gives_them(void **state) {
    static const struct {
        const char *text;
        int64_t value;
        enum json_type type;
    } cases[] = {{"7", 7, json_type_int},
                 {"-7", -7, json_type_int},
                 {"99999999999999999999", INT64_MAX, json_type_int},
                 {"-99999999999999999999", INT64_MIN, json_type_int},
                 {"7.0", 7, json_type_double},
                 {"7e0", 7, json_type_double}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_object *tree = json_tree_of(span_of(cases[i].text));
        assert_true(json_object_is_type(tree, cases[i].type));
        assert_int_equal(json_object_get_int64(tree), cases[i].value);
        json_object_put(tree);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_again_is_what_was_read),
        cmocka_unit_test(test_white_space_and_escapes_are_resolved),
        cmocka_unit_test(test_numbers_have_the_kind_and_value_that_json_c_gives_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
