/* Errors can be printed as they are, however long their arguments are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/error.h"

static char long_text[1001];

static int make_long_text(void **state) {
    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    return 0;
}

static void an_error_is_its_words_and_blames_nothing(void **state) {
    (void)state;
    struct error err;
    memset(&err, 'x', sizeof err);
    assert_int_equal(error_set(&err, "%d of %s", 2, "three"), -1);
    assert_string_equal(err.message, "2 of three");
    assert_string_equal(err.field, "");
}

static void a_blamed_field_stands_before_the_words(void **state) {
    (void)state;
    struct error err;
    memset(&err, 'x', sizeof err);
    assert_int_equal(error_set_field(&err, "throttle", "must be above %d", 0), -1);
    assert_string_equal(err.field, "throttle");
    assert_string_equal(err.message, "throttle: must be above 0");
}

static void a_place_is_put_before_and_the_blame_stays(void **state) {
    (void)state;
    struct error err;
    error_set_field(&err, "throttle", "must be above 0");
    assert_int_equal(error_prefix(&err, "%s:%d: ", "subscribers/mmis.yml", 4), -1);
    assert_string_equal(err.message, "subscribers/mmis.yml:4: throttle: must be above 0");
    assert_string_equal(err.field, "throttle");
    error_prefix(&err, "%s", "");
    assert_string_equal(err.message, "subscribers/mmis.yml:4: throttle: must be above 0");
}

static void a_prefix_may_be_made_from_the_error_itself(void **state) {
    (void)state;
    struct error err;
    error_set_field(&err, "url", "is private");
    error_prefix(&err, "%s, or: ", err.message);
    assert_string_equal(err.message, "url: is private, or: url: is private");
}

static void a_long_message_is_cut_to_fit(void **state) {
    (void)state;
    struct error err;
    error_set(&err, "%s", long_text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

static void a_long_field_is_cut_and_leaves_room_for_the_reason(void **state) {
    (void)state;
    struct error err;
    error_set_field(&err, long_text, "is unknown");
    assert_int_equal(strlen(err.field), sizeof err.field - 1);
    assert_int_equal(strncmp(err.message, err.field, strlen(err.field)), 0);
    assert_string_equal(err.message + strlen(err.field), ": is unknown");
}

static void a_long_reason_of_a_field_is_cut_to_fit(void **state) {
    (void)state;
    struct error err;
    error_set_field(&err, "url", "%s", long_text);
    assert_int_equal(strncmp(err.message, "url: xxx", 8), 0);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

static void what_a_prefix_pushes_out_is_cut(void **state) {
    (void)state;
    struct error err;
    error_set(&err, "%s", long_text);
    error_prefix(&err, "%s", "subscribers/a.yml:1: ");
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(strncmp(err.message, "subscribers/a.yml:1: xxx", 24), 0);
    error_prefix(&err, "%s", long_text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(strspn(err.message, "x"), sizeof err.message - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_is_its_words_and_blames_nothing),
        cmocka_unit_test(a_blamed_field_stands_before_the_words),
        cmocka_unit_test(a_place_is_put_before_and_the_blame_stays),
        cmocka_unit_test(a_prefix_may_be_made_from_the_error_itself),
        cmocka_unit_test(a_long_message_is_cut_to_fit),
        cmocka_unit_test(a_long_field_is_cut_and_leaves_room_for_the_reason),
        cmocka_unit_test(a_long_reason_of_a_field_is_cut_to_fit),
        cmocka_unit_test(what_a_prefix_pushes_out_is_cut),
    };
    return cmocka_run_group_tests(tests, make_long_text, NULL);
}
