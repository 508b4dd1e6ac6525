/* The field `batch` of a subscriber: its members, their limits and defaults, and how it is
 * written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/json/json_tree.h"
#include "common/model/batch_limits.h"
#include "common/model/spec.h"

static const struct spec_rules from_api = {0}, from_record = {.from_record = true};
static struct batch_limits limits;
static struct error err;

/* JSON in these tests is written with single quotes. */
static int read_by(const struct spec_rules *rules, const char *text) {
    char quoted[256];
    snprintf(quoted, sizeof quoted, "%s", text);
    for (char *p = quoted; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    struct json_object *tree = json_tree_of(span_of(quoted));
    int result = batch_limits_from_tree(&limits, tree, rules, &err);
    json_object_put(tree);
    return result;
}

static void assert_written(const char *text, const char *expected) {
    struct buf out = {0};
    assert_int_equal(read_by(&from_api, text), 0);
    batch_limits_to_json(&limits, &out);
    assert_string_equal(buf_string(&out), expected);
    buf_fini(&out);
}

static void what_is_left_out_has_its_default(void **state) {
    (void)state;
    assert_written("{}", "{\"max_events\":100,\"max_bytes\":\"1MiB\",\"max_wait\":\"0s\"}");
    assert_written("{'max_events':1000,'max_bytes':262144,'max_wait':'60s'}",
                   "{\"max_events\":1000,\"max_bytes\":\"256KiB\",\"max_wait\":\"1m\"}");
    assert_written("{'max_events':1,'max_bytes':'4MiB','max_wait':'0s'}",
                   "{\"max_events\":1,\"max_bytes\":\"4MiB\",\"max_wait\":\"0s\"}");
}

static void what_is_out_of_bounds_names_the_member(void **state) {
    static const struct {
        const char *value, *field, *reason;
    } cases[] = {
        {"5", "batch", "a map with max_events"},
        {"[]", "batch", "a map with max_events"},
        {"{'max_events':0}", "batch.max_events", "from 1 to 1000"},
        {"{'max_events':1001}", "batch.max_events", "from 1 to 1000"},
        {"{'max_events':'5'}", "batch.max_events", "whole number"},
        {"{'max_events':1.5}", "batch.max_events", "whole number"},
        {"{'max_bytes':1023}", "batch.max_bytes", "from 1KiB to 4MiB"},
        {"{'max_bytes':'5MiB'}", "batch.max_bytes", "from 1KiB to 4MiB"},
        {"{'max_bytes':'many'}", "batch.max_bytes", "a size"},
        {"{'max_wait':'61s'}", "batch.max_wait", "from 0s to 60s"},
        {"{'max_wait':5}", "batch.max_wait", "a duration"},
        {"{'events':5}", "batch.events", "is no field of batch"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_by(&from_api, cases[i].value), -1);
        assert_string_equal(err.field, cases[i].field);
        assert_non_null(strstr(err.message, cases[i].reason));
    }
}

static void a_member_of_a_later_version_is_passed_over_in_a_record(void **state) {
    (void)state;
    assert_int_equal(read_by(&from_record, "{'max_events':7,'later':true}"), 0);
    assert_int_equal(limits.max_events, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(what_is_out_of_bounds_names_the_member),
        cmocka_unit_test(a_member_of_a_later_version_is_passed_over_in_a_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
