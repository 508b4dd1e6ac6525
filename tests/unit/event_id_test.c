/* Ids that are made of a topic and its publisher's cursor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/model/event.h"

static void test_an_id_of_a_topics_cursor_names_the_topic(void **state) {
    char topic[TOPIC_BYTES_MAX + 1];
    (void)state;
    assert_true(event_id_topic("drug/copay:1842", topic));
    assert_string_equal(topic, "drug.copay");
    assert_true(event_id_topic("a:0", topic));
    assert_string_equal(topic, "a");
}

static void test_other_ids_name_no_topic(void **state) {
    static const char *const others[] = {
        "a",   "a:",   ":1",     "a/b",   "a:1x",
        "a:b", "/a:1", "a//b:1", "a b:1", "018f3c2e-7d1a-7c3e-9b1f-5d0c2a4e6f80"};
    char topic[TOPIC_BYTES_MAX + 1];
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(event_id_topic(others[i], topic));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_id_of_a_topics_cursor_names_the_topic),
        cmocka_unit_test(test_other_ids_name_no_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
