/* The field `oauth2`: what is taken, what is shown, and the request that it leads to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/json/json_tree.h"
#include "common/model/oauth2_grant.h"
#include "common/model/spec.h"

static struct error err;

static struct oauth2_grant *take(const char *json) {
    static const struct spec_rules rules = {0};
    struct json_object *tree = json_tree_of(span_of(json));
    struct oauth2_grant *grant = oauth2_grant_new(tree, &rules, &err);
    json_object_put(tree);
    return grant;
}

static void assert_refused(const char *json, const char *field, const char *reason) {
    assert_null(take(json));
    assert_string_equal(err.field, field);
    assert_non_null(strstr(err.message, reason));
}

static void each_member_has_its_reason(void **state) {
    (void)state;
    assert_refused("[]", "oauth2", "must be a map with token_url");
    assert_refused("{}", "oauth2.token_url", "is missing");
    assert_refused("{\"token_url\":\"https://t.example\"}", "oauth2.client_id", "is missing");
    assert_refused("{\"token_url\":\"https://t.example\",\"client_id\":\"c\"}",
                   "oauth2.client_secret", "is missing");
    assert_refused("{\"token_url\":\"http://t.example\",\"client_id\":\"c\",\"client_secret\":"
                   "\"s\"}",
                   "oauth2.token_url", "must begin with https://");
    assert_refused("{\"token_url\":\"https://10.0.0.1/t\",\"client_id\":\"c\",\"client_secret\":"
                   "\"s\"}",
                   "oauth2.token_url", "public");
    assert_refused("{\"token_url\":7}", "oauth2.token_url", "must be text");
    assert_refused("{\"client_id\":\"a\\nb\"}", "oauth2.client_id", "printable ASCII");
    assert_refused("{\"client_secret\":\"\"}", "oauth2.client_secret", "must have 1 to");
    assert_refused("{\"grant\":\"x\"}", "oauth2.grant", "is no field of oauth2");
}

static void the_secret_is_shown_by_name(void **state) {
    struct buf shown = {0};
    (void)state;
    struct oauth2_grant *grant = take("{\"client_secret\":\"s3cr3t\",\"scope\":\"a b\","
                                      "\"token_url\":\"https://t.example/t\",\"client_id\":\"c\"}");
    assert_non_null(grant);
    oauth2_grant_to_json(grant, false, &shown);
    assert_string_equal(buf_string(&shown),
                        "{\"token_url\":\"https://t.example/t\",\"client_id\":\"c\","
                        "\"scope\":\"a b\",\"secrets\":[\"client_secret\"]}");
    buf_clear(&shown);
    assert_true(oauth2_grant_put_secrets(grant, &shown));
    assert_string_equal(buf_string(&shown), "{\"client_secret\":\"s3cr3t\"}");
    buf_fini(&shown);
    oauth2_grant_free(grant);
}

/* RFC 6749, 2.3.1: both parts are form-encoded before they are joined. */
static void the_request_is_encoded(void **state) {
    struct buf out = {0};
    (void)state;
    struct oauth2_grant *grant = take(
        "{\"token_url\":\"https://t.example/t\",\"client_id\":\"a:b c\","
        "\"client_secret\":\"%&+=/\",\"scope\":\"x:y z&a=b\",\"audience\":\"https://e/?q\"}");
    assert_non_null(grant);
    oauth2_grant_put_form(grant, &out);
    assert_string_equal(buf_string(&out), "grant_type=client_credentials&scope=x%3Ay%20z%26a%3Db"
                                          "&audience=https%3A%2F%2Fe%2F%3Fq");
    buf_clear(&out);
    oauth2_grant_put_authorization(grant, &out); /* a%3Ab%20c:%25%26%2B%3D%2F */
    assert_string_equal(buf_string(&out), "Basic YSUzQWIlMjBjOiUyNSUyNiUyQiUzRCUyRg==");
    buf_fini(&out);
    oauth2_grant_free(grant);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_member_has_its_reason),
        cmocka_unit_test(the_secret_is_shown_by_name),
        cmocka_unit_test(the_request_is_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
