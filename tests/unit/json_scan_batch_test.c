/* The JSON scanner on batches: the elements of an array, the depth of each, and where the array
 * ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/json/json_scan.h"

static struct span content(const struct buf *b) { return (struct span){b->data, b->len}; }

/* {"d":[[…]]} with `depth` levels in all. */
static void put_nested(struct buf *out, unsigned depth) {
    buf_puts(out, "{\"d\":");
    for (unsigned i = 1; i < depth; i++)
        buf_puts(out, "[");
    buf_puts(out, depth == 1 ? "1" : "");
    for (unsigned i = 1; i < depth; i++)
        buf_puts(out, "]");
    buf_puts(out, "}");
}

struct elements {
    size_t count, bytes, members;
    int refuse_at; /* -1: none */
};

/* An element in a batch has the same members as the same text alone. */
static int take_element(void *arg, size_t index, const struct json_element *element,
                        struct error *err) {
    struct elements *seen = arg;
    struct json_member members[JSON_ELEMENT_MEMBERS_MAX];
    struct span value = element->value;
    size_t count;
    assert_int_equal(index, seen->count);
    assert_int_equal(
        json_scan_object(value, JSON_DEPTH_MAX, members, JSON_ELEMENT_MEMBERS_MAX, &count, err),
        element->kind == JSON_IS_OBJECT ? 0 : -1);
    assert_int_equal(element->members_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(element->members[i].name.data, members[i].name.data);
        assert_ptr_equal(element->members[i].value.data, members[i].value.data);
        assert_int_equal(element->members[i].value.len, members[i].value.len);
        assert_int_equal(element->members[i].kind, members[i].kind);
    }
    seen->members += count;
    if ((int)index == seen->refuse_at)
        return error_set_field(err, "topic", "is refused");
    seen->count++;
    seen->bytes += value.len;
    return 0;
}

static void test_a_batch_of_one_to_a_thousand_events_may_each_be_32_levels_deep(void **state) {
    (void)state;
    for (size_t events = 1; events <= 1000; events += events < 10 ? 1 : 90) {
        struct elements seen = {.refuse_at = -1};
        struct buf text = {0};
        struct error err;
        for (size_t i = 0; i < events; i++) {
            buf_puts(&text, i ? " , " : "[ ");
            put_nested(&text, JSON_DEPTH_MAX);
        }
        buf_puts(&text, "]");
        assert_int_equal(json_scan_array(content(&text), JSON_DEPTH_MAX, take_element, &seen, &err),
                         0);
        assert_int_equal(seen.count, events);
        assert_int_equal(seen.bytes, events * (6 + 2 * (JSON_DEPTH_MAX - 1)));
        buf_fini(&text);
    }
}

static void test_an_event_33_levels_deep_is_refused_at_any_place_of_a_batch(void **state) {
    (void)state;
    for (size_t deep = 0; deep < 3; deep++) {
        struct elements seen = {.refuse_at = -1};
        struct buf text = {0};
        struct error err;
        for (size_t i = 0; i < 3; i++) {
            buf_puts(&text, i ? "," : "[");
            put_nested(&text, i == deep ? JSON_DEPTH_MAX + 1 : JSON_DEPTH_MAX);
        }
        buf_puts(&text, "]");
        assert_int_equal(json_scan_array(content(&text), JSON_DEPTH_MAX, take_element, &seen, &err),
                         -1);
        assert_int_equal(seen.count, deep);
        assert_non_null(strstr(err.message, "more than 32 levels"));
        buf_fini(&text);
    }
}

static void test_an_element_that_is_refused_ends_a_batch_with_its_own_reason(void **state) {
    struct elements seen = {.refuse_at = 1};
    struct error err;
    (void)state;
    assert_int_equal(
        json_scan_array(span_of("[{},{},{}]"), JSON_DEPTH_MAX, take_element, &seen, &err), -1);
    assert_int_equal(seen.count, 1);
    assert_string_equal(err.field, "topic");
}

static void test_the_elements_of_a_batch_are_told_with_their_members(void **state) {
    struct elements seen = {.refuse_at = -1};
    struct error err;
    (void)state;
    assert_int_equal(
        json_scan_array(span_of("[ {\"a\":{\"x\":1,\"y\":2} , \"b\" : "
                                "[{}]},{},1,\"{}\",[{\"a\":1}],{\"c\":[1,{\"d\":2}]} ]"),
                        JSON_DEPTH_MAX, take_element, &seen, &err),
        0);
    assert_int_equal(seen.count, 6);
    assert_int_equal(seen.members, 3);
}

static void test_a_batch_must_be_an_array(void **state) {
    static const char *const others[] = {"{}", "1", "\"[]\"", "null"};
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct elements seen = {.refuse_at = -1};
        assert_int_equal(
            json_scan_array(span_of(others[i]), JSON_DEPTH_MAX, take_element, &seen, &err), -1);
        assert_non_null(strstr(err.message, "must be a JSON array"));
        assert_int_equal(seen.count, 0);
    }
}

static void test_an_empty_batch_has_no_elements(void **state) {
    struct elements seen = {.refuse_at = 0};
    struct error err;
    (void)state;
    assert_int_equal(json_scan_array(span_of(" [ ] "), JSON_DEPTH_MAX, take_element, &seen, &err),
                     0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_batch_of_one_to_a_thousand_events_may_each_be_32_levels_deep),
        cmocka_unit_test(test_an_event_33_levels_deep_is_refused_at_any_place_of_a_batch),
        cmocka_unit_test(test_an_element_that_is_refused_ends_a_batch_with_its_own_reason),
        cmocka_unit_test(test_the_elements_of_a_batch_are_told_with_their_members),
        cmocka_unit_test(test_a_batch_must_be_an_array),
        cmocka_unit_test(test_an_empty_batch_has_no_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
