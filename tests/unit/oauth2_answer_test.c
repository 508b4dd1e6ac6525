/* Answers of token servers: good ones, failures, and what no server should send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "dispatcher/channel/oauth2_answer.h"

static struct oauth2_answer answer;
static char error[OAUTH2_ERROR_BYTES];

static int take(int status, const char *text) {
    error[0] = 0;
    return oauth2_answer_read(&answer, status, span_of(text), error);
}

static void assert_fails(int status, const char *text, const char *reason) {
    assert_int_equal(take(status, text), -1);
    assert_string_equal(error, reason);
}

static void a_token_and_its_lifetime_are_read(void **state) {
    (void)state;
    assert_int_equal(
        take(200, "{\"access_token\":\"a.b-c\",\"token_type\":\"bearer\",\"expires_in\":60}"), 0);
    assert_string_equal(answer.token, "a.b-c");
    assert_int_equal(answer.lifetime_s, 60);
    assert_int_equal(take(200, "{\"expires_in\":\"3599\",\"ext\":{\"x\":[1]},\"token_type\":"
                               "\"Bearer\",\"access_token\":\"\\u0061/+=~\"}"),
                     0);
    assert_string_equal(answer.token, "a/+=~");
    assert_int_equal(answer.lifetime_s, 3599);
}

static void a_lifetime_that_is_not_told_is_short_and_none_is_longer_than_a_day(void **state) {
    (void)state;
    assert_int_equal(take(200, "{\"access_token\":\"x\",\"token_type\":\"Bearer\"}"), 0);
    assert_int_equal(answer.lifetime_s, OAUTH2_LIFETIME_S);
    assert_int_equal(
        take(200, "{\"access_token\":\"x\",\"token_type\":\"Bearer\",\"expires_in\":999999999999}"),
        0);
    assert_int_equal(answer.lifetime_s, OAUTH2_LIFETIME_S_MAX);
}

static void a_refusal_is_named_by_its_code_alone(void **state) {
    (void)state;
    assert_fails(401, "{\"error\":\"invalid_client\",\"error_description\":\"s3cr3t\"}",
                 "status 401: invalid_client");
    assert_fails(400, "{\"error\":\"s3cr3t\"}", "status 400");
    assert_fails(503, "", "status 503");
    assert_fails(302, "<html>", "status 302");
}

static void garbage_has_a_reason(void **state) {
    static const char no_json[] = "its answer is no JSON object";
    (void)state;
    assert_fails(200, "", no_json);
    assert_fails(200, "<html>", no_json);
    assert_fails(200, "[]", no_json);
    assert_fails(200, "{\"access_token\":\"x\",\"access_token\":\"y\"}", no_json);
    assert_fails(200, "{\"access_token\":\"x\"}", "its answer's token_type is not Bearer");
    assert_fails(200, "{\"access_token\":\"x\",\"token_type\":\"mac\"}",
                 "its answer's token_type is not Bearer");
    assert_fails(200, "{\"token_type\":\"Bearer\"}", "its answer has no access_token");
}

static void a_token_that_is_no_header_value_is_refused(void **state) {
    static const char *const bad[] = {"\"\"", "7", "\"a\\u0000b\""};
    static const char *const unprintable[] = {"\"a b\"", "\"a\\r\\nX-Evil: 1\"", "\"\\u00e9\""};
    struct buf text = {0};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        buf_clear(&text);
        buf_printf(&text, "{\"token_type\":\"Bearer\",\"access_token\":%s}", bad[i]);
        assert_fails(200, buf_string(&text),
                     "its answer's access_token is no text of 1 to 8192 bytes");
        buf_clear(&text);
        buf_printf(&text, "{\"token_type\":\"Bearer\",\"access_token\":%s}", unprintable[i]);
        assert_fails(200, buf_string(&text), "its answer's access_token is not printable ASCII");
    }
    buf_fini(&text);
}

static void a_huge_answer_and_a_huge_token_are_refused(void **state) {
    char *huge = mem_alloc(OAUTH2_ANSWER_BYTES_MAX + 2);
    struct buf text = {0};
    (void)state;
    memset(huge, 'x', OAUTH2_ANSWER_BYTES_MAX + 1);
    huge[OAUTH2_ANSWER_BYTES_MAX + 1] = 0;
    assert_fails(200, huge, "its answer is larger than 16 KiB");
    assert_fails(500, huge, "status 500");
    huge[OAUTH2_TOKEN_BYTES_MAX + 1] = 0;
    buf_printf(&text, "{\"token_type\":\"Bearer\",\"access_token\":\"%s\"}", huge);
    assert_fails(200, buf_string(&text), "its answer's access_token is no text of 1 to 8192 bytes");
    huge[OAUTH2_TOKEN_BYTES_MAX] = 0;
    buf_clear(&text);
    buf_printf(&text, "{\"token_type\":\"Bearer\",\"access_token\":\"%s\"}", huge);
    assert_int_equal(take(200, buf_string(&text)), 0);
    buf_fini(&text);
    free(huge);
}

static void a_lifetime_that_makes_no_sense_is_refused(void **state) {
    static const char *const bad[] = {"0", "-1", "1.5", "1e9", "null", "\"soon\"", "true", "[1]"};
    struct buf text = {0};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        buf_clear(&text);
        buf_printf(&text, "{\"token_type\":\"Bearer\",\"access_token\":\"x\",\"expires_in\":%s}",
                   bad[i]);
        assert_fails(200, buf_string(&text),
                     "its answer's expires_in is no whole number of seconds above 0");
    }
    buf_fini(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_and_its_lifetime_are_read),
        cmocka_unit_test(a_lifetime_that_is_not_told_is_short_and_none_is_longer_than_a_day),
        cmocka_unit_test(a_refusal_is_named_by_its_code_alone),
        cmocka_unit_test(garbage_has_a_reason),
        cmocka_unit_test(a_token_that_is_no_header_value_is_refused),
        cmocka_unit_test(a_huge_answer_and_a_huge_token_are_refused),
        cmocka_unit_test(a_lifetime_that_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
