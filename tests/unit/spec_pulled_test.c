/* A subscriber without an endpoint: which fields it may have, and what a forgotten url is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/model/spec.h"

static const struct spec_rules from_api, from_file = {.from_file = true},
                                         from_record = {.from_record = true};
static struct error err;

static void taken(const struct spec_rules *rules, const char *text, bool pulled) {
    struct spec spec;
    if (spec_from_json(&spec, span_of(text), rules, &err))
        fail_msg("%s: %s", text, err.message);
    assert_int_equal(spec_is_pulled(&spec), pulled);
    spec_fini(&spec);
}

/* `more` are further members. */
static void refused(const struct spec_rules *rules, const char *more, const char *field,
                    const char *reason) {
    struct spec spec;
    struct buf text = {0};
    buf_printf(&text, "{\"id\":\"a\",\"topics\":[\"a\"],%s}", more);
    assert_int_equal(spec_from_json(&spec, span_of(buf_string(&text)), rules, &err), -1);
    assert_string_equal(err.field, field);
    if (!strstr(err.message, reason))
        fail_msg("%s: %s", more, err.message);
    buf_fini(&text);
}

static void without_url_and_sns_a_subscriber_is_pulled(void **state) {
    (void)state;
    taken(&from_api, "{\"topics\":[\"a\"],\"from\":7,\"description\":\"d\"}", true);
    taken(&from_api, "{\"topics\":[\"a\"],\"filter\":{\"data\":{\"a\":[1]}}}", true);
    taken(&from_api, "{\"topics\":[\"a\"],\"url\":\"https://v.example/h\"}", false);
    taken(&from_file, "{\"id\":\"a\",\"topics\":[\"a\"]}", true);
    taken(&from_record, "{\"id\":\"a\",\"topics\":[\"a\"],\"of_a_later_version\":1}", true);
}

static void a_field_that_needs_an_endpoint_is_refused_by_name(void **state) {
    (void)state;
    refused(&from_api, "\"throttle\":5", "throttle", "needs an endpoint");
    refused(&from_api, "\"headers\":{\"A\":\"b\"}", "headers", "needs an endpoint");
    refused(&from_api, "\"ordering\":\"strict\"", "ordering", "needs an endpoint");
    refused(&from_file, "\"timeout\":\"5s\"", "timeout", "needs an endpoint");
}

static void with_a_secret_the_url_was_forgotten(void **state) {
    (void)state;
    refused(&from_api, "\"secret\":\"s\"", "url", "is missing");
    refused(&from_file, "\"secret_file\":\"s\"", "url", "takes no secret");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_url_and_sns_a_subscriber_is_pulled),
        cmocka_unit_test(a_field_that_needs_an_endpoint_is_refused_by_name),
        cmocka_unit_test(with_a_secret_the_url_was_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
