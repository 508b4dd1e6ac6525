/* Fences: a written fence can be read back, and an unreadable fence belongs to another owner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/model/fence.h"

static void test_a_fence_is_read_as_it_was_written(void **state) {
    static const uint64_t numbers[] = {1, 42, UINT64_MAX, (1ULL << 53) + 1};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct buf text = {0};
        uint64_t owner, assignment;
        fence_to_json(numbers[i], numbers[i] - 1, &text);
        fence_from_json((struct span){text.data, text.len}, &owner, &assignment);
        assert_true(owner == numbers[i] && assignment == numbers[i] - 1);
        buf_fini(&text);
    }
}

static void test_what_cannot_be_read_is_a_fence_of_nobody_known(void **state) {
    static const char *const texts[] = {"",
                                        "null",
                                        "[]",
                                        "{",
                                        "{}",
                                        "{\"v\":1,\"owner\":7}",
                                        "{\"v\":1,\"owner\":\"x\"}",
                                        "{\"v\":1,\"owner\":\"11112222333344445\"}"};
    uint64_t owner, assignment;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        fence_from_json(span_of(texts[i]), &owner, &assignment);
        assert_true(owner == 0);
    }
    fence_from_json((struct span){NULL, 0}, &owner, &assignment);
    assert_true(owner == 0 && assignment == 0);
}

static void test_a_newer_versions_fence_is_read_for_what_is_known_of_it(void **state) {
    uint64_t owner, assignment;
    (void)state;
    fence_from_json(span_of("{\"v\":2,\"owner\":\"000000000000002a\",\"more\":[1],\"assignment\":"
                            "\"0000000000000003\"}"),
                    &owner, &assignment);
    assert_true(owner == 42 && assignment == 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fence_is_read_as_it_was_written),
        cmocka_unit_test(test_what_cannot_be_read_is_a_fence_of_nobody_known),
        cmocka_unit_test(test_a_newer_versions_fence_is_read_for_what_is_known_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
