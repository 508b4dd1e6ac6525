/* The fields format, content and signatures: what they take, and how they are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/model/spec.h"

static struct spec spec;
static struct error err;

static int read_with(const struct spec_rules *rules, const char *fields) {
    char text[1024];
    snprintf(text, sizeof text, "{\"url\":\"https://v.example/h\",\"topics\":[\"a\"]%s}", fields);
    return spec_from_json(&spec, span_of(text), rules, &err);
}

static void assert_written(const char *fields, const char *expected) {
    const struct spec_rules rules = {.has_signing_key = true};
    struct buf out = {0};
    char whole[1024];
    if (read_with(&rules, fields))
        fail_msg("%s", err.message);
    spec_to_json(&spec, false, &out);
    snprintf(whole, sizeof whole,
             "{\"id\":\"\",\"url\":\"https://v.example/h\",\"topics\":[\"a\"]%s}", expected);
    assert_string_equal(buf_string(&out), whole);
    buf_fini(&out);
    spec_fini(&spec);
}

static void assert_refused(const struct spec_rules *rules, const char *fields, const char *field,
                           const char *reason) {
    if (read_with(rules, fields) == 0)
        fail_msg("taken: %s", fields);
    assert_string_equal(err.field, field);
    assert_string_equal(err.message, reason);
}

static void what_is_at_its_default_is_not_written(void **state) {
    (void)state;
    assert_written("", "");
    assert_written(",\"format\":\"ess\",\"content\":\"full\",\"signatures\":[\"hmac\"]", "");
    assert_written(",\"signatures\":[\"ed25519\",\"hmac\"],\"content\":\"id\",\"format\":"
                   "\"cloudevents\"",
                   ",\"format\":\"cloudevents\",\"content\":\"id\",\"signatures\":[\"hmac\","
                   "\"ed25519\"]");
    assert_written(",\"signatures\":[\"ed25519\"]", ",\"signatures\":[\"ed25519\"]");
}

static void each_other_value_is_refused_with_the_fields_name(void **state) {
    static const char *const values[] = {"null",    "true", "1",   "\"\"",        "\"ESS\"",
                                         "\"xml\"", "{}",   "[1]", "[\"hmac \"]", "[[]]"};
    static const char *const fields[][2] = {
        {"format", "format: must be ess or cloudevents"},
        {"content", "content: must be full or id"},
        {"signatures", "signatures: must be a list of hmac and ed25519"}};
    const struct spec_rules rules = {.has_signing_key = true};
    char text[128];
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        for (size_t j = 0; j < sizeof fields / sizeof *fields; j++) {
            snprintf(text, sizeof text, ",\"%s\":%s", fields[j][0], values[i]);
            assert_refused(&rules, text, fields[j][0], fields[j][1]);
        }
    assert_refused(&rules, ",\"signatures\":[]", "signatures", fields[2][1]);
    assert_refused(&rules, ",\"signatures\":[\"hmac\",\"hmac\"]", "signatures",
                   "signatures: has hmac twice");
}

static void ed25519_needs_a_key_unless_the_spec_comes_from_kafka(void **state) {
    const struct spec_rules none = {0}, record = {.from_record = true};
    (void)state;
    assert_refused(&none, ",\"signatures\":[\"hmac\",\"ed25519\"]", "signatures",
                   "signatures: ed25519 needs a key of ESS's own: the operator sets "
                   "signing.key_file for ess-ingest and ess-dispatcher");
    assert_int_equal(read_with(&record, ",\"signatures\":[\"ed25519\"]"), 0);
    assert_int_equal(spec.signatures, SPEC_SIGNED_ED25519);
    spec_fini(&spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_at_its_default_is_not_written),
        cmocka_unit_test(each_other_value_is_refused_with_the_fields_name),
        cmocka_unit_test(ed25519_needs_a_key_unless_the_spec_comes_from_kafka),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
