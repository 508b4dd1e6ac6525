/* The PII filter: what each action makes of values found by path and by form. All other
 * bytes stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/json/json_scan.h"
#include "common/pii/pii.h"

/* printf %s 123-45-6789 | openssl dgst -sha256 -hmac k */
#define HASH_SSN "8dabe59758ffe9ca88212c0de7ba152ab3ada82bed2cca98a7fd5f7741a24212"

#define HASH_CARD                                                                                  \
    "ea8f1cf8ad2a108e8cf41d731c54fdf130622266c46017a1cc687d8b191c3d08" /* of 4111111111111111 */

static struct buf told;

static void on_told(void *arg, size_t rule, const char *path) {
    (void)arg;
    buf_printf(&told, "%zu:%s ", rule, path);
}

static struct pii *rules_of(const char *yaml) {
    struct error err;
    struct pii *pii = pii_read(span_of(yaml), &err);
    if (!pii)
        fail_msg("%s\n%s", err.message, yaml);
    return pii;
}

/* `expected` NULL: nothing is filtered. The data is in memory of its own, so that a sanitizer
 * detects a read beyond the end. */
static void check_with(const struct pii *pii, const char *topic, const char *data,
                       const char *expected) {
    struct buf out = {0};
    struct error err;
    size_t len = strlen(data);
    char *copy = mem_alloc(len);
    memcpy(copy, data, len);
    buf_clear(&told);
    if (json_scan((struct span){copy, len}, JSON_DEPTH_MAX, &err))
        fail_msg("%s: %s", data, err.message);
    bool changed = pii_filter(pii, span_of(topic), (struct span){copy, len}, &out, on_told, NULL);
    if (changed && !expected)
        fail_msg("%s became %s", data, out.data);
    if (expected)
        assert_string_equal(changed ? out.data : data, expected);
    assert_int_equal(changed, told.len > 0);
    if (changed && json_scan((struct span){out.data, out.len}, JSON_DEPTH_MAX, &err))
        fail_msg("%s: %s", out.data, err.message);
    buf_fini(&out);
    free(copy);
}

/* One rule for all topics; `what` is paths or detect. */
static struct pii *rule(const char *what, const char *action) {
    char yaml[500];
    snprintf(yaml, sizeof yaml,
             "hash_key: k\nrules:\n- name: r\n  topics: [\"*\"]\n  %s\n  action: %s\n", what,
             action);
    return rules_of(yaml);
}

static void check(const char *what, const char *action, const char *data, const char *expected) {
    struct pii *pii = rule(what, action);
    check_with(pii, "t", data, expected);
    pii_free(pii);
}

#define PATHS "paths: [patient.ssn, \"patients[*].dob\", \"ids[*]\"]"

static void test_a_path_names_members_and_elements(void **state) {
    static const struct {
        const char *data, *expected;
    } examples[] = {
        {"{\"patient\":{\"ssn\":\"1\",\"name\":\"x\"},\"ssn\":\"2\"}",
         "{\"patient\":{\"ssn\":\"***\",\"name\":\"x\"},\"ssn\":\"2\"}"},
        {"{\"patients\":[{\"dob\":\"1\"},{\"x\":1,\"dob\":\"2\"}],\"dob\":3}",
         "{\"patients\":[{\"dob\":\"***\"},{\"x\":1,\"dob\":\"***\"}],\"dob\":3}"},
        {"{\"ids\":[1,[2,3],{\"x\":4}],\"id\":5}", "{\"ids\":[\"***\",\"***\",\"***\"],\"id\":5}"},
        {"{\"patient\":{\"patient\":{\"ssn\":1}}}", NULL},
        {"{\"a\":{\"patient\":{\"ssn\":1}}}", NULL},
        {"{\"patient\":{\"SSN\":1,\"ssn2\":2,\"ss\":3,\"\":4}}", NULL},
        {"{\"ids\":{\"x\":1},\"patients\":{\"dob\":1},\"patient\":\"ssn\"}",
         "{\"ids\":\"***\",\"patients\":{\"dob\":\"***\"},\"patient\":\"ssn\"}"},
        {"\"patient\"", NULL},
        {"{}", NULL},
        {"[]", NULL},
        {"5", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        check(PATHS, "mask", examples[i].data, examples[i].expected);
}

static void test_a_name_looks_into_arrays_nested_ones_too(void **state) {
    (void)state;
    check(PATHS, "mask", "{\"patient\":[{\"ssn\":1},[[{\"ssn\":2}]],3]}",
          "{\"patient\":[{\"ssn\":\"***\"},[[{\"ssn\":\"***\"}]],3]}");
    check(PATHS, "mask", "{\"patients\":[[{\"dob\":1}],[[{\"dob\":2}]]]}",
          "{\"patients\":[[{\"dob\":\"***\"}],[[{\"dob\":\"***\"}]]]}");
    check(PATHS, "mask", "[[{\"patient\":{\"ssn\":1}}]]", "[[{\"patient\":{\"ssn\":\"***\"}}]]");
}

static void test_names_with_escapes_are_the_same_names(void **state) {
    (void)state;
    check(PATHS, "mask", "{\"p\\u0061tient\":{\"s\\u0073n\":1}}",
          "{\"p\\u0061tient\":{\"s\\u0073n\":\"***\"}}");
    check("paths: ['[\"a.b\"].é']", "mask",
          "{\"a.b\":{\"\\u00e9\":1,\"e\":2},\"a\":{\"b\":{\"é\":3}}}",
          "{\"a.b\":{\"\\u00e9\":\"***\",\"e\":2},\"a\":{\"b\":{\"é\":3}}}");
    check("paths: ['[\"a/b\"]']", "drop", "{\"a\\/b\":1}", "{}");
    check(PATHS, "mask", "{\"patient\\u0000\":{\"ssn\":1}}", NULL);
}

static void test_values_of_every_type_are_replaced(void **state) {
    static const char *const values[] = {
        "\"1\"",        "1",  "-1.5e7", "true", "null", "[1,\"]\"]", "{\"a\":\"}\",\"b\":[]}",
        "\"\\\"\\\\\"", "{}", "\"\""};
    char data[100];
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(data, sizeof data, "{\"a\":[],\"patient\":{ \"ssn\" : %s , \"x\":1}}", values[i]);
        check(PATHS, "mask", data, "{\"a\":[],\"patient\":{ \"ssn\" : \"***\" , \"x\":1}}");
    }
}

static void test_every_other_byte_stays(void **state) {
    (void)state;
    check(
        PATHS, "mask",
        " {\t\"n\" :\r\n1.0E+05 ,\"u\":\"\\u00e9\\/é\" ,\"patient\" : { \"ssn\" :1 , \"z\":-0 } } ",
        " {\t\"n\" :\r\n1.0E+05 ,\"u\":\"\\u00e9\\/é\" ,\"patient\" : { \"ssn\" :\"***\" , "
        "\"z\":-0 } } ");
}

static void test_drop_takes_the_member_and_a_comma(void **state) {
    static const struct {
        const char *data, *expected;
    } examples[] = {
        {"{\"ids\":[1,2,3]}", "{\"ids\":[]}"},
        {"{\"ids\":[ 1 , 2 ]}", "{\"ids\":[  ]}"},
        {"{\"patient\":{\"ssn\":1}}", "{\"patient\":{}}"},
        {"{\"patient\":{\"ssn\":1,\"a\":2,\"b\":3}}", "{\"patient\":{\"a\":2,\"b\":3}}"},
        {"{\"patient\":{\"a\":2,\"ssn\":1,\"b\":3}}", "{\"patient\":{\"a\":2,\"b\":3}}"},
        {"{\"patient\":{\"a\":2,\"b\":3,\"ssn\":1}}", "{\"patient\":{\"a\":2,\"b\":3}}"},
        {"{\"patient\":{ \"ssn\" : 1 , \"a\" : 2 }}", "{\"patient\":{ \"a\" : 2 }}"},
        {"{\"patient\":{ \"a\" : 2 , \"ssn\" : 1 }}", "{\"patient\":{ \"a\" : 2 }}"},
        {"{\"patients\":[{\"dob\":1},{\"a\":1,\"dob\":2},{\"dob\":3,\"a\":1}]}",
         "{\"patients\":[{},{\"a\":1},{\"a\":1}]}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        check(PATHS, "drop", examples[i].data, examples[i].expected);
    check("paths: [a, b, c]", "drop", "{\"a\":1,\"b\":2,\"x\":0,\"c\":3,\"y\":{\"a\":1}}",
          "{\"x\":0,\"y\":{\"a\":1}}");
    check("paths: [a, b, c]", "drop", "{\"x\":0,\"a\":1,\"b\":2,\"c\":3}", "{\"x\":0}");
    check("paths: [a, b, c]", "drop", "{\"b\":0,\"a\":1}", "{}");
}

static void test_found_by_form_only_the_part_is_masked(void **state) {
    (void)state;
    check("detect: [ssn, email]", "mask",
          "{\"note\":\"ssn 123-45-6789, mail "
          "ann@example.com.\",\"n\":1234567890,\"l\":[\"987-65-4321\",[\"x\"]]}",
          "{\"note\":\"ssn ***, mail ***.\",\"n\":1234567890,\"l\":[\"***\",[\"x\"]]}");
    check("detect: [ssn]", "mask", "\"123-45-6789\"", "\"***\"");
    check("detect: [card]", "mask",
          "{\"c\":[\"4111 1111 1111 1111\",\"4111 1111 1111 1112\",4111111111111111]}",
          "{\"c\":[\"***\",\"4111 1111 1111 1112\",\"***\"]}");
    check("detect: [phone]", "mask", "{\"a\":{\"b\":\"(555) 123-4567\"}}",
          "{\"a\":{\"b\":\"***\"}}");
}

static void test_a_form_is_found_through_escapes(void **state) {
    (void)state;
    check("detect: [ssn]", "mask", "\"\\u0031\\u00323\\u002d45-6789\"", "\"***\"");
    check("detect: [ssn]", "mask",
          "\"a\\n123-45-678\\u0039\\\"\\u00e9\\ud83d\\ude00 987-65-4321\\t\"",
          "\"a\\n***\\\"\\u00e9\\ud83d\\ude00 ***\\t\"");
    check("detect: [email]", "mask", "\"\\u00e9@ex\\u0061mple.com\\/x\"", "\"***\\/x\"");
    check("detect: [email]", "mask", "\"ann\\u0040example.com\"", "\"***\"");
    check("detect: [ssn]", "mask", "\"\\\\u0031\\\\\"", NULL);
}

static void test_drop_by_form_takes_the_string(void **state) {
    (void)state;
    check(
        "detect: [ssn]", "drop",
        "{\"a\":\"my ssn: "
        "123-45-6789\",\"b\":\"x\",\"c\":[\"123-45-6789\",1,\"y\"],\"d\":{\"e\":\"123-45-6789\"}}",
        "{\"b\":\"x\",\"c\":[1,\"y\"],\"d\":{}}");
    check("detect: [ssn]", "drop", "{\"a\":\"x\",\"b\":\"123-45-6789\"}", "{\"a\":\"x\"}");
    check("detect: [ssn]", "drop", "[\"123-45-6789\",\"123-45-6789\"]", "[]");
    check("detect: [ssn]", "drop", " \"123-45-6789\" ", " null ");
}

static void hash_of(const char *data, char out[200]) {
    struct buf made = {0};
    struct pii *pii = rule("paths: [x]", "hash");
    assert_true(pii_filter(pii, span_of("t"), span_of(data), &made, on_told, NULL));
    snprintf(out, 200, "%s", made.data);
    buf_fini(&made);
    pii_free(pii);
}

static void test_hash_is_hmac_sha256_and_keeps_equal_values_equal(void **state) {
    static const char *const same[] = {"{\"x\":\"123\"}", "{\"x\":\"\\u00312\\u0033\"}",
                                       "{\"x\":123}"};
    static const char *const others[] = {"{\"x\":\"124\"}", "{\"x\":[123]}", "{\"x\":\"\"}",
                                         "{\"x\":null}"};
    char first[200], found[200];
    (void)state;
    /* printf %s 123 | openssl dgst -sha256 -hmac k */
    hash_of(same[0], first);
    assert_string_equal(
        first, "{\"x\":\"54536c9357ebad32486620506599ff3d0542c9d9735c61e0f27bfc9d23d34806\"}");
    for (size_t i = 1; i < sizeof same / sizeof *same; i++) {
        hash_of(same[i], found);
        assert_string_equal(found, first);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        hash_of(others[i], found);
        assert_string_not_equal(found, first);
    }
}

static void test_hash_by_form_is_of_the_part(void **state) {
    (void)state;
    check("detect: [ssn]", "hash", "[\"is 123-45-6789.\",\"1\\u00323-45-6789\"]",
          "[\"is " HASH_SSN ".\",\"" HASH_SSN "\"]");
}

static void test_rules_are_applied_one_after_the_other_where_their_topics_fit(void **state) {
    struct pii *pii = rules_of("rules:\n"
                               "- {name: one, topics: [a.*], detect: [ssn], action: mask}\n"
                               "- {name: two, topics: [a.b, c], paths: [ssn], action: drop}\n"
                               "- {name: three, topics: ['*'], detect: [email], action: mask}\n");
    static const char data[] = "{\"ssn\":\"123-45-6789\",\"n\":\"123-45-6789 a@b.cd\"}";
    (void)state;
    check_with(pii, "a.b", data, "{\"n\":\"*** ***\"}");
    assert_string_equal(told.data, "0:ssn 0:n 1:ssn 2:n ");
    check_with(pii, "a.c", data, "{\"ssn\":\"***\",\"n\":\"*** ***\"}");
    check_with(pii, "c", data, "{\"n\":\"123-45-6789 ***\"}");
    check_with(pii, "d", "{\"ssn\":\"123-45-6789\"}", NULL);
    assert_int_equal(pii_count(pii), 3);
    assert_string_equal(pii_name(pii, 1), "two");
    pii_free(pii);
}

static void test_one_value_or_an_object_where_a_list_was_expected_hides_nothing(void **state) {
    (void)state;
    check(PATHS, "mask", "{\"ids\":7}", "{\"ids\":\"***\"}");
    check(PATHS, "drop", "{\"ids\":{\"x\":1},\"a\":2}", "{\"a\":2}");
    check(PATHS, "mask", "{\"patients\":{\"p1\":{\"dob\":1,\"x\":2},\"p2\":[{\"dob\":3}]}}",
          "{\"patients\":{\"p1\":{\"dob\":\"***\",\"x\":2},\"p2\":[{\"dob\":\"***\"}]}}");
    check("paths: [\"[*].dob\"]", "drop", "{\"dob\":1,\"x\":2}", "{\"x\":2}");
    check("paths: [\"a[*][*].b\"]", "drop", "{\"a\":{\"b\":1},\"b\":2}", "{\"a\":{},\"b\":2}");
}

static void test_a_card_may_be_a_number(void **state) {
    (void)state;
    check("detect: [card]", "mask", "{\"card\":4111111111111111,\"n\":[5500005555555559.0,1]}",
          "{\"card\":\"***\",\"n\":[\"***\",1]}");
    check("detect: [card]", "drop", "{\"n\":1,\"card\":-4111111111111111}", "{\"n\":1}");
    check("detect: [card]", "hash", "4111111111111111", "\"" HASH_CARD "\"");
    check("detect: [card]", "mask",
          "[4111111111111112,411111111111,0.4111111111111111,1700000000000,4111111111111111e1]",
          NULL);
    check("detect: [ssn, phone, email]", "mask", "4111111111111111", NULL);
}

static void test_names_of_members_are_looked_into_too(void **state) {
    (void)state;
    check("detect: [ssn]", "mask", "{\"a\":1,\"123-45-6789\":{\"x\":1},\"987-65-4321\":2,\"b\":3}",
          "{\"a\":1,\"b\":3}");
    check("detect: [email]", "drop", "[{\"ann\\u0040example.com\":[1]}]", "[{}]");
    check("detect: [ssn]", "hash", "{\"x 123-45-6789\":\"123-45-6789\"}",
          "{\"x " HASH_SSN "\":\"" HASH_SSN "\"}");
    assert_string_equal(told.data, "0:? 0:? ");
}

static void test_where_it_was_is_told_without_what_it_was(void **state) {
    (void)state;
    check(PATHS, "mask", "{\"patients\":[{\"dob\":1},{\"dob\":2}]}",
          "{\"patients\":[{\"dob\":\"***\"},{\"dob\":\"***\"}]}");
    assert_string_equal(told.data, "0:patients[*].dob 0:patients[*].dob ");
    check("detect: [ssn]", "mask", "{\"a\":{\"b\":[0,\"123-45-6789 123-45-6789\"]}}",
          "{\"a\":{\"b\":[0,\"*** ***\"]}}");
    assert_string_equal(told.data, "0:a.b[1] 0:a.b[1] ");
    check("detect: [ssn]", "drop",
          "{\"987654321\":{\"ann@example.com\":{\"x y\":\"123-45-6789\"}}}",
          "{\"987654321\":{\"ann@example.com\":{}}}");
    assert_string_equal(told.data, "0:?.?.? ");
    check("detect: [ssn]", "mask", "\"123-45-6789\"", "\"***\"");
    assert_string_equal(told.data, "0: ");
}

/* --- random documents, each with its expected result */

struct maker {
    unsigned seed;
    struct buf data, masked, dropped;
};

static unsigned roll(struct maker *m, unsigned sides) { return (unsigned)rand_r(&m->seed) % sides; }

static void put_all(struct maker *m, const char *text) {
    buf_puts(&m->data, text);
    buf_puts(&m->masked, text);
    buf_puts(&m->dropped, text);
}

/* Returns whether the value stays when strings that hold a number are dropped; then it is in
 * `dropped`. */
static bool put_value(struct maker *m, unsigned depth, const char *before, const char *name);

static void put_children(struct maker *m, unsigned depth, bool object) {
    char name[40];
    bool any_kept = false;
    unsigned count = roll(m, 5);
    put_all(m, object ? "{" : "[");
    for (unsigned i = 0; i < count; i++) {
        name[0] = 0;
        if (object)
            snprintf(name, sizeof name, "\"n%u\":", i);
        buf_puts(&m->data, i ? "," : "");
        buf_puts(&m->masked, i ? "," : "");
        any_kept |= put_value(m, depth + 1, any_kept ? "," : "", name);
    }
    put_all(m, object ? "}" : "]");
}

static bool put_value(struct maker *m, unsigned depth, const char *before, const char *name) {
    static const char *const harmless[] = {"1",      "null",          "\"\"", "\"\\\\\\\"\"",
                                           "-1.5e3", "\"x\\u0022y\"", "true", "\"123-45-678\""};
    static const char *const numbers[] = {"123-45-6789", "12\\u0033-45-6789", "987 65 4321"};
    unsigned what = roll(m, depth < 6 ? 6 : 3);
    buf_puts(&m->data, name);
    buf_puts(&m->masked, name);
    if (what == 0) {
        const char *left = roll(m, 2) ? "a\\n" : "", *right = roll(m, 2) ? "\\\"" : "";
        buf_printf(&m->data, "\"%s%s%s\"", left, numbers[roll(m, 3)], right);
        buf_printf(&m->masked, "\"%s***%s\"", left, right);
        return false;
    }
    buf_printf(&m->dropped, "%s%s", before, name);
    if (what <= 2)
        put_all(m, harmless[roll(m, sizeof harmless / sizeof *harmless)]);
    else
        put_children(m, depth, what > 3);
    return true;
}

static void test_any_document_becomes_what_it_must(void **state) {
    struct pii *mask = rule("detect: [ssn]", "mask"), *drop = rule("detect: [ssn]", "drop");
    (void)state;
    for (unsigned seed = 1; seed <= 3000; seed++) {
        struct maker m = {.seed = seed};
        if (!put_value(&m, 0, "", ""))
            buf_puts(&m.dropped, "null");
        check_with(mask, "t", m.data.data, m.masked.data);
        check_with(drop, "t", m.data.data, m.dropped.data);
        buf_fini(&m.data);
        buf_fini(&m.masked);
        buf_fini(&m.dropped);
    }
    pii_free(mask);
    pii_free(drop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_path_names_members_and_elements),
        cmocka_unit_test(test_a_name_looks_into_arrays_nested_ones_too),
        cmocka_unit_test(test_names_with_escapes_are_the_same_names),
        cmocka_unit_test(test_values_of_every_type_are_replaced),
        cmocka_unit_test(test_every_other_byte_stays),
        cmocka_unit_test(test_drop_takes_the_member_and_a_comma),
        cmocka_unit_test(test_found_by_form_only_the_part_is_masked),
        cmocka_unit_test(test_a_form_is_found_through_escapes),
        cmocka_unit_test(test_drop_by_form_takes_the_string),
        cmocka_unit_test(test_hash_is_hmac_sha256_and_keeps_equal_values_equal),
        cmocka_unit_test(test_hash_by_form_is_of_the_part),
        cmocka_unit_test(test_rules_are_applied_one_after_the_other_where_their_topics_fit),
        cmocka_unit_test(test_one_value_or_an_object_where_a_list_was_expected_hides_nothing),
        cmocka_unit_test(test_a_card_may_be_a_number),
        cmocka_unit_test(test_names_of_members_are_looked_into_too),
        cmocka_unit_test(test_where_it_was_is_told_without_what_it_was),
        cmocka_unit_test(test_any_document_becomes_what_it_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
