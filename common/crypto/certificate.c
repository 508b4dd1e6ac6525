/* Certificates and keys; see certificate.h. The reasons are for the owner of a subscriber, so
 * OpenSSL's own words are left out. */
#include "common/crypto/certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIGNATURE_BYTES_MAX = 1024 }; /* of RSA with 8192 bits */

static BIO *certificate_open(const char *pem) {
    BIO *bio = BIO_new_mem_buf(pem, -1);
    if (!bio)
        abort();
    return bio;
}

/* Notes in `arg`, a bool, that the key or certificate needs a passphrase. Gives no passphrase. */
static int certificate_on_passphrase(char *out, int size, int writing, void *arg) {
    bool *asked = arg;
    (void)out, (void)size, (void)writing;
    *asked = true;
    return -1;
}

/* The next certificate in the text; NULL: none, or a malformed one. */
static X509 *certificate_next(BIO *bio) {
    bool asked;
    return PEM_read_bio_X509(bio, NULL, certificate_on_passphrase, &asked);
}

/* Whether reading ended for want of another PEM block. */
static bool certificate_at_end(void) {
    unsigned long last = ERR_peek_last_error();
    return ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
}

static int64_t certificate_not_after_ms(const X509 *x509) {
    struct tm tm;
    if (!ASN1_TIME_to_tm(X509_get0_notAfter(x509), &tm))
        return INT64_MAX; /* malformed: the endpoint will complain */
    return (int64_t)timegm(&tm) * 1000;
}

int certificate_check(const char *pem, int64_t *not_after_ms, struct error *err) {
    size_t count = 0;
    if (strstr(pem, "PRIVATE KEY-"))
        return error_set(err, "holds a private key, which belongs into the field key alone");
    BIO *bio = certificate_open(pem);
    ERR_clear_error();
    for (X509 *x509; (x509 = certificate_next(bio)); count++) {
        if (count == 0)
            *not_after_ms = certificate_not_after_ms(x509);
        X509_free(x509);
    }
    bool whole = certificate_at_end();
    ERR_clear_error();
    BIO_free(bio);
    if (!whole)
        return error_set(err, "is no PEM certificate: its block %zu cannot be read", count + 1);
    return count ? 0
                 : error_set(err, "is no PEM certificate: there is no "
                                  "-----BEGIN CERTIFICATE-----");
}

/* --- keys */

static EVP_PKEY *certificate_read_key(const char *pem, struct error *err) {
    bool asked = false;
    BIO *bio = certificate_open(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, certificate_on_passphrase, &asked);
    ERR_clear_error();
    BIO_free(bio);
    if (!key && asked)
        error_set(err, "is encrypted: give it without a passphrase; ESS seals it");
    else if (!key)
        error_set(err, "is no PEM private key");
    return key;
}

/* Whether the key signs what the certificate verifies. X509_check_private_key compares public parts
 * alone, so a key made to look like the one of somebody's certificate would pass; and libcurl 7.88
 * shares connections by the certificate. (EVP_PKEY_pairwise_check looks for primes: seconds.) */
static bool certificate_verifies(EVP_PKEY *private, EVP_PKEY *public) {
    static const unsigned char text[] = "a text to sign";
    unsigned char signature[SIGNATURE_BYTES_MAX];
    size_t len = sizeof signature;
    EVP_MD_CTX *signs = EVP_MD_CTX_new(), *verifies = EVP_MD_CTX_new();
    bool fits = signs && verifies && EVP_PKEY_get_size(private) <= SIGNATURE_BYTES_MAX &&
                EVP_DigestSignInit(signs, NULL, NULL, NULL, private) == 1 &&
                EVP_DigestSign(signs, signature, &len, text, sizeof text) == 1 &&
                EVP_DigestVerifyInit(verifies, NULL, NULL, NULL, public) == 1 &&
                EVP_DigestVerify(verifies, signature, len, text, sizeof text) == 1;
    EVP_MD_CTX_free(signs);
    EVP_MD_CTX_free(verifies);
    return fits;
}

int certificate_check_key(const char *certificate, const char *key, struct error *err) {
    EVP_PKEY *private = certificate_read_key(key, err);
    if (!private)
        return -1;
    BIO *bio = certificate_open(certificate);
    X509 *x509 = certificate_next(bio);
    bool fits = x509 && X509_check_private_key(x509, private) == 1 &&
                certificate_verifies(private, X509_get0_pubkey(x509));
    ERR_clear_error();
    X509_free(x509);
    BIO_free(bio);
    EVP_PKEY_free(private);
    return fits ? 0 : error_set(err, "does not fit the certificate");
}
