/* A call's JSON body: what is known, and what is named when it is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/body.h"

static const char *const known[] = {"cursor", "topic", NULL};

static int parse(struct body *body, const char *text, struct error *err) { return body_parse(body, span_of(text), known, err); }

static void test_an_empty_body_is_an_empty_object(void **state) {
    static const char *const empty[] = {"", " ", "\r\n\t ", "{}", " { } "};
    struct body body;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        assert_int_equal(parse(&body, empty[i], &err), 0);
        assert_int_equal(body.count, 0);
        assert_null(body_member(&body, "cursor"));
    }
}

static void test_an_unknown_member_is_named(void **state) {
    static const char *const bad[] = {"{\"curser\":1}", "{\"cursor\":1,\"curser\":1}", "{\"cur\\u0073or\":1}"};
    static const char *const fields[] = {"curser", "curser", "cur\\u0073or"};
    struct body body;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(&body, bad[i], &err), -1);
        assert_string_equal(err.field, fields[i]);
    }
    assert_int_equal(body_parse(&body, span_of(bad[1]), NULL, &err), 0); /* where any is allowed */
    assert_int_equal(body.count, 2);
}

static void test_what_is_no_object_is_refused(void **state) {
    static const char *const bad[] = {"[]", "null", "1", "\"a\"", "{", "{\"cursor\":1,\"cursor\":2}", "{\"cursor\":1} x", "{\"cursor\":01}"};
    struct body body;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parse(&body, bad[i], &err) != -1)
            fail_msg("taken: %s", bad[i]);
}

static void test_a_text_fits_and_holds_no_nul_or_is_refused(void **state) {
    struct body body;
    struct error err;
    char out[8] = "default";
    (void)state;
    assert_int_equal(parse(&body, "{}", &err), 0);
    assert_int_equal(body_text(&body, "topic", out, sizeof out, "a topic", &err), 0);
    assert_string_equal(out, "default");
    assert_int_equal(parse(&body, "{\"topic\":\"a\\u002eb\"}", &err), 0);
    assert_int_equal(body_text(&body, "topic", out, sizeof out, "a topic", &err), 0);
    assert_string_equal(out, "a.b");
    static const char *const bad[] = {"{\"topic\":1}", "{\"topic\":null}", "{\"topic\":\"12345678\"}", "{\"topic\":\"a\\u0000b\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(&body, bad[i], &err), 0);
        assert_int_equal(body_text(&body, "topic", out, sizeof out, "a topic", &err), -1);
        assert_string_equal(err.message, "topic: must be a topic");
    }
}

static void test_whole_numbers(void **state) {
    (void)state;
    assert_int_equal(body_whole_number(span_of("0")), 0);
    assert_int_equal(body_whole_number(span_of("42")), 42);
    assert_true(body_whole_number(span_of("999999999999999999")) == 999999999999999999);
    static const char *const bad[] = {"", "-1", "1.0", "1e3", "1000000000000000000", " 1", "+1", "x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(body_whole_number(span_of(bad[i])), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_body_is_an_empty_object),
        cmocka_unit_test(test_an_unknown_member_is_named),
        cmocka_unit_test(test_what_is_no_object_is_refused),
        cmocka_unit_test(test_a_text_fits_and_holds_no_nul_or_is_refused),
        cmocka_unit_test(test_whole_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
