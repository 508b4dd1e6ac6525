/* Secrets at rest: AES-256-GCM with a key from `secrets.key_file`, and the subscriber's id as
 * additional data. A sealed text is printable: "<key id>:<base64 of nonce, ciphertext and tag>". By
 * OpenSSL's EVP; a keyring belongs to one thread. */
#ifndef ESS_CRYPTO_SEAL_H
#define ESS_CRYPTO_SEAL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"

struct keyring; /* keys of a file: the first seals, all open */

/* Reads a key file: lines of 64 hex digits, blank lines ignored. Refuses a file as
 * file_check_secret does. Returns NULL with the reason; sets `*missing` (may be NULL) for an absent
 * file. */
struct keyring *keyring_load(const char *path, bool *missing, struct error *err);
/* Creates a file with one new random key, mode 0600, and its folder when missing. Never replaces a
 * file. */
int keyring_create(const char *path, struct error *err);
void keyring_free(struct keyring *keyring); /* wipes the keys */

/* Reloads the file: its first key seals from now on, and removed keys still open. An unreadable
 * file changes nothing. seal_open calls this for an unknown key. */
void keyring_refresh(const struct keyring *keyring);
/* Grows with each refresh that brought a key. */
unsigned keyring_version(const struct keyring *keyring);

/* Id of the sealing key: the first 8 hex digits of its SHA-256. */
const char *keyring_id(const struct keyring *keyring);

/* Appends the sealed text, without a NUL. */
void seal(const struct keyring *keyring, struct span additional, struct span secret,
          struct buf *out);

/* Appends the secret. Returns -1 and appends nothing for a tampered text, or a key id found neither
 * in the ring nor in the file (err names the id). Sets `*old_key` (may be NULL) when another key
 * than the first opened the text. */
int seal_open(const struct keyring *keyring, struct span additional, struct span sealed,
              struct buf *out, bool *old_key, struct error *err);

#endif
