/* Webhook signatures by OpenSSL's EVP_MAC; see signature.h. Each signer reuses one context: a fresh
 * one takes more than twice as long. */
#include "common/crypto/signature.h"

#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hex.h"
#include "common/crypto/base64.h"

#define WHSEC "whsec_"
enum { WHSEC_BYTES = sizeof WHSEC - 1, MAC_BYTES = 32, MADE_BYTES = 32 };

struct signer {
    EVP_MAC_CTX *context;
};

/* Decodes the key. Returns its length, or -1. */
static int key_of(const char *secret, unsigned char key[SIGNATURE_KEY_BYTES_MAX],
                  struct error *err) {
    size_t len = strlen(secret);
    if (len == 0)
        return error_set_field(err, "secret", "must not be empty");
    if (len > SIGNATURE_KEY_BYTES_MAX)
        return error_set_field(err, "secret", "must not be longer than %d bytes",
                               SIGNATURE_KEY_BYTES_MAX);
    if (strncmp(secret, WHSEC, WHSEC_BYTES) != 0) {
        memcpy(key, secret, len);
        return (int)len;
    }
    long decoded = base64_decode(span_of(secret + WHSEC_BYTES), key);
    return decoded > 0 ? (int)decoded
                       : error_set_field(err, "secret", "what follows whsec_ must be base64");
}

/* Whether a text begins, or ends, with an invisible character. */
static bool signature_invisible(struct span text, bool at_end) {
    static const char *const wide[] = {"\xef\xbb\xbf", "\xc2\xa0", "\xe2\x80\x8b",
                                       "\xe3\x80\x80"}; /* U+FEFF, A0, 200B, 3000 */
    unsigned char edge = (unsigned char)(text.len ? text.data[at_end ? text.len - 1 : 0] : 'x');
    if (edge <= 0x20 || edge == 0x7f)
        return true;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        size_t len = strlen(wide[i]);
        if (text.len >= len && memcmp(text.data + (at_end ? text.len - len : 0), wide[i], len) == 0)
            return true;
    }
    return false;
}

int signature_check_secret(const char *secret, struct error *err) {
    unsigned char key[SIGNATURE_KEY_BYTES_MAX];
    if (key_of(secret, key, err) < 0)
        return -1;
    OPENSSL_cleanse(key, sizeof key);
    if (signature_invisible(span_of(secret), false) || signature_invisible(span_of(secret), true))
        return error_set_field(
            err, "secret",
            "must not begin or end with white space, control characters or a byte order mark");
    return 0;
}

struct signer *signer_new(const char *secret, struct error *err) {
    unsigned char key[SIGNATURE_KEY_BYTES_MAX];
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    int len = key_of(secret, key, err);
    if (len < 0)
        return NULL;
    struct signer *signer = mem_zero(sizeof *signer);
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    signer->context = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    if (!signer->context || EVP_MAC_init(signer->context, key, (size_t)len, params) != 1)
        abort();
    OPENSSL_cleanse(key, sizeof key);
    return signer;
}

void signer_free(struct signer *signer) {
    if (signer)
        EVP_MAC_CTX_free(signer->context);
    free(signer);
}

static void signature_begin(struct signer *signer) {
    if (EVP_MAC_init(signer->context, NULL, 0, NULL) != 1) /* keep the key */
        abort();
}

static void signature_add(struct signer *signer, struct span text) {
    if (EVP_MAC_update(signer->context, (const unsigned char *)text.data, text.len) != 1)
        abort();
}

static void signature_end(struct signer *signer, unsigned char mac[MAC_BYTES]) {
    size_t len;
    if (EVP_MAC_final(signer->context, mac, &len, MAC_BYTES) != 1)
        abort();
}

void signer_hex(struct signer *signer, struct span body, char out[SIGNATURE_HEX_BYTES]) {
    unsigned char mac[MAC_BYTES];
    signature_begin(signer);
    signature_add(signer, body);
    signature_end(signer, mac);
    hex_put(mac, MAC_BYTES, out);
}

void signer_webhook(struct signer *signer, struct span id, int64_t timestamp_s, struct span body,
                    char out[SIGNATURE_WEBHOOK_BYTES]) {
    unsigned char mac[MAC_BYTES];
    char timestamp[24];
    int len = snprintf(timestamp, sizeof timestamp, ".%" PRId64 ".", timestamp_s);
    signature_begin(signer);
    signature_add(signer, id);
    signature_add(signer, (struct span){timestamp, (size_t)len});
    signature_add(signer, body);
    signature_end(signer, mac);
    memcpy(out, "v1,", 3);
    EVP_EncodeBlock((unsigned char *)out + 3, mac, MAC_BYTES);
}

int signature_whsec(const char *secret, struct buf *out, struct error *err) {
    unsigned char key[SIGNATURE_KEY_BYTES_MAX];
    int len = key_of(secret, key, err);
    if (len < 0)
        return -1;
    buf_puts(out, WHSEC);
    base64_put(out, key, (size_t)len);
    OPENSSL_cleanse(key, sizeof key);
    return 0;
}

void signature_make_secret(struct buf *out) {
    unsigned char key[MADE_BYTES];
    if (RAND_bytes(key, sizeof key) != 1)
        abort();
    buf_puts(out, WHSEC);
    base64_put(out, key, sizeof key);
    OPENSSL_cleanse(key, sizeof key);
}
