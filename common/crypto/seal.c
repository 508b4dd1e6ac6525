/* Secrets at rest; see seal.h. */
#include "common/crypto/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/hex.h"
#include "common/crypto/base64.h"

enum { KEY_BYTES = 32, KEYS_MAX = 16, NONCE_BYTES = 12, TAG_BYTES = 16, ID_CHARS = 8 };
enum { FILE_BYTES_MAX = 4096, SEALED_BYTES_MAX = 1024 * 1024 };

struct key {
    unsigned char bytes[KEY_BYTES];
    char id[ID_CHARS + 1];
};

struct keys {
    struct key of[KEYS_MAX];
    size_t count;
    unsigned version; /* counts refreshes that brought keys */
};

/* Keys are a separate struct, so that opening a text may reload a const keyring. */
struct keyring {
    char *path;
    struct keys *keys;
};

static int parse_key(struct keys *keys, const char *line, size_t len) {
    struct key *key = &keys->of[keys->count];
    unsigned char digest[SHA256_DIGEST_LENGTH];
    if (keys->count == KEYS_MAX || hex_parse((struct span){line, len}, key->bytes, KEY_BYTES))
        return -1;
    SHA256(key->bytes, KEY_BYTES, digest);
    hex_put(digest, ID_CHARS / 2, key->id);
    keys->count++;
    return 0;
}

static int parse_file(struct keys *keys, const char *path, const char *text, struct error *err) {
    for (int line = 1; *text; line++) {
        size_t len = strcspn(text, "\n"), trimmed = len;
        while (trimmed &&
               (text[trimmed - 1] == ' ' || text[trimmed - 1] == '\r' || text[trimmed - 1] == '\t'))
            trimmed--;
        if (trimmed && parse_key(keys, text, trimmed))
            return error_set(err, "%s:%d: must be a key of 64 hex digits (at most %d keys)", path,
                             line, KEYS_MAX);
        text += len + (text[len] == '\n');
    }
    return keys->count ? 0 : error_set(err, "%s: holds no key", path);
}

static int seal_read_file(int fd, const char *path, char text[FILE_BYTES_MAX + 1],
                          struct error *err) {
    struct stat st;
    size_t len = 0;
    ssize_t n = 1;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return error_set(err, "%s: is not a file", path);
    if (file_check_secret(fd, err))
        return error_prefix(err, "%s: ", path);
    while (len < FILE_BYTES_MAX && (n = read(fd, text + len, FILE_BYTES_MAX - len)) > 0)
        len += (size_t)n;
    text[len] = 0;
    if (n < 0)
        return error_set(err, "%s: %s", path, strerror(errno));
    if (strlen(text) != len)
        return error_set(err, "%s: must be a key of 64 hex digits a line, and holds zero bytes",
                         path);
    return len < FILE_BYTES_MAX ? 0 : error_set(err, "%s: is too large for a key file", path);
}

static int seal_read_keys(struct keys *keys, const char *path, bool *missing, struct error *err) {
    char text[FILE_BYTES_MAX + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* do not wait for a pipe's writer */
    *missing = fd < 0 && errno == ENOENT;
    if (fd < 0)
        return error_set(err, "%s: %s", path, strerror(errno));
    int result = seal_read_file(fd, path, text, err) || parse_file(keys, path, text, err) ? -1 : 0;
    OPENSSL_cleanse(text, sizeof text);
    close(fd);
    return result;
}

struct keyring *keyring_load(const char *path, bool *missing, struct error *err) {
    struct keyring *ring = mem_zero(sizeof *ring);
    bool none;
    ring->path = mem_copy_string(path, strlen(path));
    ring->keys = mem_zero(sizeof *ring->keys);
    if (seal_read_keys(ring->keys, path, &none, err)) {
        keyring_free(ring);
        ring = NULL;
    }
    if (missing)
        *missing = none;
    return ring;
}

static const struct key *find_key(const struct keys *keys, struct span id) {
    for (size_t i = 0; i < keys->count; i++)
        if (span_equal(id, span_of(keys->of[i].id)))
            return &keys->of[i];
    return NULL;
}

static bool holds_all(const struct keys *keys, const struct keys *others) {
    for (size_t i = 0; i < others->count; i++)
        if (!find_key(keys, span_of(others->of[i].id)))
            return false;
    return true;
}

/* Adds unknown keys, as far as there is room. */
static void add_keys(struct keys *keys, const struct keys *others) {
    for (size_t i = 0; i < others->count && keys->count < KEYS_MAX; i++)
        if (!find_key(keys, span_of(others->of[i].id)))
            keys->of[keys->count++] = others->of[i];
}

void keyring_refresh(const struct keyring *ring) {
    struct keys now = {.count = 0};
    struct error err;
    bool missing;
    if (seal_read_keys(&now, ring->path, &missing, &err) == 0) {
        now.version = ring->keys->version + !holds_all(ring->keys, &now);
        add_keys(&now, ring->keys);
        *ring->keys = now;
    }
    OPENSSL_cleanse(&now, sizeof now);
}

unsigned keyring_version(const struct keyring *ring) { return ring->keys->version; }

static void random_hex(char text[2 * KEY_BYTES]) {
    unsigned char key[KEY_BYTES];
    static const char digits[] = "0123456789abcdef";
    if (RAND_bytes(key, KEY_BYTES) != 1)
        abort();
    for (int i = 0; i < KEY_BYTES; i++) {
        text[2 * i] = digits[key[i] >> 4];
        text[2 * i + 1] = digits[key[i] & 15];
    }
    OPENSSL_cleanse(key, sizeof key);
}

/* Makes the file's name durable: losing the key file means losing every secret. */
static int sync_folder(const char *folder) {
    int fd = open(*folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return result;
}

/* Writes a temporary file and links it into place: never replaces a file, never shows half of
 * one. */
int keyring_create(const char *path, struct error *err) {
    char text[2 * KEY_BYTES + 1], aside[4096], folder[4096];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + (slash == path) : 0,
             path); /* "/" of "/key" */
    if (*folder && mkdir(folder, 0700) != 0 && errno != EEXIST)
        return error_set(err, "%s: %s", folder, strerror(errno));
    snprintf(aside, sizeof aside, "%s.XXXXXX", path);
    int fd = mkostemp(aside, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return error_set(err, "%s cannot be made: %s", path, strerror(errno));
    random_hex(text);
    text[2 * KEY_BYTES] = '\n';
    bool made = write(fd, text, sizeof text) == sizeof text && fsync(fd) == 0 &&
                link(aside, path) == 0 && sync_folder(folder) == 0;
    int result = made ? 0 : error_set(err, "%s cannot be made: %s", path, strerror(errno));
    OPENSSL_cleanse(text, sizeof text);
    close(fd);
    unlink(aside);
    return result;
}

void keyring_free(struct keyring *ring) {
    if (!ring)
        return;
    OPENSSL_cleanse(ring->keys, sizeof *ring->keys);
    free(ring->keys);
    free(ring->path);
    free(ring);
}

const char *keyring_id(const struct keyring *ring) { return ring->keys->of[0].id; }

/* Aborts when OpenSSL fails, which happens only without memory. */
void seal(const struct keyring *ring, struct span additional, struct span secret, struct buf *out) {
    const struct key *key = &ring->keys->of[0];
    size_t total = NONCE_BYTES + secret.len + TAG_BYTES;
    unsigned char *sealed = mem_alloc(total);
    int len = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx || RAND_bytes(sealed, NONCE_BYTES) != 1 ||
        EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, sealed) != 1 ||
        EVP_EncryptUpdate(ctx, NULL, &len, (const unsigned char *)additional.data,
                          (int)additional.len) != 1 ||
        EVP_EncryptUpdate(ctx, sealed + NONCE_BYTES, &len, (const unsigned char *)secret.data,
                          (int)secret.len) != 1 ||
        EVP_EncryptFinal_ex(ctx, sealed + NONCE_BYTES + len, &len) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES,
                            sealed + NONCE_BYTES + secret.len) != 1)
        abort();
    EVP_CIPHER_CTX_free(ctx);
    buf_printf(out, "%s:", key->id);
    base64_put(out, sealed, total);
    free(sealed);
}

/* Reloads the file for an unknown key id: the key may have been added since. */
static const struct key *find_or_read_key(const struct keyring *ring, struct span id) {
    const struct key *key = find_key(ring->keys, id);
    if (key)
        return key;
    keyring_refresh(ring);
    return find_key(ring->keys, id);
}

/* Decrypts into `to`, which has room for `len` bytes. Returns the length, or -1 when the tag does
 * not match. */
static long seal_decrypt(const struct key *key, struct span additional, unsigned char *sealed,
                         size_t len, unsigned char *to) {
    size_t secret_len = len - NONCE_BYTES - TAG_BYTES;
    int n = 0, good;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx || EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, sealed) != 1 ||
        EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)additional.data,
                          (int)additional.len) != 1 ||
        EVP_DecryptUpdate(ctx, to, &n, sealed + NONCE_BYTES, (int)secret_len) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, sealed + len - TAG_BYTES) != 1)
        abort();
    good = EVP_DecryptFinal_ex(ctx, to + n, &n);
    EVP_CIPHER_CTX_free(ctx);
    return good == 1 ? (long)secret_len : -1;
}

int seal_open(const struct keyring *ring, struct span additional, struct span text, struct buf *out,
              bool *old_key, struct error *err) {
    const char *colon = text.len ? memchr(text.data, ':', text.len) : NULL;
    size_t id_len = colon ? (size_t)(colon - text.data) : 0;
    if (!colon || text.len > SEALED_BYTES_MAX)
        return error_set(err, "not a sealed text");
    const struct span id = {text.data, id_len}, base64 = {colon + 1, text.len - id_len - 1};
    const struct key *key = find_or_read_key(ring, id);
    if (!key)
        return error_set(err, "sealed with key %.*s, which the key file does not hold",
                         id_len > 16 ? 16 : (int)id_len, text.data);
    unsigned char *sealed = mem_alloc(base64.len), *secret = mem_alloc(base64.len);
    long len = base64_decode(base64, sealed);
    len = len < NONCE_BYTES + TAG_BYTES
              ? -1
              : seal_decrypt(key, additional, sealed, (size_t)len, secret);
    if (len >= 0)
        buf_append(out, secret, (size_t)len);
    OPENSSL_cleanse(secret, base64.len);
    free(secret);
    free(sealed);
    if (len < 0)
        return error_set(err, "the sealed text was changed, or belongs to another subscriber");
    if (old_key)
        *old_key = key != &ring->keys->of[0];
    return 0;
}
