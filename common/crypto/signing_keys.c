/* ESS's own keys; see signing_keys.h. The text is read block by block, so that a bad block has its
 * number and OpenSSL never asks a terminal for a passphrase. */
#include "common/crypto/signing_keys.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/crypto/base64.h"

enum { PUBLIC_BYTES = 32, SIGNATURE_BYTES = 64 };

/* One block of the text. */
struct signing_block {
    char *name, *header;
    unsigned char *data;
    long len;
};

static void signing_block_free(struct signing_block *block) {
    OPENSSL_free(block->name);
    OPENSSL_free(block->header);
    OPENSSL_clear_free(block->data, (size_t)block->len);
}

/* Returns 1, 0 at the end, or -1 for a damaged block. */
static int signing_block_next(BIO *text, struct signing_block *block) {
    *block = (struct signing_block){0};
    if (PEM_read_bio(text, &block->name, &block->header, &block->data, &block->len))
        return 1;
    const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return at_end ? 0 : -1;
}

/* --- a key */

static EVP_PKEY *signing_key_decode(const struct signing_block *block) {
    const unsigned char *at = block->data;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, block->len);
    EVP_PKEY *pkey = info ? EVP_PKCS82PKEY(info) : NULL;
    PKCS8_PRIV_KEY_INFO_free(info);
    ERR_clear_error();
    return pkey;
}

/* RFC 7638: SHA-256 over the JWK's required members in the order of their names. */
static void signing_key_name(struct signing_key *key) {
    static const char before[] = "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"", after[] = "\"}";
    unsigned char digest[SHA256_DIGEST_LENGTH];
    struct buf text = {0}, id = {0};
    buf_puts(&text, before);
    buf_puts(&text, key->x);
    buf_puts(&text, after);
    SHA256((const unsigned char *)text.data, text.len, digest);
    base64url_put(&id, digest, sizeof digest);
    snprintf(key->id, sizeof key->id, "%s", buf_string(&id));
    buf_fini(&text);
    buf_fini(&id);
}

static void signing_key_set(struct signing_key *key, EVP_PKEY *pkey) {
    unsigned char raw[PUBLIC_BYTES];
    size_t len = sizeof raw;
    struct buf x = {0};
    if (EVP_PKEY_get_raw_public_key(pkey, raw, &len) != 1)
        abort();
    base64url_put(&x, raw, len);
    key->pkey = pkey;
    snprintf(key->x, sizeof key->x, "%s", buf_string(&x));
    buf_fini(&x);
    signing_key_name(key);
}

static int signing_block_check(const struct signing_block *block, struct error *err) {
    if (strcmp(block->name, "ENCRYPTED PRIVATE KEY") == 0 || *block->header)
        return error_set(err, "is encrypted: write it without a passphrase");
    if (strcmp(block->name, "PRIVATE KEY") != 0)
        return error_set(err,
                         "is a \"%.40s\", not a \"PRIVATE KEY\" as openssl genpkey -algorithm "
                         "ed25519 writes it",
                         block->name);
    return 0;
}

static int signing_key_read(struct signing_key *key, const struct signing_block *block,
                            struct error *err) {
    if (signing_block_check(block, err))
        return -1;
    EVP_PKEY *pkey = signing_key_decode(block);
    if (!pkey)
        return error_set(err, "is damaged");
    if (EVP_PKEY_id(pkey) != EVP_PKEY_ED25519) {
        EVP_PKEY_free(pkey);
        return error_set(err, "is no Ed25519 key: openssl genpkey -algorithm ed25519 makes one");
    }
    signing_key_set(key, pkey);
    return 0;
}

/* --- all keys */

static int signing_keys_add(struct signing_keys *keys, const struct signing_block *block,
                            struct error *err) {
    struct signing_key *key = &keys->of[keys->count];
    if (keys->count == SIGNING_KEYS_MAX)
        return error_set(err, "is one too many: at most %d are taken", SIGNING_KEYS_MAX);
    if (signing_key_read(key, block, err))
        return -1;
    keys->count++;
    for (size_t i = 0; i + 1 < keys->count; i++)
        if (strcmp(keys->of[i].id, key->id) == 0)
            return error_set(err, "is key %zu again", i + 1);
    return 0;
}

static int signing_keys_read(struct signing_keys *keys, BIO *text, struct error *err) {
    struct signing_block block;
    for (size_t number = 1;; number++) {
        const int found = signing_block_next(text, &block);
        if (found == 0)
            return keys->count ? 0 : error_set(err, "holds no key");
        int result = found < 0 ? error_set(err, "is damaged") : signing_keys_add(keys, &block, err);
        signing_block_free(&block);
        if (result)
            return error_prefix(err, "key %zu ", number);
    }
}

int signing_keys_take(struct signing_keys *keys, struct span pem, struct error *err) {
    struct signing_keys now = {.count = 0};
    BIO *text = BIO_new_mem_buf(pem.len ? pem.data : "", (int)pem.len);
    if (!text)
        abort();
    int result = signing_keys_read(&now, text, err);
    BIO_free(text);
    signing_keys_fini(result ? &now : keys);
    if (result == 0)
        *keys = now;
    return result;
}

void signing_keys_fini(struct signing_keys *keys) {
    for (size_t i = 0; i < keys->count; i++)
        EVP_PKEY_free(keys->of[i].pkey);
    keys->count = 0;
}

void signing_keys_sign(const struct signing_keys *keys, struct span id, int64_t timestamp_s,
                       struct span body, char out[SIGNING_KEYS_SIGNATURE_BYTES]) {
    unsigned char signature[SIGNATURE_BYTES];
    size_t len = sizeof signature;
    struct buf text = {0}; /* Ed25519 wants it in one piece */
    buf_reserve(&text, id.len + body.len + 32);
    buf_append(&text, id.data, id.len);
    buf_printf(&text, ".%" PRId64 ".", timestamp_s);
    buf_append(&text, body.data, body.len);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || EVP_DigestSignInit(context, NULL, NULL, NULL, keys->of[0].pkey) != 1 ||
        EVP_DigestSign(context, signature, &len, (const unsigned char *)text.data, text.len) != 1)
        abort();
    EVP_MD_CTX_free(context);
    buf_fini(&text);
    memcpy(out, "v1a,", 4);
    EVP_EncodeBlock((unsigned char *)out + 4, signature, (int)len);
}
