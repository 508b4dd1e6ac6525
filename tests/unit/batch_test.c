/* The body of a publish: one event, an array, lines, and the errors of a bad body. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "ingest/publish/batch.h"

#define TS "2024-05-07T14:03:11.123Z"

static struct batch batch;
static struct batch_fault fault;
static struct error err;
static unsigned made;

static void make_id(void *arg, char out[37]) {
    (void)arg;
    snprintf(out, 37, "made-%u", made++);
}

static int read_bytes(struct span body, bool ndjson) {
    const struct batch_options options = {
        .ndjson = ndjson, .data_max = 100, .ts = TS, .make_id = make_id};
    made = 0;
    return batch_read(&batch, body, &options, &fault, &err);
}

static int read_text(const char *body, bool ndjson) { return read_bytes(span_of(body), ndjson); }

/* Asserts that the body is accepted with these ids, each followed by a comma. */
static void assert_taken(const char *body, bool ndjson, bool many, const char *ids) {
    char found[200] = "";
    if (read_text(body, ndjson))
        fail_msg("%s: %s", body, err.message);
    assert_int_equal(batch.many, many);
    for (size_t i = 0; i < batch.count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s,", batch.events[i].id);
    assert_string_equal(found, ids);
    batch_fini(&batch);
}

/* index -1: no event to blame. */
static void assert_refused(const char *body, bool ndjson, int index, const char *reason) {
    if (read_text(body, ndjson) == 0)
        fail_msg("taken: %s", body);
    assert_int_equal(fault.at_event, index >= 0);
    if (index >= 0)
        assert_int_equal(fault.index, index);
    if (!strstr(err.message, reason))
        fail_msg("%s: %s", body, err.message);
}

#define A "{\"topic\":\"t\",\"data\":1,\"id\":\"a\"}"
#define B "{\"topic\":\"t\",\"data\":2}"
#define C "{\"topic\":\"t.u\",\"data\":3,\"cursor\":4}"

static void test_one_object_is_one_event(void **state) {
    (void)state;
    assert_taken(A, false, false, "a,");
    assert_taken(" \n" B "\r\n ", false, false, "made-0,");
}

static void test_an_array_is_many_if_only_of_one(void **state) {
    (void)state;
    assert_taken("[" A "]", false, true, "a,");
    assert_taken(" [" A ", " B "\n,\n" C " ] ", false, true, "a,made-1,t/u:4,");
}

static void test_each_line_is_an_event_and_an_empty_line_is_none(void **state) {
    (void)state;
    assert_taken(A, true, true, "a,");
    assert_taken(A "\n", true, true, "a,");
    assert_taken("\n" A "\r\n\r\n \t\n" B "\n" C, true, true, "a,made-1,t/u:4,");
}

static void test_data_points_into_the_body(void **state) {
    static const char body[] = "[" A "," C "]";
    (void)state;
    assert_int_equal(read_text(body, false), 0);
    assert_true(batch.events[1].data.data > body && batch.events[1].data.data < body + sizeof body);
    assert_true(span_equal(batch.events[1].data, span_of("3")));
    batch_fini(&batch);
}

static void test_an_event_that_is_wrong_is_named_by_its_index(void **state) {
    (void)state;
    assert_refused("[" A "," A ",{\"topic\":\"t\"}," A "]", false, 2, "event 2: data: is missing");
    assert_string_equal(err.field, "data");
    assert_refused("[" A ",1]", false, 1, "must be a JSON object");
    assert_refused("[" A ",[" A "]]", false, 1, "must be a JSON object");
    assert_refused("[" A "," A, false, 2, "not valid JSON");
    assert_refused("[" A ",{\"topic\":\"t\",\"data\":01}]", false, 1, "column 54");
    assert_refused("[{\"topic\":\"t\",\"data\":1,\"data\":1}]", false, 0, "there twice");
    assert_refused("[" A "," B "]x", false, 2, "nothing may follow");
    assert_refused(A "\n" B "x\n", true, 1, "nothing may follow");
    assert_refused(A A, true, 0, "nothing may follow");
    assert_refused(A "\n[" A "]\n", true, 1, "must be a JSON object");
    assert_refused("{\"topic\":\"t\",\n\"data\":1}\n", true, 0, "not valid JSON");
    assert_false(fault.too_large);
}

static void test_a_single_event_that_is_wrong_has_no_index(void **state) {
    (void)state;
    assert_refused("{\"topic\":\"t\"}", false, -1, "data: is missing");
    assert_refused("", false, -1, "not valid JSON");
    assert_refused("x" A, false, -1, "not valid JSON");
}

static void test_no_events_at_all_are_refused(void **state) {
    (void)state;
    assert_refused("[]", false, -1, "1 to 1000");
    assert_refused(" [ ] ", false, -1, "1 to 1000");
    assert_refused("", true, -1, "1 to 1000");
    assert_refused("\n \r\n", true, -1, "1 to 1000");
}

static void test_data_that_is_too_large_has_a_fault_of_its_own(void **state) {
    struct buf body = {0};
    (void)state;
    buf_puts(&body, "[" A ",{\"topic\":\"t\",\"data\":\"");
    for (int i = 0; i < 99; i++)
        buf_puts(&body, "x");
    buf_puts(&body, "\"}]");
    assert_refused(body.data, false, 1, "at most 100");
    assert_true(fault.too_large);
    buf_fini(&body);
}

static void put_events(struct buf *body, size_t count, const char *between) {
    for (size_t i = 0; i < count; i++)
        buf_printf(body, "%s%s", i ? between : "", A);
}

static void test_a_thousand_events_are_taken_and_one_more_is_refused(void **state) {
    (void)state;
    for (int ndjson = 0; ndjson < 2; ndjson++) {
        for (size_t count = 999; count <= 1001; count++) {
            struct buf body = {0};
            buf_puts(&body, ndjson ? "" : "[");
            put_events(&body, count, ndjson ? "\n" : ",");
            buf_puts(&body, ndjson ? "" : "]");
            if (count > BATCH_EVENTS_MAX) {
                assert_refused(body.data, ndjson, 1000, "at most 1000");
            } else {
                assert_int_equal(read_bytes((struct span){body.data, body.len}, ndjson), 0);
                assert_int_equal(batch.count, count);
                batch_fini(&batch);
            }
            buf_fini(&body);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_object_is_one_event),
        cmocka_unit_test(test_an_array_is_many_if_only_of_one),
        cmocka_unit_test(test_each_line_is_an_event_and_an_empty_line_is_none),
        cmocka_unit_test(test_data_points_into_the_body),
        cmocka_unit_test(test_an_event_that_is_wrong_is_named_by_its_index),
        cmocka_unit_test(test_a_single_event_that_is_wrong_has_no_index),
        cmocka_unit_test(test_no_events_at_all_are_refused),
        cmocka_unit_test(test_data_that_is_too_large_has_a_fault_of_its_own),
        cmocka_unit_test(test_a_thousand_events_are_taken_and_one_more_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
