/* Chunks of the log: what was put in comes out, in order and by topic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/feed/chunk.h"

static void add(struct chunk *chunk, int64_t cursor, const char *topic, const char *id) {
    char stored[128];
    snprintf(stored, sizeof stored, "{\"topic\":\"%s\",\"id\":\"%s\",\"data\":1}", topic, id);
    const struct feed_event event = {.cursor = cursor,
                                     .appended_ms = 1000 + cursor,
                                     .topic = span_of(topic),
                                     .id = span_of(id),
                                     .key = span_of(cursor % 2 ? "key" : ""),
                                     .traceparent = span_of(""),
                                     .stored = span_of(stored)};
    chunk_add(chunk, &event);
}

static void test_what_was_added_is_found_again_in_order(void **state) {
    struct chunk *chunk = chunk_new(10, 1);
    struct feed_event event;
    (void)state;
    add(chunk, 11, "a.b", "one");
    add(chunk, 15, "c", "two");
    add(chunk, 16, "a.b", "three");
    assert_int_equal(chunk->from, 10);
    assert_int_equal(chunk->to, 16);
    assert_int_equal(chunk->topics_count, 2);
    chunk_seal(chunk);
    chunk_get(chunk, 1, &event);
    assert_int_equal(event.cursor, 15);
    assert_int_equal(event.appended_ms, 1015);
    assert_true(span_equal(event.topic, span_of("c")));
    assert_true(span_equal(event.id, span_of("two")));
    assert_true(span_equal(event.key, span_of("key")));
    assert_true(span_equal(event.stored, span_of("{\"topic\":\"c\",\"id\":\"two\",\"data\":1}")));
    assert_int_equal(chunk_topic_of(chunk, 0), chunk_topic_of(chunk, 2));
    chunk_free(chunk);
}

static void test_find_gives_the_first_event_above_a_cursor_also_in_a_hole(void **state) {
    struct chunk *chunk = chunk_new(0, 1);
    (void)state;
    assert_int_equal(chunk_find(chunk, 0), 0);
    add(chunk, 3, "t", "a");
    add(chunk, 7, "t", "b");
    chunk_extend(chunk, 9);
    chunk_extend(chunk, 8);
    assert_int_equal(chunk->to, 9);
    assert_int_equal(chunk_find(chunk, 0), 0);
    assert_int_equal(chunk_find(chunk, 3), 1);
    assert_int_equal(chunk_find(chunk, 5), 1);
    assert_int_equal(chunk_find(chunk, 7), 2);
    assert_int_equal(chunk_find(chunk, 100), 2);
    chunk_free(chunk);
}

static void test_a_thousand_events_keep_their_texts_while_memory_grows(void **state) {
    struct chunk *chunk = chunk_new(0, 1);
    struct feed_event event;
    char topic[32], id[32];
    (void)state;
    for (int i = 1; i <= 1000; i++) {
        snprintf(topic, sizeof topic, "topic.%d", i % 37);
        snprintf(id, sizeof id, "id-%d", i);
        add(chunk, i, topic, id);
    }
    size_t before = chunk_bytes(chunk);
    chunk_seal(chunk);
    assert_true(chunk_bytes(chunk) <= before);
    assert_int_equal(chunk->topics_count, 37);
    for (int i = 1; i <= 1000; i++) {
        snprintf(id, sizeof id, "id-%d", i);
        chunk_get(chunk, chunk_find(chunk, i - 1), &event);
        assert_int_equal(event.cursor, i);
        assert_true(span_equal(event.id, span_of(id)));
    }
    chunk_free(chunk);
}

static void test_holes_are_known_between_any_two_cursors(void **state) {
    struct chunk *chunk = chunk_new(10, 1);
    (void)state;
    add(chunk, 11, "t", "a");
    add(chunk, 14, "t", "b"); /* 12 and 13 are missing */
    chunk_pass(chunk, 15);    /* a record that is not an event */
    add(chunk, 16, "t", "c");
    chunk_pass(chunk, 20); /* 17 to 19 are missing */
    chunk_extend(chunk, 22);
    chunk_seal(chunk);
    for (int64_t above = 10; above <= 22; above++) {
        for (int64_t below = above + 1; below <= 23; below++) {
            bool hole = false;
            for (int64_t c = above + 1; c < below; c++)
                hole |= c == 12 || c == 13 || (c >= 17 && c <= 19) || c >= 21;
            assert_int_equal(chunk_has_hole(chunk, above, below), hole);
        }
    }
    chunk_free(chunk);
}

static void test_a_chunk_without_holes_has_none_and_pays_for_none(void **state) {
    struct chunk *chunk = chunk_new(0, 1);
    (void)state;
    for (int i = 1; i <= 100; i++)
        add(chunk, i, "t", "x");
    chunk_extend(chunk, 100);
    assert_false(chunk_has_hole(chunk, 0, 101));
    assert_int_equal(chunk->holes_count, 0);
    chunk_free(chunk);
}

static void test_a_chunk_is_full_by_what_it_holds_not_by_its_room(void **state) {
    struct chunk *chunk = chunk_new(0, 1);
    (void)state;
    assert_false(chunk_is_full(chunk, 1));
    for (int i = 1; !chunk_is_full(chunk, 64 * 1024); i++)
        add(chunk, i, "t", "x");
    chunk_seal(chunk);
    assert_true(chunk_bytes(chunk) >= 64 * 1024);
    assert_true(chunk_bytes(chunk) < 66 * 1024);
    chunk_free(chunk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_added_is_found_again_in_order),
        cmocka_unit_test(test_find_gives_the_first_event_above_a_cursor_also_in_a_hole),
        cmocka_unit_test(test_a_thousand_events_keep_their_texts_while_memory_grows),
        cmocka_unit_test(test_holes_are_known_between_any_two_cursors),
        cmocka_unit_test(test_a_chunk_without_holes_has_none_and_pays_for_none),
        cmocka_unit_test(test_a_chunk_is_full_by_what_it_holds_not_by_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
