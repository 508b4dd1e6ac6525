/* The event: what a publisher may send, which bytes are stored, and which bytes are delivered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/json/json_scan.h"
#include "common/model/event.h"

#define ID "0190b6a0-0000-7000-8000-000000000001"
#define TS "2024-05-07T14:03:11.123Z"
/* As stored, with the id and time that fill in for members that the publisher left out. */
#define STORED(topic, rest) "{'topic':'" topic "','id':'" ID "','ts':'" TS "'," rest "}"
enum { DATA_MAX = 256 * 1024 };

static struct event event;
static struct error err;
static struct buf out;

static struct span content(const struct buf *b) { return (struct span){b->data, b->len}; }

/* JSON in these tests is written with single quotes. */
static const char *json(const char *text) {
    static char quoted[4096];
    snprintf(quoted, sizeof quoted, "%s", text);
    for (char *p = quoted; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    return quoted;
}

static int parse_bytes(struct span body) {
    bool too_large = true;
    int result = event_parse(&event, body, DATA_MAX, ID, TS, &too_large, &err);
    assert_false(too_large);
    return result;
}

static int parse(const char *body) { return parse_bytes(span_of(json(body))); }

/* The body is accepted, and stored as `expected`. */
static void assert_stored(const char *body, const char *expected) {
    if (parse(body))
        fail_msg("%s: %s", body, err.message);
    buf_clear(&out);
    event_store(&event, &out);
    assert_string_equal(out.data, json(expected));
    assert_int_equal(json_scan(content(&out), JSON_DEPTH_MAX, &err), 0);
}

/* The body is refused, the field blamed, and `reason` in the message. */
static void assert_refused(const char *body, const char *field, const char *reason) {
    if (parse(body) == 0)
        fail_msg("taken: %s", body);
    assert_string_equal(err.field, field);
    if (!strstr(err.message, reason))
        fail_msg("%s: %s", body, err.message);
}

/* {'topic':'a','data':1,'name':value}, the value as it stands, or as a string. */
static const char *with(const char *name, const char *value) {
    static char body[2048];
    snprintf(body, sizeof body, "{'topic':'a','data':1,'%s':%s}", name, value);
    return body;
}

static const char *of_data(const char *value) {
    static char body[512];
    snprintf(body, sizeof body, "{'topic':'a','data': %s }", value);
    return body;
}

static const char *with_text(const char *name, const char *text) {
    static char value[1024];
    snprintf(value, sizeof value, "'%s'", text);
    return with(name, value);
}

static int free_out(void **state) {
    (void)state;
    buf_fini(&out);
    return 0;
}

/* --- what is stored */

static void test_an_event_of_topic_and_data_gets_an_id_and_a_time(void **state) {
    (void)state;
    assert_stored("{'topic':'drug.copay','data':{'copay':25}}",
                  STORED("drug.copay", "'data':{'copay':25}"));
    assert_false(event.has_own_id || event.has_key || event.has_source_cursor || event.tombstone);
}

static void test_stored_members_have_one_order_whatever_the_publishers(void **state) {
    static const char *const members[] = {
        "'topic':'drug.copay'",        "'data':{'copay':25}", "'id':'e-1'", "'key':'k'",
        "'ts':'2024-05-07T14:03:11Z'", "'cursor':1842"};
    (void)state;
    for (unsigned n = 0; n < 720; n++) { /* all orders */
        char body[256] = "{", used[6] = {0};
        for (unsigned i = 0, rest = n; i < 6; rest /= 6 - i, i++) {
            unsigned at = 0;
            for (unsigned skip = rest % (6 - i); used[at] || skip; at++)
                skip -= !used[at];
            used[at] = 1;
            size_t len = strlen(body);
            snprintf(body + len, sizeof body - len, "%s%s", members[at], i < 5 ? " , " : "}");
        }
        assert_stored(body, "{'topic':'drug.copay','id':'e-1','key':'k','ts':'2024-05-07T14:03:11Z'"
                            ",'source_cursor':1842,"
                            "'data':{'copay':25}}");
    }
    assert_true(event.has_own_id && event.has_key && event.has_source_cursor);
}

static void test_escaped_names_and_values_mean_what_they_say(void **state) {
    (void)state;
    assert_stored("{'t\\u006fpic':'drug\\u002ecopay','\\u0064ata':'\\u0041','id':'\\u0061','key':'"
                  "\\u00e9\\/\\n\\\"'}",
                  "{'topic':'drug.copay','id':'a','key':'\u00e9/\\n\\\"','ts':'" TS
                  "','data':'\\u0041'}");
}

static void test_data_is_kept_byte_for_byte_but_for_line_breaks_between_tokens(void **state) {
    (void)state;
    assert_stored("{\n  'topic': 'a',\r\n  'data': {\r\n\t'b' : [ 1.0e+0,\n  "
                  "'x\\r\\n\\u000a\\/\u00e9  y' ]\n  }\n}\n",
                  STORED("a", "'data':{  \t'b' : [ 1.0e+0,   'x\\r\\n\\u000a\\/\u00e9  y' ]   }"));
    assert_null(strpbrk(out.data, "\r\n"));
}

static void test_data_may_be_any_value_and_white_space_around_it_is_not_kept(void **state) {
    static const char *const values[] = {
        "null", "true",      "0",  "-0",  "1E400", "12345678901234567890",
        "''",   "'\\u0000'", "[]", "[ ]", "{}"};
    char body[128], expected[256];
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(body, sizeof body, " {'data' :\t%s\n ,'topic' : 'a' } \n", values[i]);
        snprintf(expected, sizeof expected, STORED("a", "'data':%s"), values[i]);
        assert_stored(body, expected);
        assert_false(event.tombstone);
    }
}

/* --- limits */

static void test_data_of_256_kib_is_taken_and_a_byte_more_is_too_large(void **state) {
    struct buf body = {0};
    (void)state;
    for (size_t len = DATA_MAX - 1; len <= DATA_MAX + 1; len++) {
        bool too_large = false;
        buf_clear(&body);
        buf_printf(&body, "{ \"data\" : \"%0*d\" , \"topic\":\"a\"}", (int)len - 2, 0);
        int result = event_parse(&event, content(&body), DATA_MAX, ID, TS, &too_large, &err);
        assert_int_equal(result == 0, len <= DATA_MAX);
        assert_int_equal(too_large, len > DATA_MAX);
    }
    assert_string_equal(err.field, "data");
    assert_non_null(strstr(err.message, "link"));
    buf_fini(&body);
}

static void test_datas_size_is_that_of_its_bytes_as_sent(void **state) {
    static const char *const values[] = {"[ \n ]", "'\\u0041'", "'\u20ac'"};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        bool too_large;
        assert_int_equal(event_parse(&event, span_of(json(of_data(values[i]))), strlen(values[i]),
                                     ID, TS, &too_large, &err),
                         0);
        assert_int_equal(event_parse(&event, span_of(json(of_data(values[i]))),
                                     strlen(values[i]) - 1, ID, TS, &too_large, &err),
                         -1);
        assert_true(too_large);
    }
}

static void test_depth_is_32_counted_from_the_events_own_braces(void **state) {
    (void)state;
    for (int levels = 2; levels <= 34; levels++) {
        char nested[80] = "";
        memset(nested, '[', (size_t)levels - 1);
        memset(nested + levels - 1, ']', (size_t)levels - 1);
        assert_int_equal(parse(of_data(nested)), levels <= 32 ? 0 : -1);
    }
    assert_non_null(strstr(err.message, "more than 32 levels"));
}

static void test_an_id_has_1_to_128_printable_characters_without_a_dot(void **state) {
    char id[140];
    (void)state;
    for (int len = 1; len <= 130; len++) {
        snprintf(id, sizeof id, "%0*d", len, 0);
        assert_int_equal(parse(with_text("id", id)), len <= 128 ? 0 : -1);
        if (len <= 128)
            assert_string_equal(event.id, id);
    }
    assert_string_equal(err.field, "id");
    assert_refused(with_text("id", ""), "id", "must not be empty");
    for (int c = 1; c < 256; c++) {
        snprintf(id, sizeof id, "a\\u%04xb", c);
        assert_int_equal(parse(with_text("id", id)), c >= 0x21 && c <= 0x7e && c != '.' ? 0 : -1);
    }
    assert_refused(with_text("id", "a\\u0000"), "id", "U+0000");
}

static void test_ids_that_begin_with_ess_are_for_ess_itself(void **state) {
    (void)state;
    assert_refused(with_text("id", "ess-test-7"), "id", "must not begin with ess-");
    assert_refused(with_text("id", "\\u0065ss-"), "id", "must not begin with ess-");
    assert_int_equal(parse(with_text("id", "ess")), 0);
    assert_int_equal(parse(with_text("id", "ESS-1")), 0);
}

static void test_a_key_has_1_to_256_bytes(void **state) {
    char key[300];
    (void)state;
    for (int len = 1; len <= 258; len++) {
        snprintf(key, sizeof key, "%0*d", len, 0);
        assert_int_equal(parse(with_text("key", key)), len <= 256 ? 0 : -1);
    }
    assert_string_equal(err.field, "key");
    snprintf(key, sizeof key, "%0*d\\u20ac", 253, 0);
    assert_int_equal(parse(with_text("key", key)), 0);
    assert_int_equal(event.key_len, 256);
    snprintf(key, sizeof key, "%0*d\u20ac", 254, 0);
    assert_int_equal(parse(with_text("key", key)), -1);
    assert_refused(with_text("key", ""), "key", "must not be empty");
    assert_refused(with_text("key", "a\\u0000b"), "key", "U+0000");
}

static void test_ts_is_any_rfc_3339_time_and_kept_as_given(void **state) {
    static const char *const good[] = {"2024-05-07T14:03:11Z", "2024-05-07t14:03:11.1z",
                                       "2024-02-29T23:59:59.123456789+05:45",
                                       "0001-01-01T00:00:00-23:59"};
    static const char *const bad[] = {"",
                                      "2024-05-07",
                                      "2024-05-07 14:03:11Z",
                                      "2024-05-07T14:03:11",
                                      "2023-02-29T00:00:00Z",
                                      "2024-05-07T24:00:00Z",
                                      "2024-05-07T14:03:11.Z",
                                      "2024-05-07T14:03Z",
                                      "1715090591",
                                      "now"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(parse(with_text("ts", good[i])), 0);
        assert_string_equal(event.ts, good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refused(with_text("ts", bad[i]), "ts", "RFC 3339");
    assert_refused(
        with_text("ts", "2024-05-07T14:03:11.00000000000000000000000000000000000000000000000000Z"),
        "ts", "longer");
}

/* --- the publisher's own cursor */

static void test_the_publishers_cursor_becomes_source_cursor_and_makes_the_id(void **state) {
    (void)state;
    assert_stored("{'topic':'drug.copay','data':{},'cursor':1842}",
                  "{'topic':'drug.copay','id':'drug/copay:1842','ts':'" TS
                  "','source_cursor':1842,'data':{}}");
    assert_true(event.has_own_id);
    assert_stored("{'topic':'a.b.c','data':{},'cursor':0}",
                  "{'topic':'a.b.c','id':'a/b/c:0','ts':'" TS "','source_cursor':0,'data':{}}");
}

static void test_an_id_of_its_own_stands_beside_the_publishers_cursor(void **state) {
    (void)state;
    assert_stored("{'topic':'drug.copay','data':{},'cursor':1842,'id':'mine'}",
                  "{'topic':'drug.copay','id':'mine','ts':'" TS
                  "','source_cursor':1842,'data':{}}");
}

static void test_the_longest_topic_and_cursor_make_an_id_that_fits(void **state) {
    char body[256];
    (void)state;
    snprintf(body, sizeof body, "{'topic':'%064d.%035d','data':1,'cursor':999999999999999999}", 0,
             0);
    assert_int_equal(parse(body), 0);
    assert_int_equal(strlen(event.id), 100 + 1 + 18);
}

static void test_a_cursor_is_a_whole_number_without_sign(void **state) {
    static const char *const bad[] = {"-1",     "-0",   "1.0",  "1e3", "1000000000000000000",
                                      "'1842'", "null", "true", "[1]", "{}"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refused(with("cursor", bad[i]), "cursor", "whole number");
}

/* --- refusals */

static void test_each_member_has_its_type(void **state) {
    static const char *const others[] = {"null", "true", "1", "['a']", "{'a':'b'}"};
    static const char *const texts[] = {"topic", "id", "key", "ts"};
    char body[128];
    (void)state;
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            snprintf(body, sizeof body, "{'%s':%s,%s'data':1}", texts[t], others[i],
                     t ? "'topic':'a'," : "");
            assert_refused(body, texts[t], "must be a string");
        }
    }
}

static void test_a_bad_topic_is_refused_with_the_reason(void **state) {
    static const char *const bad[] = {
        "", "a..b", "a.*", "*", "a b", "a/b", "\u00e9", "a.b.c.d.e.f.g.h.i", "a\\u0000"};
    char body[64];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(body, sizeof body, "{'data':1,'topic':'%s'}", bad[i]);
        assert_refused(body, "topic", "topic: m");
    }
}

static void test_topic_and_data_must_be_there(void **state) {
    (void)state;
    assert_refused("{'data':1}", "topic", "is missing");
    assert_refused("{'topic':'a'}", "data", "is missing");
    assert_refused("{}", "topic", "is missing");
}

static void test_an_unknown_field_is_named(void **state) {
    (void)state;
    assert_refused("{'topic':'a','data':1,'prev_cursor':1}", "prev_cursor",
                   "is no field of an event");
    assert_refused("{'topic':'a','data':1,'Topic':'b'}", "Topic", "is no field");
    assert_refused("{'topic':'a','data':1,'':1}", "", "is no field");
    assert_refused("{'topic':'a','data':1,'source_cursor':1}", "source_cursor",
                   "topic, data, key, id, cursor, ts");
}

static void test_a_name_that_begins_like_a_fields_before_a_zero_character_is_unknown(void **state) {
    (void)state;
    assert_refused("{'topic\\u0000':'a','data':1}", "topic", "is no field");
    assert_refused("{'topic':'a','topic\\u0000x':'b','data':1}", "topic", "is no field");
    assert_refused("{'topic':'a','data':1,'id\\u0000':'b'}", "id", "is no field");
}

static void test_a_long_unknown_name_is_cut_between_characters(void **state) {
    struct buf text = {0};
    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        buf_clear(&text);
        buf_printf(&text, "{'%.*s", (int)shift, "ab");
        for (int i = 0; i < 200; i++)
            buf_puts(&text, "\u20ac");
        buf_puts(&text, "':1}");
        assert_int_equal(parse(text.data), -1);
        assert_true(strlen(err.field) > 40);
        assert_int_equal(strlen(err.field) % strlen("\u20ac"), shift);
    }
    buf_fini(&text);
}

static void test_a_member_that_is_there_twice_is_named(void **state) {
    (void)state;
    assert_refused("{'topic':'a','data':1,'topic':'a'}", "topic", "is there twice");
    assert_refused("{'topic':'a','data':{'x':1,'\\u0078':1}}", "\\u0078", "is there twice");
}

static void test_what_is_not_an_object_of_json_is_refused(void **state) {
    static const char *const bodies[] = {
        "",
        "1",
        "[]",
        "[{'topic':'a','data':1}]",
        "'a'",
        "{'topic':'a','data':NaN}",
        "{'topic':'a','data':-01}",
        "{'topic':'a','data':1}x",
        "\xef\xbb\xbf{'topic':'a','data':1}",
        "{'topic':'a','data':'\xc0\xaf'}",
        "{'topic':'a','data':'\\ud800'}",
        "{'topic':'a','data':'\n'}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_refused(bodies[i], "", "JSON");
}

/* --- in Kafka */

static void test_the_kafka_key_is_the_topic_with_the_publishers_key(void **state) {
    struct buf key = {0};
    (void)state;
    assert_int_equal(parse("{'topic':'drug.copay','data':1}"), 0);
    event_kafka_key(&event, &key);
    assert_string_equal(key.data, "drug.copay");
    buf_clear(&key);
    assert_int_equal(parse("{'topic':'drug.copay','data':1,'key':'a/\u00e9'}"), 0);
    event_kafka_key(&event, &key);
    assert_string_equal(key.data, "drug.copay/a/\u00e9");
    buf_fini(&key);
}

static void test_null_data_is_a_tombstone_only_with_a_key(void **state) {
    static const struct {
        const char *body;
        bool tombstone;
    } cases[] = {
        {"{'topic':'a','data':null,'key':'k'}", true},
        {"{'key':'k','data': null ,'topic':'a'}", true},
        {"{'topic':'a','data':'null','key':'k'}", false},
        {"{'topic':'a','data':[null],'key':'k'}", false},
        {"{'topic':'a','data':null}", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(parse(cases[i].body), 0);
        assert_int_equal(event.tombstone, cases[i].tombstone);
    }
}

static void test_a_tombstone_remade_from_its_headers_is_the_stored_form(void **state) {
    static const char *const more[] = {
        "'key':'k'", "'key':'\\\"\\\\\\u0001\u00e9','id':'a\\\"b','ts':'2024-05-07T14:03:11+02:00'",
        "'key':'k','cursor':1842", "'key':'k','cursor':0"};
    (void)state;
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        struct buf stored = {0}, remade = {0};
        char body[128];
        snprintf(body, sizeof body, "{'topic':'drug.copay','data':null,%s}", more[i]);
        assert_int_equal(parse(body), 0);
        event_store(&event, &stored);
        event_store_tombstone(span_of(event.topic), span_of(event.id),
                              (struct span){event.key, event.key_len}, span_of(event.ts),
                              event.source_cursor, event.has_source_cursor, &remade);
        assert_string_equal(remade.data, stored.data);
        buf_fini(&stored);
        buf_fini(&remade);
    }
}

/* --- as delivered */

static void assert_spliced(int64_t cursor, int64_t prev_cursor, bool compacted,
                           const char *members) {
    struct buf stored = {0};
    char expected[256];
    buf_puts(&stored, json(STORED("drug.copay", "'data':{}")));
    snprintf(expected, sizeof expected,
             "{'topic':'drug.copay',%s'id':'" ID "','ts':'" TS "','data':{}}", members);
    buf_clear(&out);
    event_splice(content(&stored), strlen("drug.copay"), cursor, prev_cursor, compacted, &out);
    assert_string_equal(out.data, json(expected));
    buf_fini(&stored);
}

static void test_cursors_are_spliced_in_after_the_topic_and_behind_a_hole_compacted(void **state) {
    (void)state;
    assert_spliced(1842, 1837, false, "'cursor':1842,'prev_cursor':1837,");
    assert_spliced(1, 0, false, "'cursor':1,'prev_cursor':0,");
    assert_spliced(INT64_MAX, INT64_MAX - 1, false,
                   "'cursor':9223372036854775807,'prev_cursor':9223372036854775806,");
    assert_spliced(1842, 1837, true, "'cursor':1842,'prev_cursor':1837,'compacted':true,");
}

static void test_a_redriven_event_has_no_prev_cursor_and_a_test_delivery_no_cursor(void **state) {
    (void)state;
    assert_spliced(1842, -1, false, "'cursor':1842,");
    assert_spliced(-1, 1837, false, "");
}

static void test_what_was_stored_can_be_spliced_for_any_topic_and_stays_json(void **state) {
    static const char *const topics[] = {"a", "drug.copay", "a.b.c.d.e.f.g.h"};
    struct buf delivered = {0};
    char body[128];
    (void)state;
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        snprintf(body, sizeof body, "{'topic':'%s','data':{'topic':'x'},'key':'k','cursor':7}",
                 topics[i]);
        assert_int_equal(parse(body), 0);
        buf_clear(&out);
        event_store(&event, &out);
        assert_true(event_stored_valid(content(&out), span_of(topics[i])));
        buf_clear(&delivered);
        buf_puts(&delivered, "["); /* event_splice appends */
        event_splice(content(&out), strlen(topics[i]), 9, 8, true, &delivered);
        buf_puts(&delivered, "]");
        assert_int_equal(json_scan(content(&delivered), JSON_DEPTH_MAX, &err), 0);
    }
    buf_fini(&delivered);
}

static void test_only_bytes_that_begin_like_a_stored_event_of_the_topic_are_spliced(void **state) {
    static const char *const foreign[] = {
        "",
        "{}",
        "{",
        "}",
        "{'topic':'a'}",
        "{'topic':'a',",
        "{'topic':'b','data':1}",
        "{'topic':'ab','data':1}",
        "{ 'topic':'a','data':1}",
        "{'topic': 'a','data':1}",
        "{'topic':'a' ,'data':1}",
        "{'data':1,'topic':'a'}",
        "{'topic':'a','data':1} ",
        "{'topic':'a','data':1",
        "['topic':'a','data':1}",
        "{'Topic':'a','data':1}",
    };
    (void)state;
    assert_true(event_stored_valid(span_of(json("{'topic':'a','data':1}")), span_of("a")));
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        size_t len = strlen(foreign[i]);
        char *copy = memcpy(mem_alloc(len), json(foreign[i]),
                            len); /* so that a sanitizer detects a read beyond the end */
        if (event_stored_valid((struct span){copy, len}, span_of("a")))
            fail_msg("%s", foreign[i]);
        free(copy);
    }
    assert_false(event_stored_valid((struct span){NULL, 0}, span_of("a")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_event_of_topic_and_data_gets_an_id_and_a_time),
        cmocka_unit_test(test_stored_members_have_one_order_whatever_the_publishers),
        cmocka_unit_test(test_escaped_names_and_values_mean_what_they_say),
        cmocka_unit_test(test_data_is_kept_byte_for_byte_but_for_line_breaks_between_tokens),
        cmocka_unit_test(test_data_may_be_any_value_and_white_space_around_it_is_not_kept),
        cmocka_unit_test(test_data_of_256_kib_is_taken_and_a_byte_more_is_too_large),
        cmocka_unit_test(test_datas_size_is_that_of_its_bytes_as_sent),
        cmocka_unit_test(test_depth_is_32_counted_from_the_events_own_braces),
        cmocka_unit_test(test_an_id_has_1_to_128_printable_characters_without_a_dot),
        cmocka_unit_test(test_ids_that_begin_with_ess_are_for_ess_itself),
        cmocka_unit_test(test_a_key_has_1_to_256_bytes),
        cmocka_unit_test(test_ts_is_any_rfc_3339_time_and_kept_as_given),
        cmocka_unit_test(test_the_publishers_cursor_becomes_source_cursor_and_makes_the_id),
        cmocka_unit_test(test_an_id_of_its_own_stands_beside_the_publishers_cursor),
        cmocka_unit_test(test_the_longest_topic_and_cursor_make_an_id_that_fits),
        cmocka_unit_test(test_a_cursor_is_a_whole_number_without_sign),
        cmocka_unit_test(test_each_member_has_its_type),
        cmocka_unit_test(test_a_bad_topic_is_refused_with_the_reason),
        cmocka_unit_test(test_topic_and_data_must_be_there),
        cmocka_unit_test(test_an_unknown_field_is_named),
        cmocka_unit_test(test_a_name_that_begins_like_a_fields_before_a_zero_character_is_unknown),
        cmocka_unit_test(test_a_long_unknown_name_is_cut_between_characters),
        cmocka_unit_test(test_a_member_that_is_there_twice_is_named),
        cmocka_unit_test(test_what_is_not_an_object_of_json_is_refused),
        cmocka_unit_test(test_the_kafka_key_is_the_topic_with_the_publishers_key),
        cmocka_unit_test(test_null_data_is_a_tombstone_only_with_a_key),
        cmocka_unit_test(test_a_tombstone_remade_from_its_headers_is_the_stored_form),
        cmocka_unit_test(test_cursors_are_spliced_in_after_the_topic_and_behind_a_hole_compacted),
        cmocka_unit_test(test_a_redriven_event_has_no_prev_cursor_and_a_test_delivery_no_cursor),
        cmocka_unit_test(test_what_was_stored_can_be_spliced_for_any_topic_and_stays_json),
        cmocka_unit_test(test_only_bytes_that_begin_like_a_stored_event_of_the_topic_are_spliced),
    };
    return cmocka_run_group_tests(tests, NULL, free_out);
}
