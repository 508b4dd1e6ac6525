/* Keys and certificates of a test's own, in PEM. */
#ifndef ESS_TESTS_PEM_FIXTURE_H
#define ESS_TESTS_PEM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>

#define UNUSED __attribute__((unused))

enum { PEM_BYTES = 4096, PEM_DAY_S = 24 * 60 * 60 };

static EVP_PKEY *pem_key;

UNUSED static void pem_take(BIO *bio, char out[PEM_BYTES]) {
    int len = BIO_read(bio, out, PEM_BYTES - 1);
    assert_true(len > 0);
    out[len] = 0;
    BIO_free(bio);
}

UNUSED static void pem_new_key(void) {
    EVP_PKEY_free(pem_key);
    pem_key = EVP_EC_gen("P-256");
    assert_non_null(pem_key);
}

/* The key in PEM; with a passphrase unless NULL. */
UNUSED static void pem_write_key(const char *passphrase, char out[PEM_BYTES]) {
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, pem_key,
                                                   passphrase ? EVP_aes_256_cbc() : NULL, NULL, 0,
                                                   NULL, (void *)(uintptr_t)passphrase),
                     1);
    pem_take(bio, out);
}

/* A certificate of the key, signed by itself, that ends in so many seconds. */
UNUSED static void pem_write_certificate(long ends_in_s, char out[PEM_BYTES]) {
    X509 *x509 = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -400L * PEM_DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(x509), ends_in_s);
    X509_set_pubkey(x509, pem_key);
    bool hashes = EVP_PKEY_is_a(pem_key, "EC") || EVP_PKEY_is_a(pem_key, "RSA");
    assert_true(X509_sign(x509, pem_key, hashes ? EVP_sha256() : NULL) > 0);
    assert_int_equal(PEM_write_bio_X509(bio, x509), 1);
    X509_free(x509);
    pem_take(bio, out);
}

#endif
