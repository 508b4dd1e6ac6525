/* The record of a dead letter: written, read back, shown to users, and redriven. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/model/dead_letter.h"

#define REGISTRATION_ID "0190b6a0-0000-4000-8000-000000000001"
#define EVENT                                                                                      \
    "{\"topic\":\"a.b\",\"cursor\":42,\"prev_cursor\":7,\"compacted\":true,\"id\":\"x\",\"data\":" \
    "{\"prev_cursor\": 1.0}}"
#define HEAD                                                                                       \
    "{\"v\":1,\"subscriber\":\"s\",\"born\":\"" REGISTRATION_ID                                    \
    "\",\"cursor\":42,\"at\":\"2026-01-02T03:04:05.678Z\",\"reason\":\"refused\",\"attempts\":3,"

static const struct dead_letter answered = {.subscriber = "s",
                                            .registration_id = REGISTRATION_ID,
                                            .cursor = 42,
                                            .at_ms = 1767323045678,
                                            .reason = DEAD_LETTER_REFUSED,
                                            .attempts = 3,
                                            .status = 422,
                                            .event = {EVENT, sizeof EVENT - 1}};

static struct dead_letter_record read_text(const char *text) {
    struct dead_letter_record record;
    struct error err;
    assert_int_equal(dead_letter_from_json(&record, span_of(text), &err), 0);
    return record;
}

static void assert_shown(const char *text, bool redriven, const char *expected) {
    struct dead_letter_record record = read_text(text);
    struct buf out = {0};
    dead_letter_show(&record, redriven, &out);
    assert_string_equal(buf_string(&out), expected);
    buf_fini(&out);
}

static void a_dead_letter_is_written_with_its_answer_and_its_event(void **state) {
    struct buf out = {0};
    (void)state;
    size_t before = dead_letter_to_json(&answered, &out);
    assert_string_equal(buf_string(&out), HEAD "\"status\":422,\"event\":" EVENT "}");
    assert_memory_equal(out.data + before, ",\"event\"", 8);
    buf_fini(&out);
}

static void an_error_that_is_no_json_is_escaped(void **state) {
    struct dead_letter failed = answered;
    struct buf out = {0};
    (void)state;
    failed.status = 0;
    failed.error = "it said \"no\"\n\xff";
    dead_letter_to_json(&failed, &out);
    assert_string_equal(buf_string(&out), HEAD
                        "\"error\":\"it said \\\"no\\\"\\n\xef\xbf\xbd\",\"event\":" EVENT "}");
    read_text(buf_string(&out));
    buf_fini(&out);
}

static void an_event_that_kafka_does_not_take_is_left_out_with_the_reason(void **state) {
    struct buf out = {0}, event = {0};
    struct span topic, id;
    (void)state;
    size_t before = dead_letter_to_json(&answered, &out);
    dead_letter_leave_event_out(&out, before, "Broker: \"too large\"");
    assert_string_equal(buf_string(&out),
                        HEAD "\"status\":422,\"event_left_out\":\"Broker: \\\"too large\\\"\"}");
    struct dead_letter_record record = read_text(buf_string(&out));
    assert_int_equal(record.event.len, 0);
    assert_int_equal(dead_letter_copy_event(&record, &event, &topic, &id), -1);
    assert_int_equal(event.len, 0);
    buf_fini(&out);
}

static void a_dead_letter_is_read_as_it_was_written(void **state) {
    struct buf out = {0};
    (void)state;
    dead_letter_to_json(&answered, &out);
    struct dead_letter_record record = read_text(buf_string(&out));
    assert_int_equal(record.cursor, 42);
    assert_true(span_equal(record.registration_id, span_of(REGISTRATION_ID)));
    assert_true(span_equal(record.event, span_of(EVENT)));
    buf_fini(&out);
}

static void users_see_neither_version_nor_registration(void **state) {
    (void)state;
    assert_shown(HEAD "\"status\":422,\"more\":[1],\"event\":" EVENT "}", false,
                 "{\"cursor\":42,\"at\":\"2026-01-02T03:04:05.678Z\",\"reason\":\"refused\","
                 "\"attempts\":3,\"status\":422,\"event\":" EVENT "}");
    assert_shown("{\"cursor\":1,\"reason\":\"of a later version\"}", true,
                 "{\"cursor\":1,\"reason\":\"of a later version\",\"redriven\":true}");
}

static void assert_redriven(const char *event, const char *expected) {
    char text[512];
    struct buf out = {0};
    struct span topic, id;
    snprintf(text, sizeof text, "{\"cursor\":42,\"event\":%s}", event);
    struct dead_letter_record record = read_text(text);
    assert_int_equal(dead_letter_copy_event(&record, &out, &topic, &id), 0);
    assert_string_equal(buf_string(&out), expected);
    assert_true(span_equal(topic, span_of("a.b")) && span_equal(id, span_of("x")));
    assert_true(topic.data > out.data && topic.data < out.data + out.len);
    assert_true(id.data > out.data && id.data < out.data + out.len);
    buf_fini(&out);
}

static void a_redriven_event_has_no_prev_cursor_and_is_the_same_but_for_that(void **state) {
    (void)state;
    assert_redriven(EVENT, "{\"topic\":\"a.b\",\"cursor\":42,\"compacted\":true,\"id\":\"x\","
                           "\"data\":{\"prev_cursor\": 1.0}}");
    assert_redriven("{\"topic\":\"a.b\",\"id\":\"x\",\"data\":1}",
                    "{\"topic\":\"a.b\",\"id\":\"x\",\"data\":1}");
    assert_redriven("{\"prev_cursor\":7,\"topic\":\"a.b\",\"id\":\"x\"}",
                    "{\"topic\":\"a.b\",\"id\":\"x\"}");
    assert_redriven("{\"topic\":\"a.b\",\"id\":\"x\",\"prev_cursor\":7}",
                    "{\"topic\":\"a.b\",\"id\":\"x\"}");
}

static void an_event_without_topic_or_id_is_not_redriven(void **state) {
    static const char *const texts[] = {"{\"cursor\":1}", "{\"cursor\":1,\"event\":\"x\"}",
                                        "{\"cursor\":1,\"event\":{}}",
                                        "{\"cursor\":1,\"event\":{\"topic\":\"a\"}}",
                                        "{\"cursor\":1,\"event\":{\"topic\":1,\"id\":\"x\"}}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct dead_letter_record record = read_text(texts[i]);
        struct buf out = {0};
        struct span topic, id;
        assert_int_equal(dead_letter_copy_event(&record, &out, &topic, &id), -1);
        assert_int_equal(out.len, 0);
    }
}

static void what_is_no_dead_letter_is_refused(void **state) {
    static const char *const texts[] = {"",
                                        "null",
                                        "[]",
                                        "{",
                                        "{}",
                                        "{\"cursor\":\"1\"}",
                                        "{\"cursor\":-1}",
                                        "{\"cursor\":1.5}",
                                        "{\"cursor\":1,\"cursor\":2}",
                                        "{\"cursor\":1,\"born\":7}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct dead_letter_record record;
        struct error err;
        assert_int_equal(dead_letter_from_json(&record, span_of(texts[i]), &err), -1);
        assert_true(*err.message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_letter_is_written_with_its_answer_and_its_event),
        cmocka_unit_test(an_error_that_is_no_json_is_escaped),
        cmocka_unit_test(an_event_that_kafka_does_not_take_is_left_out_with_the_reason),
        cmocka_unit_test(a_dead_letter_is_read_as_it_was_written),
        cmocka_unit_test(users_see_neither_version_nor_registration),
        cmocka_unit_test(a_redriven_event_has_no_prev_cursor_and_is_the_same_but_for_that),
        cmocka_unit_test(an_event_without_topic_or_id_is_not_redriven),
        cmocka_unit_test(what_is_no_dead_letter_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
