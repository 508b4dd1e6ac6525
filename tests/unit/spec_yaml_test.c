/* A subscriber's file: the seed's lines work, YAML says the same as JSON, and what is refused is
 * named with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/model/spec.h"

static const struct spec_rules rules = {.from_file = true};
static struct spec spec;
static struct error err;

static int read_bytes(const char *text, size_t len) {
    char *copy = memcpy(mem_alloc(len), text,
                        len); /* so that a sanitizer sees a step beyond its end */
    int result = spec_from_yaml(&spec, (struct span){copy, len}, &rules, &err);
    free(copy);
    return result;
}

static void assert_taken(const char *text) {
    if (read_bytes(text, strlen(text)))
        fail_msg("%s: %s", text, err.message);
}

/* Refused with a message that begins with the line (and field), and holds the reason. */
static void assert_refused_bytes(const char *text, size_t len, const char *begin,
                                 const char *reason) {
    if (read_bytes(text, len) == 0)
        fail_msg("taken: %s", text);
    if (strncmp(err.message, begin, strlen(begin)) != 0 || !strstr(err.message, reason))
        fail_msg("%s: %s", text, err.message);
}

static void assert_refused(const char *text, const char *begin, const char *reason) {
    assert_refused_bytes(text, strlen(text), begin, reason);
}

/* Four good lines; what follows is line 5. */
#define GOOD "id: a\nurl: https://v.example/h\ntopics: [drug.copay]\nsecret: s\n"

/* --- what works */

static void test_the_seeds_five_lines_work(void **state) {
    (void)state;
    assert_taken("# ess/subscribers/mmis.yml\n"
                 "id: md-mm1\n"
                 "url: https://mmis.state.md.gov/hook/copay\n"
                 "topics: [\"drug.copay\"]\n"
                 "throttle: 5           # events / second\n"
                 "secret: \"s3cr3t\"      # HMAC for authenticity\n");
    assert_string_equal(spec.id, "md-mm1");
    assert_string_equal(spec.url, "https://mmis.state.md.gov/hook/copay");
    assert_int_equal(spec.subscription.patterns_count, 1);
    assert_string_equal(spec.subscription.patterns[0], "drug.copay");
    assert_true(spec.throttle == 5);
    assert_string_equal(spec.secret, "s3cr3t");
    spec_fini(&spec);
}

static void test_every_way_to_write_the_same_is_the_same(void **state) {
    static const char *const files[] = {
        GOOD,
        "---\n" GOOD "...\n",
        "%YAML 1.1\n---\n" GOOD,
        "\xef\xbb\xbf" GOOD,
        "id: a\r\nurl: https://v.example/h\r\ntopics: [drug.copay]\r\nsecret: s\r\n",
        "secret: s\ntopics:\n- drug.copay\nurl: >-\n  https://v.example/h\nid: |-\n  a\n",
        "{id: a, url: 'https://v.example/h', topics: [\"drug.copay\"], secret: s}",
        "{\"id\":\"a\",\"url\":\"https://v.example/"
        "h\",\"topics\":[\"drug.copay\"],\"secret\":\"s\"}",
        "\n# comment\n\n\"id\": \"\\x61\"\n? url\n: https://v.example/h # here too\n'topics':\n  - "
        "'drug.copay'\nsecret: \"s\"",
    };
    struct buf first = {0};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct buf out = {0};
        assert_taken(files[i]);
        spec_to_json(&spec, true, i ? &out : &first);
        assert_string_equal(i ? out.data : first.data, first.data);
        assert_string_equal(spec.secret, "s");
        spec_fini(&spec);
        buf_fini(&out);
    }
    buf_fini(&first);
}

/* --- YAML says what JSON says */

static const struct {
    const char *field, *yaml, *json; /* in the json with single quotes */
} same[] = {
    {"throttle", "5", "5"},
    {"throttle", "+5", "5"},
    {"throttle", "0.5", "0.5"},
    {"throttle", ".5", "0.5"},
    {"throttle", "1e3", "1e3"},
    {"throttle", "1E+3", "1E+3"},
    {"throttle", "007", "7"},
    {"throttle", "0", "0"},
    {"throttle", "-1", "-1"},
    {"throttle", "-0.0", "-0.0"},
    {"throttle", "1e999", "1e999"},
    {"throttle", "99999999999999999999", "99999999999999999999"},
    {"throttle", "\"5\"", "'5'"},
    {"throttle", "'5'", "'5'"},
    {"throttle", ".nan", "'.nan'"},
    {"throttle", "NaN", "'NaN'"},
    {"throttle", ".inf", "'.inf'"},
    {"throttle", "0x10", "'0x10'"},
    {"throttle", "0o17", "'0o17'"},
    {"throttle", "1_000", "'1_000'"},
    {"throttle", "1:30", "'1:30'"},
    {"throttle", "5/s", "'5/s'"},
    {"throttle", "--5", "'--5'"},
    {"throttle", "5.5.5", "'5.5.5'"},
    {"throttle", "e5", "'e5'"},
    {"throttle", "~", "null"},
    {"throttle", "null", "null"},
    {"throttle", "", "null"},
    {"throttle", "true", "true"},
    {"throttle", "[5]", "[5]"},
    {"throttle", "{a: 5}", "{'a':5}"},
    {"max_attempts", "3", "3"},
    {"max_attempts", "3.0", "3.0"},
    {"max_attempts", "0", "0"},
    {"max_attempts", "999999999999999999999999", "999999999999999999999999"},
    {"from", "42", "42"},
    {"from", "end", "'end'"},
    {"from", "\"42\"", "'42'"},
    {"from", "-1", "-1"},
    {"from", "999999999999999999", "999999999999999999"},
    {"from", "1000000000000000000", "1000000000000000000"},
    {"from", "9999999999999999999", "9999999999999999999"},
    {"from", "99999999999999999999", "99999999999999999999"},
    {"from", "2024-05-07T14:03:11Z", "'2024-05-07T14:03:11Z'"},
    {"from", "2024-05-07", "'2024-05-07'"},
    {"timeout", "15s", "'15s'"},
    {"timeout", "15", "15"},
    {"timeout", "1m30s", "'1m30s'"},
    {"ordering", "none", "'none'"},
    {"ordering", "None", "'None'"},
    {"description", "'State MMIS: Maryland'", "'State MMIS: Maryland'"},
    {"description", "yes", "'yes'"},
    {"description", "True", "'True'"},
    {"description", "true", "true"},
    {"description", "12", "12"},
    {"description", "1.2.3", "'1.2.3'"},
    {"description", "\"\\u00e9\\n\"", "'\\u00e9\\n'"},
    {"headers", "{X-B: b, X-A: \"1\"}", "{'X-B':'b','X-A':'1'}"},
    {"headers", "{X-A: 1}", "{'X-A':1}"},
    {"headers", "[X-A]", "['X-A']"},
    {"throtle", "5", "5"},
    {"secret_file", "/run/secret", "'/run/secret'"},
};

static void put_json(struct buf *out, const char *field, const char *value) {
    buf_printf(
        out, "{'id':'a','url':'https://v.example/h','topics':['drug.copay'],'secret':'s','%s':%s}",
        field, value);
    for (char *p = out->data; *p; p++)
        *p = *p == '\'' ? '"' : *p;
}

static void test_yaml_is_taken_or_refused_as_the_same_in_json_is(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct buf yaml = {0}, json = {0}, from_yaml = {0}, from_json = {0};
        struct spec other;
        struct error other_err;
        buf_printf(&yaml, GOOD "%s: %s\n", same[i].field, same[i].yaml);
        put_json(&json, same[i].field, same[i].json);
        int result = read_bytes(yaml.data, yaml.len);
        if (spec_from_json(&other, (struct span){json.data, json.len}, &rules, &other_err) !=
            result)
            fail_msg("%s: %s %s", same[i].field, same[i].yaml, result ? err.message : "is taken");
        if (result == 0) {
            spec_to_json(&spec, true, &from_yaml);
            spec_to_json(&other, true, &from_json);
            assert_string_equal(from_yaml.data, from_json.data);
            assert_true(spec.from == other.from && spec.from_value == other.from_value);
            spec_fini(&spec);
            spec_fini(&other);
        } else {
            assert_memory_equal(err.message, "5: ", 3);
            assert_string_equal(err.message + 3, other_err.message);
            assert_string_equal(err.field, other_err.field);
        }
        buf_fini(&yaml);
        buf_fini(&json);
        buf_fini(&from_yaml);
        buf_fini(&from_json);
    }
}

static void test_a_filter_in_yaml_is_the_same_as_in_json(void **state) {
    (void)state;
    assert_taken(GOOD
                 "filter:\n"
                 "  data:\n"
                 "    state: [MD, \"NO\", 'true', true, null, ~]\n"
                 "    zip: ['007', 007, +5, -.5, 5., 1.50, 1e400, 12345678901234567890123, 1.2.3]\n"
                 "    copay:\n"
                 "      - numeric: [\"<\", 30]\n"
                 "      - anything-but: {prefix: [a, b]}\n"
                 "  $or: [{key: [k]}, {topic: [{suffix: .copay}]}]\n");
    assert_string_equal(spec.filter, "{\"data\":{\"state\":[\"MD\",\"NO\",\"true\",true,null,null],"
                                     "\"zip\":[\"007\",7,5,-0.5,5,1.50,"
                                     "1e400,12345678901234567890123,\"1.2.3\"],\"copay\":[{"
                                     "\"numeric\":[\"<\",30]},{\"anything-but\""
                                     ":{\"prefix\":[\"a\",\"b\"]}}]},\"$or\":[{\"key\":[\"k\"]},{"
                                     "\"topic\":[{\"suffix\":\".copay\"}"
                                     "]}]}");
    spec_fini(&spec);
}

static void test_a_bad_filter_is_named_with_its_line(void **state) {
    (void)state;
    assert_refused(GOOD "filter:\n  data:\n    state:\n      - MD\n      - numerik: [1]\n",
                   "9: filter.data.state[1]: ", "unknown operator 'numerik'");
    assert_refused(GOOD "filter:\n  data:\n    state: MD\n",
                   "7: filter.data.state: ", "must be a list of conditions");
    assert_refused(GOOD "filter: MD\n", "5: filter: ", "must be an object");
    assert_refused(GOOD "filter:\n  data: {a: [1]}\n  $or: [{key: [k]}, {kay: [k]}]\n",
                   "7: filter.$or[1].kay: ", "unknown: may be topic");
}

/* --- what is refused, with its line */

static void test_a_bad_field_is_named_with_its_line(void **state) {
    static const struct {
        const char *line, *begin, *reason;
    } cases[] = {
        {"throttle: 0", "5: throttle: ", "from 0.01 to 10000"},
        {"throttle: -1", "5: throttle: ", "from 0.01 to 10000"},
        {"throttle: NaN", "5: throttle: ", "from 0.01 to 10000"},
        {"\n\n# five a second\nthrottle: fast", "8: throttle: ", "from 0.01 to 10000"},
        {"throtle: 5", "5: throtle: ", "is no field of a subscriber"},
        {"secret_file: /run/s", "5: secret_file: ", "must not stand beside secret"},
        {"max_in_flight: 2", "5: max_in_flight: ", "while ordering is strict"},
        {"headers:\n  X-A: a\n  Host: b", "5: headers: ", "is set by ESS itself"},
        {"timeout: 15", "5: timeout: ", "a duration such as 15s"},
        {"description: 12", "5: description: ", "needs quotes"},
        {"born: x", "5: born: ", "is no field"},
        {"<<: {throttle: 5}", "5: <<: ", "is no field"},
    };
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "%s%s\n", GOOD, cases[i].line);
        assert_refused(text, cases[i].begin, cases[i].reason);
    }
}

static void test_a_bad_url_is_named_with_its_line(void **state) {
    static const char *const urls[][2] = {
        {"http://v.example/h", "must begin with https://"},
        {"https://u:p@v.example/", "credentials"},
        {"https://v.example/h#f", "fragment"},
        {"https://127.0.0.1/", "is not a public address"},
        {"https://0x7f.1/", "is not a public address"},
        {"https://[::1]/", "is not a public address"},
        {"https://[64:ff9b::10.0.0.1]/", "is not a public"},
        {"https://localhost./", "is this machine itself"},
        {"\"https://v.example/\\u0000\"", "U+0000"},
        {"5", "must be text"},
    };
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        snprintf(text, sizeof text, "id: a\ntopics: [a]\nurl: %s\nsecret: s\n", urls[i][0]);
        assert_refused(text, "3: ", urls[i][1]);
    }
}

static void test_a_field_that_is_missing_is_named(void **state) {
    (void)state;
    assert_refused("url: https://v.example/h\ntopics: [a]\nsecret: s\n", "1: id: ", "is missing");
    assert_refused("id: a\ntopics: [a]\nsecret: s\n", "1: url: ", "is missing");
    assert_refused("id: a\nurl: https://v.example/h\nsecret: s\n", "1: topics: ", "is missing");
    assert_refused("id: a\nurl: https://v.example/h\ntopics: [a]\n", "1: secret: ", "is missing");
}

static void test_a_field_that_is_there_twice_is_named_with_its_second_line(void **state) {
    (void)state;
    assert_refused(GOOD "throttle: 5\nid: b\n", "6: id: ", "twice");
    assert_refused(GOOD "\"\\x69d\": b\n", "5: id: ", "twice");
    assert_refused(GOOD "headers:\n  X-A: a\n  X-B: b\n  X-A: c\n", "8: X-A: ", "twice");
    assert_refused("{id: a, id: b}", "1: id: ", "twice");
}

static void test_anchors_aliases_and_tags_are_refused(void **state) {
    static const char *const cases[][2] = {
        {"throttle: &x 5\n", "anchors"},
        {"headers: &x {X-A: a}\n", "anchors"},
        {"topics2: &x [a]\n", "anchors"},
        {"&x throttle: 5\n", "anchors"},
        {"throttle: *x\n", "aliases"},
        {"topics2: [*]\n", "aliases"},
        {"*x : 5\n", "aliases"},
        {"throttle: !!int 5\n", "tags"},
        {"throttle: !x 5\n", "tags"},
        {"headers: !!map {X-A: a}\n", "tags"},
        {"topics2: !!seq [a]\n", "tags"},
        {"!!str throttle: 5\n", "tags"},
        {"throttle: !<tag:yaml.org,2002:int> 5\n", "tags"},
        {"a: !!python/object/apply:os.system [id]\n", "tags"},
    };
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "%s%s", GOOD, cases[i][0]);
        assert_refused(text, "5: ", cases[i][1]);
    }
    assert_refused("&x\n" GOOD, "1: ", "anchors");
    assert_refused("--- !x\n" GOOD, "1: ", "tags");
}

static void test_a_file_that_would_grow_when_read_is_refused_at_its_first_anchor(void **state) {
    (void)state;
    assert_refused("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c "
                   "[*b,*b,*b,*b,*b,*b,*b,*b,*b]\n",
                   "1: ", "anchors");
}

static void test_several_documents_are_refused(void **state) {
    (void)state;
    assert_refused(GOOD "---\n" GOOD, "5: ", "only one document");
    assert_refused(GOOD "...\n---\nid: b\n", "6: ", "only one document");
    assert_refused("---\n---\n" GOOD, "", "");
}

static void test_what_is_no_mapping_is_refused(void **state) {
    static const char *const texts[] = {"a", "- id: a", "[a]", "'id: a'", "5", "--- |\n a\n", "~"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused(texts[i], "1: ", "must be fields such as");
    assert_refused("---\n", "2: ", "must be fields such as");
    assert_refused("", "1: ", "is empty");
    assert_refused("# nothing but a comment\n", "1: ", "is empty");
    assert_refused("{}", "1: id: ", "is missing");
}

static void test_bad_yaml_is_told_with_its_line(void **state) {
    static const char *const cases[][2] = {
        {"throttle: 5: 6\n", "5: "},
        {"\tthrottle: 5\n", "5: "},
        {"throttle: [5\n", "6: "},
        {"throttle: \"5\n", "6: "},
        {"throttle\n", "6: "},
        {"  throttle: 5\n", "5: "},
        {"throttle: 'a' b\n", "5: "},
        {"throttle: @a\n", "5: "},
        {"description: \"\\ud800\"\n", "5: "},
        {"d: \"\\q\"\n", "5: "},
        {"[a]: 5\n", "5: "},
        {"{a: b}: 5\n", "5: "},
        {"]\n", "5: "},
        {"%YAML 1.1\n", "6: "},
        {"- a\n", "5: "},
    };
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "%s%s", GOOD, cases[i][0]);
        assert_refused(text, cases[i][1], " ");
    }
}

static void test_bytes_that_are_no_text_are_told_with_their_line(void **state) {
    (void)state;
    assert_refused(GOOD "description: caf\xe9\n", "5: ", "UTF-8");
    assert_refused(GOOD "description: \xc0\xaf\n", "5: ", "UTF-8");
    assert_refused(GOOD "\n# \xff\n", "6: ", "UTF-8");
    assert_refused(GOOD "description: \xed\xa0\x80\n", "5: ", "");
    assert_refused(GOOD "description: a\x01"
                        "b\n",
                   "5: ", "control characters");
    assert_refused("\xff\xfei\0d\0:\0 \0a\0", "1: ", "UTF-8");
    assert_refused_bytes(GOOD "description: a\0b\n", sizeof GOOD "description: a\0b\n" - 1,
                         "5: ", "");
    assert_refused(GOOD "description: \"a\\0b\"\n", "5: ", "U+0000");
    assert_refused(GOOD "\"throttle\\0\": 5\n", "5: ", "U+0000");
}

static void test_nesting_beyond_what_a_spec_needs_is_refused_at_once(void **state) {
    struct buf text = {0};
    (void)state;
    buf_puts(&text, GOOD "headers:\n");
    for (int i = 1; i <= 31; i++)
        buf_printf(&text, "%*s%s\n", i, "", i < 31 ? "a:" : "a: {b: 1}");
    assert_refused(text.data, "36: ", "nested too deeply");
    buf_clear(&text);
    buf_puts(&text, "a: ");
    for (int i = 0; i < 30000; i++)
        buf_puts(&text, i < 15000 ? "[" : "{");
    assert_refused(text.data, "1: ", "nested too deeply");
    buf_clear(&text);
    for (int i = 0; i < 15000; i++)
        buf_puts(&text, "- ");
    assert_refused(text.data, "1: ", "must be fields");
    buf_fini(&text);
}

static void test_many_bytes_are_refused_and_many_unknown_fields_by_the_first(void **state) {
    struct buf text = {0};
    (void)state;
    for (int i = 0; i < 100; i++)
        buf_printf(&text, "f%d: 1\n", i);
    assert_refused(text.data, "1: f0: ", "");
    buf_clear(&text);
    buf_puts(&text, GOOD);
    while (text.len < SPEC_FILE_BYTES_MAX)
        buf_puts(&text, "#");
    assert_int_equal(read_bytes(text.data, text.len), 0);
    spec_fini(&spec);
    buf_puts(&text, "#");
    assert_refused(text.data, "1: ", "65536 bytes");
    buf_fini(&text);
}

static void test_no_refusal_shows_the_secret(void **state) {
    (void)state;
    assert_refused("id: a\nsecret: whsec_pl4nted\n", "2: secret: ", "base64");
    assert_null(strstr(err.message, "pl4nted"));
    assert_refused("id: a\nsecret: \"pl4nted\n", "3: ", "");
    assert_null(strstr(err.message, "pl4nted"));
    assert_refused("id: a\nsecret: pl4nted: x\n", "2: ", "");
    assert_null(strstr(err.message, "pl4nted"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_seeds_five_lines_work),
        cmocka_unit_test(test_every_way_to_write_the_same_is_the_same),
        cmocka_unit_test(test_yaml_is_taken_or_refused_as_the_same_in_json_is),
        cmocka_unit_test(test_a_filter_in_yaml_is_the_same_as_in_json),
        cmocka_unit_test(test_a_bad_filter_is_named_with_its_line),
        cmocka_unit_test(test_a_bad_field_is_named_with_its_line),
        cmocka_unit_test(test_a_bad_url_is_named_with_its_line),
        cmocka_unit_test(test_a_field_that_is_missing_is_named),
        cmocka_unit_test(test_a_field_that_is_there_twice_is_named_with_its_second_line),
        cmocka_unit_test(test_anchors_aliases_and_tags_are_refused),
        cmocka_unit_test(test_a_file_that_would_grow_when_read_is_refused_at_its_first_anchor),
        cmocka_unit_test(test_several_documents_are_refused),
        cmocka_unit_test(test_what_is_no_mapping_is_refused),
        cmocka_unit_test(test_bad_yaml_is_told_with_its_line),
        cmocka_unit_test(test_bytes_that_are_no_text_are_told_with_their_line),
        cmocka_unit_test(test_nesting_beyond_what_a_spec_needs_is_refused_at_once),
        cmocka_unit_test(test_many_bytes_are_refused_and_many_unknown_fields_by_the_first),
        cmocka_unit_test(test_no_refusal_shows_the_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
