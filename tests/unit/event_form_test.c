/* The forms of an event: CloudEvents and content: id, as the public specifications have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/json/json_scan.h"
#include "common/model/event_form.h"

#define FEED "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
#define HEAD                                                                                       \
    "{\"specversion\":\"1.0\",\"id\":\"copay-1\",\"source\":\"ess/" FEED                           \
    "\",\"type\":\"drug.copay\""
#define SENT "{\"topic\":\"drug.copay\",\"cursor\":1842,\"prev_cursor\":1841,\"id\":\"copay-1\","

static const struct event_form own = {EVENT_FORMAT_ESS, false}, own_id = {EVENT_FORMAT_ESS, true},
                               cloud = {EVENT_FORMAT_CLOUDEVENTS, false},
                               cloud_id = {EVENT_FORMAT_CLOUDEVENTS, true};

static void assert_form(struct event_form form, const char *body, const char *expected) {
    struct buf out = {0};
    struct error err;
    event_form_put(form, FEED, span_of(body), &out);
    assert_string_equal(buf_string(&out), expected);
    assert_int_equal(json_scan((struct span){out.data, out.len}, JSON_DEPTH_MAX + 1, &err), 0);
    buf_fini(&out);
}

static void a_whole_event_becomes_a_cloudevent(void **state) {
    (void)state;
    assert_form(cloud,
                SENT "\"key\":\"00002-8215\",\"ts\":\"2024-05-07T14:03:11.250+02:00\",\"source_"
                     "cursor\":77,\"data\":{\"copay\":25}}",
                HEAD ",\"subject\":\"00002-8215\",\"time\":\"2024-05-07T14:03:11.250+02:00\","
                     "\"sequence\":\"00000000000000001842\",\"essprevcursor\":"
                     "\"00000000000000001841\",\"esssourcecursor\":\"77\",\"datacontenttype\":"
                     "\"application/json\",\"data\":{\"copay\":25}}");
}

static void data_is_copied_byte_for_byte(void **state) {
    static const char *const values[] = {
        "1.10",
        "1e400",
        "123456789012345678901234567890.12345678901234567890",
        "-0",
        "{ \"a\" : [ 1.0 , { } ] }",
        "\"\\u00e9\\/\\ud83d\\ude00 \xc3\xa9\"",
        "null",
        "\"},\\\"data\\\":\"",
        "[{\"data\":1},\"]\",\"\\\\\"]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct buf body = {0}, expected = {0};
        buf_printf(&body, SENT "\"ts\":\"2024-05-07T14:03:11Z\",\"data\":%s}", values[i]);
        buf_printf(&expected,
                   HEAD ",\"time\":\"2024-05-07T14:03:11Z\",\"sequence\":\"00000000000000001842\","
                        "\"essprevcursor\":\"00000000000000001841\",\"datacontenttype\":"
                        "\"application/json\",\"data\":%s}",
                   values[i]);
        assert_form(cloud, buf_string(&body), buf_string(&expected));
        buf_fini(&body);
        buf_fini(&expected);
    }
}

static void what_the_event_lacks_its_cloudevent_lacks(void **state) {
    (void)state;
    assert_form(cloud, "{\"topic\":\"drug.copay\",\"id\":\"copay-1\",\"data\":null}",
                HEAD ",\"datacontenttype\":\"application/json\",\"data\":null}");
    assert_form(cloud,
                "{\"topic\":\"drug.copay\",\"cursor\":999999999999999999,\"prev_cursor\":0,"
                "\"compacted\":true,\"id\":\"copay-1\",\"data\":1}",
                HEAD ",\"sequence\":\"00999999999999999999\",\"essprevcursor\":"
                     "\"00000000000000000000\",\"esscompacted\":true,\"datacontenttype\":"
                     "\"application/json\",\"data\":1}");
}

static void a_key_is_a_subject_of_allowed_characters(void **state) {
    static const char *const keys[][2] = {
        {"\"a\\\"b\\\\c\\/d\"", "\"a\\\"b\\\\c/d\""},
        {"\"\xc3\xa9\xf0\x9f\x98\x80 %\"", "\"\xc3\xa9\xf0\x9f\x98\x80 %\""},
        {"\"\\u00e9\"", "\"\xc3\xa9\""},
        {"\"a\\n\\u001f\\u007f\\u0085\"", "\"a%0A%1F%7F%C2%85\""},
        {"\"\\ufffe\\uffff\\ufdd0\"", "\"%EF%BF%BE%EF%BF%BF%EF%B7%90\""},
        {"\"\\ud83f\\udfff\"", "\"%F0%9F%BF%BF\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct buf body = {0}, expected = {0};
        buf_printf(&body, "{\"topic\":\"drug.copay\",\"id\":\"copay-1\",\"key\":%s}", keys[i][0]);
        buf_printf(&expected, HEAD ",\"subject\":%s}", keys[i][1]);
        assert_form(cloud, buf_string(&body), buf_string(&expected));
        buf_fini(&body);
        buf_fini(&expected);
    }
}

/* Only another program can have appended such a record. */
static void values_of_other_kinds_are_left_out_or_become_text(void **state) {
    struct buf long_key = {0};
    (void)state;
    assert_form(cloud,
                "{\"topic\":\"drug.copay\",\"cursor\":1.5,\"prev_cursor\":\"1\",\"id\":\"copay-1\","
                "\"key\":42,\"ts\":\"yesterday\",\"specversion\":\"0.3\",\"data\":1}",
                HEAD ",\"datacontenttype\":\"application/json\",\"data\":1}");
    assert_form(cloud, "{\"topic\":\"drug.copay\",\"id\":\"copay-1\",\"ts\":7,\"key\":{\"a\":1}}",
                HEAD "}");
    assert_form(cloud, "{\"topic\":\"a\",\"id\":7}",
                "{\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"ess/" FEED
                "\",\"type\":\"a\"}");
    buf_puts(&long_key, "{\"topic\":\"drug.copay\",\"id\":\"copay-1\",\"key\":\"");
    for (int i = 0; i < 257; i++)
        buf_puts(&long_key, "k");
    buf_puts(&long_key, "\"}");
    assert_form(cloud, buf_string(&long_key), HEAD "}");
    buf_fini(&long_key);
}

static void content_id_leaves_data_out_and_nothing_else(void **state) {
    (void)state;
    assert_form(own_id,
                SENT "\"key\":\"k\",\"ts\":\"t\",\"source_cursor\":7,\"data\":{\"data\":1}}",
                SENT "\"key\":\"k\",\"ts\":\"t\",\"source_cursor\":7}");
    assert_form(own_id, "{\"topic\":\"a\",\"id\":\"b\",\"data\":null}",
                "{\"topic\":\"a\",\"id\":\"b\"}");
    assert_form(cloud_id, SENT "\"data\":{\"ssn\":1}}",
                HEAD ",\"sequence\":\"00000000000000001842\",\"essprevcursor\":"
                     "\"00000000000000001841\"}");
}

/* A record of another program may name its data otherwise. */
static void content_id_passes_on_known_members_only(void **state) {
    (void)state;
    assert_form(own_id,
                "{\"topic\":\"a\",\"id\":\"b\",\"d\\u0061ta\":1,\"more\":2,\"data\":3,\"x\":4}",
                "{\"topic\":\"a\",\"id\":\"b\"}");
}

static void esss_own_form_and_esss_own_messages_go_as_they_are(void **state) {
    static const char event[] = SENT "\"data\":1}",
                      heartbeat[] = "{\"heartbeat\":true,\"cursor\":1}";
    (void)state;
    assert_false(event_form_changes(own, span_of(event)));
    assert_true(event_form_changes(own_id, span_of(event)));
    assert_true(event_form_changes(cloud, span_of(event)));
    assert_false(event_form_changes(cloud_id, span_of(heartbeat)));
    assert_form(own, event, event);
    assert_form(cloud_id, heartbeat, heartbeat);
    assert_string_equal(event_form_type(own_id, span_of(event)), "application/json");
    assert_string_equal(event_form_type(cloud, span_of(event)), "application/cloudevents+json");
    assert_string_equal(event_form_type(cloud, span_of(heartbeat)), "application/json");
}

static void assert_batch(struct event_form form, const char *expected) {
    static const char *const events[] = {"{\"topic\":\"a\",\"id\":\"1\",\"data\":1}",
                                         "{\"topic\":\"b\",\"id\":\"2\",\"data\":2}"};
    struct buf out = {0};
    event_form_begin_batch(form, &out);
    for (int i = 0; i < 2; i++)
        event_form_put(form, "f", span_of(events[i]), &out);
    event_form_end_batch(form, &out);
    assert_string_equal(buf_string(&out), expected);
    buf_fini(&out);
}

static void a_batch_has_the_envelope_of_its_form(void **state) {
    (void)state;
    assert_batch(own, "{\"events\":[{\"topic\":\"a\",\"id\":\"1\",\"data\":1},"
                      "{\"topic\":\"b\",\"id\":\"2\",\"data\":2}]}");
    assert_batch(own_id, "{\"events\":[{\"topic\":\"a\",\"id\":\"1\"},"
                         "{\"topic\":\"b\",\"id\":\"2\"}]}");
    assert_batch(cloud_id,
                 "[{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"ess/f\",\"type\":\"a\"},"
                 "{\"specversion\":\"1.0\",\"id\":\"2\",\"source\":\"ess/f\",\"type\":\"b\"}]");
    assert_string_equal(event_form_batch_type(own_id), "application/json");
    assert_string_equal(event_form_batch_type(cloud), "application/cloudevents-batch+json");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_event_becomes_a_cloudevent),
        cmocka_unit_test(data_is_copied_byte_for_byte),
        cmocka_unit_test(what_the_event_lacks_its_cloudevent_lacks),
        cmocka_unit_test(a_key_is_a_subject_of_allowed_characters),
        cmocka_unit_test(values_of_other_kinds_are_left_out_or_become_text),
        cmocka_unit_test(content_id_leaves_data_out_and_nothing_else),
        cmocka_unit_test(content_id_passes_on_known_members_only),
        cmocka_unit_test(esss_own_form_and_esss_own_messages_go_as_they_are),
        cmocka_unit_test(a_batch_has_the_envelope_of_its_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
