/* Secrets at rest: AES-256-GCM with a key from `secrets.key_file`, the subscriber's id as
 * additional data. A sealed text is printable: "<key id>:<base64 of nonce, ciphertext and tag>".
 * OpenSSL's EVP; a keyring is one thread's. */
#ifndef ESS_MODEL_SEAL_H
#define ESS_MODEL_SEAL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"

struct keyring; /* the keys of a file: the first seals, all open */

/* Reads a key file: lines of 64 hex digits, blank lines ignored. Refused when others than its owner
 * may read it; of a file that root owns, its group may (PostgreSQL's rule: Kubernetes mounts
 * secrets as root's, with the pod's group). Returns NULL with the reason; `*missing` (may be NULL)
 * tells that the file does not exist. */
struct keyring *keyring_load(const char *path, bool *missing, struct error *err);
/* Makes a file with one new random key, mode 0600, never replacing one that is there (and its
 * folder, when missing). */
int keyring_create(const char *path, struct error *err);
void keyring_free(struct keyring *keyring); /* wipes the keys */

/* Reads the file again: its first key seals from now on, and keys that are no longer in it still
 * open. Where it cannot be read, all stays. seal_open does so where it does not know a key. */
void keyring_refresh(const struct keyring *keyring);
/* Grows with each refresh that brought a key. */
unsigned keyring_version(const struct keyring *keyring);

/* The sealing key's id: the first 8 hex digits of its SHA-256. */
const char *keyring_id(const struct keyring *keyring);

/* Appends the sealed text (not NUL in it). */
void seal(const struct keyring *keyring, struct span additional, struct span secret,
          struct buf *out);

/* Appends the secret. Returns -1 and appends nothing when no key of the ring or of its file has the
 * id (err names the id) or the text was tampered with. `*old_key` (may be NULL) tells that another
 * than the first key opened it. */
int seal_open(const struct keyring *keyring, struct span additional, struct span sealed,
              struct buf *out, bool *old_key, struct error *err);

#endif
