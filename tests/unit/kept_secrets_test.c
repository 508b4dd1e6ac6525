/* What a PUT keeps of sns, tls and oauth2 when it leaves secrets out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/model/oauth2_grant.h"
#include "common/model/tls_identity.h"
#include "ingest/api/kept_secrets.h"

static struct tls_identity identity = {.certificate = (char[]){"C"}, .key = (char[]){"K"}};
static struct oauth2_grant grant = {.token_url = (char[]){"https://t.example/t?key=1"},
                                    .client_id = (char[]){"c"},
                                    .client_secret = (char[]){"s"}};
static const struct spec old = {
    .url = (char[]){"https://e.example/h"}, .tls = &identity, .oauth2 = &grant};

static struct kept_secrets kept;
static struct buf made;
static struct error err;

static const char *put(const char *text) {
    struct body body;
    buf_clear(&made);
    assert_int_equal(body_parse(&body, span_of(text), NULL, &err), 0);
    assert_int_equal(kept_secrets_put_body(&kept, &old, &body, &made, &err), 0);
    return buf_string(&made);
}

static int tear_down(void **state) {
    (void)state;
    buf_fini(&made);
    return 0;
}

static void what_get_shows_keeps_the_secrets(void **state) {
    (void)state;
    assert_string_equal(
        put("{\"tls\": {\"certificate\": \"C\", \"secrets\": [\"key\"]}, \"status\": {\"a\": 1}}"),
        "{\"tls\":{\"certificate\":\"C\",\"key\":\"K\"}}");
    assert_string_equal(kept.field, "tls");
    assert_string_equal(
        put("{\"oauth2\":{\"token_url\":\"https://t.example/u\",\"client_id\":\"\\u0063\","
            "\"secrets\":[\"client_secret\"]}}"),
        "{\"oauth2\":{\"token_url\":\"https://t.example/u\",\"client_id\":\"\\u0063\","
        "\"client_secret\":\"s\"}}");
    assert_true(kept.oauth2);
}

static void new_secrets_and_other_names_keep_nothing(void **state) {
    (void)state;
    assert_string_equal(put("{\"oauth2\":{\"client_id\":\"d\"}}"),
                        "{\"oauth2\":{\"client_id\":\"d\"}}");
    assert_string_equal(put("{\"oauth2\":{\"client_id\":\"c\",\"client_secret\":\"n\"}}"),
                        "{\"oauth2\":{\"client_id\":\"c\",\"client_secret\":\"n\"}}");
    assert_string_equal(put("{\"tls\":{\"ca\":\"A\"}}"), "{\"tls\":{\"ca\":\"A\"}}");
    assert_string_equal(put("{\"sns\":{\"access_key_id\":\"A\"}}"),
                        "{\"sns\":{\"access_key_id\":\"A\"}}");
    assert_null(kept.field);
}

/* A certificate may be renewed for the same key. */
static void the_key_stays_with_another_certificate(void **state) {
    (void)state;
    assert_string_equal(put("{\"tls\":{\"certificate\":\"D\"}}"),
                        "{\"tls\":{\"certificate\":\"D\",\"key\":\"K\"}}");
}

static int check(const char *url, const char *token_url) {
    struct oauth2_grant new_grant = {.token_url = mem_copy_string(token_url, strlen(token_url))};
    struct spec spec = {.url = mem_copy_string(url, strlen(url)), .oauth2 = &new_grant};
    int result = kept_secrets_check(&kept, &spec, &err);
    mem_wipe_string(spec.url);
    mem_wipe_string(new_grant.token_url);
    return result;
}

static void no_secret_goes_to_another_server(void **state) {
    static const char url[] = "https://e.example/other", token_url[] = "https://t.example/u",
                      elsewhere[] = "https://evil.example/";
    (void)state;
    put("{\"oauth2\":{\"client_id\":\"c\"}}");
    assert_int_equal(check(url, token_url), 0);
    assert_int_equal(check(url, elsewhere), -1);
    assert_string_equal(err.field, "oauth2.client_secret");
    assert_int_equal(check(elsewhere, token_url), -1);
    assert_string_equal(err.field, "oauth2");
    put("{\"tls\":{\"certificate\":\"C\"}}");
    assert_int_equal(check(url, elsewhere), 0);
    assert_int_equal(check(elsewhere, token_url), -1);
    assert_string_equal(err.field, "tls");
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_get_shows_keeps_the_secrets),
        TEST(new_secrets_and_other_names_keep_nothing),
        TEST(the_key_stays_with_another_certificate),
        TEST(no_secret_goes_to_another_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
