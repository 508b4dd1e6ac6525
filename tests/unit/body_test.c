/* The body of a call: what is accepted, and what is refused with the member to blame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/number.h"
#include "common/json/body.h"

static const char *const known[] = {"cursor", "topic", NULL};
static struct body body;
static struct error err;

static int parse(const char *text, size_t len) {
    return body_parse(&body, (struct span){text, len}, known, &err);
}
#define PARSE(text) parse(text, sizeof text - 1)

static void test_nothing_and_white_space_are_an_empty_object(void **state) {
    (void)state;
    assert_int_equal(PARSE(""), 0);
    assert_int_equal(PARSE(" \t\r\n"), 0);
    assert_int_equal(PARSE("{}"), 0);
    assert_int_equal(body.count, 0);
}

static void test_what_is_no_object_is_refused(void **state) {
    (void)state;
    assert_int_equal(PARSE("\0"), -1);
    assert_int_equal(PARSE(" \0{}"), -1);
    assert_int_equal(PARSE("[]"), -1);
    assert_int_equal(PARSE("{\"cursor\":1"), -1);
    assert_int_equal(PARSE("{\"cursor\":1} x"), -1);
}

static void test_members_are_known_and_there_once(void **state) {
    (void)state;
    assert_int_equal(PARSE("{\"topic\":\"a.b\",\"cursor\":42}"), 0);
    assert_int_equal(number_parse(body_member(&body, "cursor")->value), 42);
    assert_null(body_member(&body, "time"));
    assert_int_equal(PARSE("{\"time\":1}"), -1);
    assert_string_equal(err.field, "time");
    assert_int_equal(PARSE("{\"cursor\":1,\"cursor\":1}"), -1);
    assert_string_equal(err.field, "cursor");
}

static void test_a_text_fits_and_has_no_zero_character(void **state) {
    char out[4] = "";
    (void)state;
    assert_int_equal(PARSE("{\"topic\":\"abc\"}"), 0);
    assert_int_equal(body_text(&body, "topic", out, sizeof out, "text", &err), 0);
    assert_string_equal(out, "abc");
    assert_int_equal(body_text(&body, "cursor", out, sizeof out, "text", &err),
                     0); /* absent: left unchanged */
    assert_string_equal(out, "abc");
    assert_int_equal(PARSE("{\"topic\":\"abcd\"}"), 0);
    assert_int_equal(body_text(&body, "topic", out, sizeof out, "text", &err), -1);
    assert_string_equal(err.field, "topic");
    assert_int_equal(PARSE("{\"topic\":\"a\\u0000\"}"), 0);
    assert_int_equal(body_text(&body, "topic", out, sizeof out, "text", &err), -1);
    assert_int_equal(PARSE("{\"topic\":1}"), 0);
    assert_int_equal(body_text(&body, "topic", out, sizeof out, "text", &err), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_and_white_space_are_an_empty_object),
        cmocka_unit_test(test_what_is_no_object_is_refused),
        cmocka_unit_test(test_members_are_known_and_there_once),
        cmocka_unit_test(test_a_text_fits_and_has_no_zero_character)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
