/* ESS's own Ed25519 keys, by which receivers check webhooks with a public key: the file of
 * signing.key_file, PEM blocks of PKCS#8 as `openssl genpkey -algorithm ed25519` writes them. The
 * first key signs, and all are published. By OpenSSL's EVP; one thread. */
#ifndef ESS_CRYPTO_SIGNING_KEYS_H
#define ESS_CRYPTO_SIGNING_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"

enum {
    SIGNING_KEYS_MAX = 16,
    SIGNING_KEYS_FILE_BYTES_MAX = 64 * 1024,
    SIGNING_KEY_TEXT_BYTES = 44,       /* 32 bytes in base64url, with the NUL */
    SIGNING_KEYS_SIGNATURE_BYTES = 93, /* "v1a," and 64 bytes in base64, with the NUL */
};

struct evp_pkey_st;

struct signing_key {
    struct evp_pkey_st *pkey;
    char x[SIGNING_KEY_TEXT_BYTES];  /* the public key in base64url, as in a JWK */
    char id[SIGNING_KEY_TEXT_BYTES]; /* its JWK thumbprint (RFC 7638) */
};

/* All zero: no keys. */
struct signing_keys {
    struct signing_key of[SIGNING_KEYS_MAX];
    size_t count;
};

/* Takes the keys of a file's text in place of those before. Returns -1 with the number of the bad
 * key and the reason, and keeps those before. */
int signing_keys_take(struct signing_keys *keys, struct span pem, struct error *err);
void signing_keys_fini(struct signing_keys *keys);

/* The signature v1a of Standard Webhooks over id.timestamp.body, by the first key. There is one. */
void signing_keys_sign(const struct signing_keys *keys, struct span id, int64_t timestamp_s,
                       struct span body, char out[SIGNING_KEYS_SIGNATURE_BYTES]);

#endif
