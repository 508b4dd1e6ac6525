/* YAML as a tree: the line of each value, at any depth. (Refusals are tested in
 * spec_yaml_test.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "common/json/yaml.h"

static void test_each_value_has_its_line(void **state) {
    static const char text[] = "tokens:\n"
                               "  - name: a\n"
                               "    scopes: [x,\n"
                               "             y]\n"
                               "\n"
                               "  - {name: b,\n"
                               "     scopes: []}\n"
                               "hash_key: k\n";
    struct yaml yaml;
    struct error err;
    (void)state;
    assert_int_equal(yaml_read(&yaml, span_of(text), sizeof text, 5, &err), 0);
    assert_int_equal(yaml_line(&yaml, "tokens"), 1);
    assert_int_equal(yaml_line(&yaml, "tokens[0]"), 2);
    assert_int_equal(yaml_line(&yaml, "tokens[0].scopes"), 3);
    assert_int_equal(yaml_line(&yaml, "tokens[0].scopes[1]"), 4);
    assert_int_equal(yaml_line(&yaml, "tokens[1]"), 6);
    assert_int_equal(yaml_line(&yaml, "tokens[1].scopes"), 7);
    assert_int_equal(yaml_line(&yaml, "hash_key"), 8);
    assert_string_equal(json_object_to_json_string_ext(yaml.root, JSON_C_TO_STRING_PLAIN),
                        "{\"tokens\":[{\"name\":\"a\",\"scopes\":[\"x\",\"y\"]},{\"name\":\"b\","
                        "\"scopes\":[]}],\"hash_key\":\"k\"}");
    yaml_fini(&yaml);
}

static void test_what_is_missing_has_the_line_of_what_it_would_be_in(void **state) {
    struct yaml yaml;
    struct error err;
    (void)state;
    assert_int_equal(yaml_read(&yaml, span_of("a: 1\nb:\n  - c: 1\n"), 100, 4, &err), 0);
    assert_int_equal(yaml_line(&yaml, "b[0].d"), 3);
    assert_int_equal(yaml_line(&yaml, "b[7]"), 2);
    assert_int_equal(yaml_line(&yaml, "bc"), 1);
    assert_int_equal(yaml_line(&yaml, ""), 1);
    yaml_fini(&yaml);
}

static void test_depth_and_size_are_the_callers(void **state) {
    struct yaml yaml;
    struct error err;
    (void)state;
    for (unsigned depth = 3; depth <= 4; depth++) {
        assert_int_equal(yaml_read(&yaml, span_of("a: [[b]]\n"), 9, depth, &err),
                         depth == 4 ? 0 : -1);
        yaml_fini(&yaml);
    }
    assert_int_equal(yaml_read(&yaml, span_of("a: [[b]]\n"), 8, 4, &err), -1);
    assert_string_equal(err.message, "1: must not be larger than 8 bytes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_value_has_its_line),
        cmocka_unit_test(test_what_is_missing_has_the_line_of_what_it_would_be_in),
        cmocka_unit_test(test_depth_and_size_are_the_callers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
