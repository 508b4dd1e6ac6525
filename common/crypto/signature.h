/* The two signatures of a webhook: X-ESS-Signature (hex HMAC-SHA256 of the body) and the Standard
 * Webhooks one (https://www.standardwebhooks.com: "v1," and base64 of HMAC-SHA256 over
 * id.timestamp.body). Pure; a signer belongs to one thread, since the OpenSSL context is reused. */
#ifndef ESS_CRYPTO_SIGNATURE_H
#define ESS_CRYPTO_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"

enum { SIGNATURE_HEX_BYTES = 65, SIGNATURE_WEBHOOK_BYTES = 48, SIGNATURE_KEY_BYTES_MAX = 4096 };

struct signer;

/* A secret with the prefix whsec_ is the key in base64; any other is the key's bytes. Returns NULL
 * with the reason for an empty, too long or badly encoded secret. */
struct signer *signer_new(const char *secret, struct error *err);
void signer_free(struct signer *signer); /* wipes the key */

void signer_hex(struct signer *signer, struct span body, char out[SIGNATURE_HEX_BYTES]);
void signer_webhook(struct signer *signer, struct span id, int64_t timestamp_s, struct span body,
                    char out[SIGNATURE_WEBHOOK_BYTES]);

/* Checks a secret chosen by a person: valid for signer_new, and without invisible characters at the
 * ends. White space, control characters or a byte order mark there come from copying or an editor,
 * and the verifier has the secret without. */
int signature_check_secret(const char *secret, struct error *err);

/* Appends the secret in whsec_ form, for public verifier libraries. Returns -1 for a bad secret. */
int signature_whsec(const char *secret, struct buf *out, struct error *err);

/* Appends a new printable secret: 32 random bytes in whsec_ form. */
void signature_make_secret(struct buf *out);

#endif
