/* The field `tls`: what is taken, what is shown, files, and the warning before the end. */
#include "pem_fixture.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/json/json_tree.h"
#include "common/json/writer.h"
#include "common/model/spec.h"
#include "common/model/tls_identity.h"

static char key[PEM_BYTES], certificate[PEM_BYTES], encrypted[PEM_BYTES], other_key[PEM_BYTES];
static struct error err;
static struct spec_rules rules;

static int set_up(UNUSED void **state) {
    pem_new_key();
    pem_write_key(NULL, other_key);
    pem_new_key();
    pem_write_key(NULL, key);
    pem_write_key("secret", encrypted);
    pem_write_certificate(30 * PEM_DAY_S, certificate);
    rules = (struct spec_rules){0};
    return 0;
}

static int tear_down(UNUSED void **state) {
    EVP_PKEY_free(pem_key);
    pem_key = NULL;
    return 0;
}

#define END (const char *)NULL
/* Names and texts in turn, to END. */
static struct tls_identity *take(const char *name, ...) {
    struct buf json = {0};
    va_list list;
    va_start(list, name);
    json_put_object(&json);
    for (; name; name = va_arg(list, const char *))
        json_member_string(&json, name, va_arg(list, const char *));
    json_end_object(&json);
    va_end(list);
    struct json_object *tree = json_tree_of((struct span){json.data, json.len});
    struct tls_identity *identity = tls_identity_new(tree, &rules, &err);
    json_object_put(tree);
    buf_fini(&json);
    return identity;
}

static void assert_error(const struct tls_identity *identity, const char *field,
                         const char *reason) {
    assert_null(identity);
    assert_string_equal(err.field, field);
    assert_non_null(strstr(err.message, reason));
}

static void each_mistake_has_its_reason(UNUSED void **state) {
    assert_error(take(NULL), "tls", "must have certificate and key, or ca");
    assert_error(take("certificate", certificate, END), "tls.key", "is missing");
    assert_error(take("key", key, END), "tls.certificate", "is missing");
    assert_error(take("certificate", "x", "key", key, END), "tls.certificate",
                 "is no PEM certificate");
    assert_error(take("certificate", key, "key", key, END), "tls.certificate",
                 "holds a private key");
    assert_error(take("certificate", certificate, "key", "x", END), "tls.key",
                 "is no PEM private key");
    assert_error(take("certificate", certificate, "key", other_key, END), "tls.key",
                 "does not fit the certificate");
    assert_error(take("certificate", certificate, "key", encrypted, END), "tls.key",
                 "is encrypted");
    assert_error(take("ca", "x", END), "tls.ca", "is no PEM certificate");
    assert_error(take("key_file", "k", END), "tls.key_file", "is no field of tls");
    assert_error(take("pin", "k", END), "tls.pin", "is no field of tls");
}

static void the_key_is_shown_by_name(UNUSED void **state) {
    struct buf shown = {0};
    struct tls_identity *identity = take("key", key, "certificate", certificate, "ca", certificate,
                                         END);
    assert_non_null(identity);
    tls_identity_to_json(identity, false, &shown);
    assert_non_null(strstr(buf_string(&shown), "\"secrets\":[\"key\"]"));
    assert_null(strstr(buf_string(&shown), "PRIVATE"));
    buf_clear(&shown);
    assert_true(tls_identity_put_secrets(identity, &shown));
    assert_non_null(strstr(buf_string(&shown), "PRIVATE"));
    buf_fini(&shown);
    tls_identity_free(identity);
}

static void a_private_ca_may_stand_alone(UNUSED void **state) {
    struct buf shown = {0};
    struct tls_identity *identity = take("ca", certificate, END);
    assert_non_null(identity);
    assert_int_equal(identity->not_after_ms, 0);
    assert_false(tls_identity_put_secrets(identity, &shown));
    assert_false(tls_identity_warning(identity, INT64_MAX / 2, &shown));
    buf_fini(&shown);
    tls_identity_free(identity);
}

/* Every file holds the text that is its name's; "gone" is not there. */
static int read_file(void *arg, const char *path, UNUSED size_t max, struct buf *out,
                     struct error *reason) {
    *(int *)arg += 1;
    if (strcmp(path, "gone") == 0)
        return error_set(reason, "No such file or directory");
    buf_puts(out, strcmp(path, "key.pem") == 0     ? key
                  : strcmp(path, "other.key") == 0 ? other_key
                                                   : certificate);
    return 0;
}

static void parts_may_be_files(UNUSED void **state) {
    int reads = 0;
    rules.read_file = read_file;
    rules.arg = &reads;
    struct tls_identity *identity = take("certificate_file", "c.pem", "key_file", "key.pem", END);
    assert_non_null(identity);
    assert_int_equal(reads, 2);
    assert_true(tls_identity_has_files(identity));
    assert_string_equal(identity->key, key);
    tls_identity_free(identity);
    assert_error(take("certificate_file", "c.pem", "key_file", "gone", END), "tls.key_file",
                 "gone: No such file");
    assert_error(take("certificate_file", "c.pem", "key_file", "other.key", END), "tls.key_file",
                 "other.key does not fit the certificate");
    assert_error(take("certificate_file", "key.pem", "key_file", "key.pem", END),
                 "tls.certificate_file", "key.pem holds a private key");
    assert_error(take("certificate_file", "c.pem", "certificate", certificate, END),
                 "tls.certificate_file", "must not stand beside certificate");
}

static void the_end_is_warned_of_for_14_days(UNUSED void **state) {
    const int64_t day_ms = PEM_DAY_S * INT64_C(1000);
    struct buf text = {0};
    struct tls_identity *identity = take("certificate", certificate, "key", key, END);
    assert_non_null(identity);
    int64_t end_ms = identity->not_after_ms;
    assert_false(tls_identity_warning(identity, end_ms - 14 * day_ms - 1, &text));
    assert_true(tls_identity_warning(identity, end_ms - 14 * day_ms, &text));
    assert_non_null(strstr(buf_string(&text), "the certificate expires at 2"));
    buf_clear(&text);
    assert_true(tls_identity_warning(identity, end_ms, &text));
    assert_non_null(strstr(buf_string(&text), "the certificate has expired at 2"));
    buf_fini(&text);
    tls_identity_free(identity);
}

/* Another version of OpenSSL may judge otherwise; the subscriber goes on. */
static void a_record_is_not_judged_again(UNUSED void **state) {
    rules.from_record = true;
    struct tls_identity *identity = take("certificate", "x", "key", "y", "later", "z", END);
    assert_non_null(identity);
    tls_identity_free(identity);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_mistake_has_its_reason),      TEST(the_key_is_shown_by_name),
        TEST(a_private_ca_may_stand_alone),     TEST(parts_may_be_files),
        TEST(the_end_is_warned_of_for_14_days), TEST(a_record_is_not_judged_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
