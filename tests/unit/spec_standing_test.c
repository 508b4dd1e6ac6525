/* The fields `adaptive`, `handshake`, `heartbeat`, `expires` and `owner`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/model/spec.h"

static const struct spec_rules any_time, by_now = {.now_ms = 2030623391000};

static struct spec spec;
static struct error err;
static char written[4096];

static int read_with(const struct spec_rules *rules, const char *endpoint, const char *field,
                     const char *value) {
    static const char *const endpoints[] = {
        "\"url\":\"https://v.example/h\"",
        "\"sns\":{\"topic_arn\":\"arn:aws:sns:us-east-1:123456789012:a\"}"};
    char text[4096];
    snprintf(text, sizeof text, "{%s,\"topics\":[\"a\"],\"%s\":%s}",
             endpoints[strcmp(endpoint, "sns") == 0], field, value);
    int result = spec_from_json(&spec, span_of(text), rules, &err);
    if (result)
        return result;
    struct buf out = {0};
    spec_to_json(&spec, true, &out);
    snprintf(written, sizeof written, "%s", buf_string(&out));
    buf_fini(&out);
    spec_fini(&spec);
    return 0;
}

static void taken(const char *field, const char *value, const char *expected) {
    char member[2048];
    assert_int_equal(read_with(&any_time, "url", field, value), 0);
    snprintf(member, sizeof member, "\"%s\":%s", field, expected);
    if (strcmp(expected, "") == 0)
        assert_null(strstr(written, field));
    else
        assert_non_null(strstr(written, member));
}

static void refused(const struct spec_rules *rules, const char *endpoint, const char *field,
                    const char *value, const char *reason) {
    assert_int_equal(read_with(rules, endpoint, field, value), -1);
    assert_string_equal(err.field, field);
    assert_non_null(strstr(err.message, reason));
}

static void a_flag_is_true_or_false_and_written_when_true(void **state) {
    static const char *const fields[] = {"adaptive", "handshake"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        taken(fields[i], "true", "true");
        taken(fields[i], "false", "");
        refused(&any_time, "url", fields[i], "1", "true or false");
        refused(&any_time, "url", fields[i], "\"true\"", "true or false");
        refused(&any_time, "url", fields[i], "null", "true or false");
    }
}

static void a_heartbeat_is_10_seconds_to_a_day(void **state) {
    (void)state;
    taken("heartbeat", "\"10s\"", "\"10s\"");
    taken("heartbeat", "\"24h\"", "\"1d\"");
    refused(&any_time, "url", "heartbeat", "\"9999ms\"", "from 10s to 1d");
    refused(&any_time, "url", "heartbeat", "\"25h\"", "from 10s to 1d");
    refused(&any_time, "url", "heartbeat", "10", "from 10s to 1d");
}

static void expires_is_a_time_and_in_a_call_a_time_to_come(void **state) {
    (void)state;
    taken("expires", "\"2034-05-07T16:03:11+02:00\"", "\"2034-05-07T14:03:11.000Z\"");
    taken("expires", "\"2014-05-07T14:03:11Z\"", "\"2014-05-07T14:03:11.000Z\"");
    refused(&by_now, "url", "expires", "\"2014-05-07T14:03:11Z\"", "in the future");
    assert_int_equal(read_with(&by_now, "url", "expires", "\"2034-05-07T14:03:12Z\""), 0);
    refused(&any_time, "url", "expires", "\"2034-05-07\"", "a time such as");
    refused(&any_time, "url", "expires", "2034", "a time such as");
    refused(&any_time, "url", "expires", "\"1960-05-07T14:03:11Z\"", "a time such as");
}

static void an_owner_is_text(void **state) {
    (void)state;
    taken("owner", "\"claims\"", "\"claims\"");
    refused(&any_time, "url", "owner", "\"\"", "empty");
    refused(&any_time, "url", "owner", "7", "text");
}

static void sns_has_a_rate_and_an_end_but_no_answer_of_its_own(void **state) {
    (void)state;
    assert_int_equal(read_with(&any_time, "sns", "adaptive", "true"), 0);
    assert_int_equal(read_with(&any_time, "sns", "expires", "\"2034-05-07T14:03:11Z\""), 0);
    refused(&any_time, "sns", "handshake", "true", "needs a url");
    refused(&any_time, "sns", "heartbeat", "\"10s\"", "needs a url");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flag_is_true_or_false_and_written_when_true),
        cmocka_unit_test(a_heartbeat_is_10_seconds_to_a_day),
        cmocka_unit_test(expires_is_a_time_and_in_a_call_a_time_to_come),
        cmocka_unit_test(an_owner_is_text),
        cmocka_unit_test(sns_has_a_rate_and_an_end_but_no_answer_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
