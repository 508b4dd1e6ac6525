/* Certificates and keys in PEM: what is taken, and the reason for what is not. */
#include "pem_fixture.h"

#include <openssl/core_names.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/crypto/certificate.h"

static char key[PEM_BYTES], certificate[PEM_BYTES], other[PEM_BYTES], text[3 * PEM_BYTES];
static struct error err;
static int64_t not_after_ms;

static int set_up(UNUSED void **state) {
    pem_new_key();
    pem_write_key(NULL, key);
    pem_write_certificate(30 * PEM_DAY_S, certificate);
    return 0;
}

static int tear_down(UNUSED void **state) {
    EVP_PKEY_free(pem_key);
    pem_key = NULL;
    return 0;
}

static void a_certificate_has_an_end(UNUSED void **state) {
    int64_t wanted_ms = clock_wall_ms() + 30LL * PEM_DAY_S * 1000;
    assert_int_equal(certificate_check(certificate, &not_after_ms, &err), 0);
    assert_in_range(not_after_ms, wanted_ms - 60000, wanted_ms + 60000);
}

static void the_end_is_that_of_the_first_of_a_chain(UNUSED void **state) {
    pem_write_certificate(-PEM_DAY_S, other);
    snprintf(text, sizeof text, "a comment\n%s\nanother\n%s", certificate, other);
    assert_int_equal(certificate_check(text, &not_after_ms, &err), 0);
    assert_true(not_after_ms > clock_wall_ms());
    assert_int_equal(certificate_check(other, &not_after_ms, &err), 0);
    assert_true(not_after_ms < clock_wall_ms());
}

static void assert_no_certificate(const char *pem, const char *reason) {
    assert_int_equal(certificate_check(pem, &not_after_ms, &err), -1);
    assert_non_null(strstr(err.message, reason));
}

static void no_certificate_is_named_as_that(UNUSED void **state) {
    assert_no_certificate("hello", "there is no -----BEGIN CERTIFICATE-----");
    assert_no_certificate("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                          "block 1 cannot be read");
    snprintf(text, sizeof text, "%s%.60s", certificate, certificate);
    assert_no_certificate(text, "block 2 cannot be read");
}

/* It would be shown to everybody who sees the certificate. */
static void a_private_key_among_certificates_is_refused(UNUSED void **state) {
    snprintf(text, sizeof text, "%s%s", certificate, key);
    assert_no_certificate(text, "holds a private key");
    pem_write_key("secret", other);
    snprintf(text, sizeof text, "%s%s", certificate, other);
    assert_no_certificate(text, "holds a private key");
}

static void a_key_fits_its_certificate_alone(UNUSED void **state) {
    assert_int_equal(certificate_check_key(certificate, key, &err), 0);
    pem_new_key();
    pem_write_key(NULL, key);
    assert_int_equal(certificate_check_key(certificate, key, &err), -1);
    assert_string_equal(err.message, "does not fit the certificate");
}

/* Certificates are public: a key made of one and of any number is not the key. */
static void a_key_that_only_looks_like_the_certificates_is_refused(UNUSED void **state) {
    unsigned char public[128];
    size_t len;
    assert_int_equal(EVP_PKEY_get_octet_string_param(pem_key, OSSL_PKEY_PARAM_PUB_KEY, public,
                                                     sizeof public, &len),
                     1);
    unsigned char private[32] = {[0] = 5, [31] = 5};
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char[]){"P-256"}, 5),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, public, len),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_PRIV_KEY, private, sizeof private), OSSL_PARAM_END};
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *forged = NULL;
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &forged, EVP_PKEY_KEYPAIR, parameters), 1);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(pem_key);
    pem_key = forged;
    pem_write_key(NULL, key);
    assert_int_equal(certificate_check_key(certificate, key, &err), -1);
    assert_string_equal(err.message, "does not fit the certificate");
}

static void keys_of_every_kind_are_taken(UNUSED void **state) {
    static const char *const kinds[] = {"RSA", "ED25519", "ED448"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        EVP_PKEY_free(pem_key);
        pem_key = EVP_PKEY_Q_keygen(NULL, NULL, kinds[i], (size_t)2048);
        pem_write_key(NULL, key);
        pem_write_certificate(PEM_DAY_S, certificate);
        assert_int_equal(certificate_check_key(certificate, key, &err), 0);
    }
}

static void a_key_has_no_passphrase(UNUSED void **state) {
    pem_write_key("secret", key);
    assert_int_equal(certificate_check_key(certificate, key, &err), -1);
    assert_non_null(strstr(err.message, "is encrypted"));
}

static void no_key_is_named_as_that(UNUSED void **state) {
    assert_int_equal(certificate_check_key(certificate, certificate, &err), -1);
    assert_string_equal(err.message, "is no PEM private key");
    key[100]++;
    assert_int_equal(certificate_check_key(certificate, key, &err), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_certificate_has_an_end),
        TEST(the_end_is_that_of_the_first_of_a_chain),
        TEST(no_certificate_is_named_as_that),
        TEST(a_private_key_among_certificates_is_refused),
        TEST(a_key_fits_its_certificate_alone),
        TEST(a_key_that_only_looks_like_the_certificates_is_refused),
        TEST(keys_of_every_kind_are_taken),
        TEST(a_key_has_no_passphrase),
        TEST(no_key_is_named_as_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
