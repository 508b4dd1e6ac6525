/* A subscriber's secrets in force: the current one, and during a rotation the old ones until their
 * ends. */
#ifndef ESS_DISPATCHER_SIGNING_H
#define ESS_DISPATCHER_SIGNING_H

#include <curl/curl.h>
#include <stdint.h>

#include "common/crypto/signature.h"
#include "common/crypto/signing_keys.h"
#include "common/model/subscriber.h"

struct signer;

struct signing {
    const struct signing_keys *own;     /* ESS's, for SPEC_SIGNED_ED25519; may be NULL */
    const struct subscriber_keys *keys; /* NULL: nothing can be signed */
    /* made when first needed: a signer takes a kilobyte, and most lanes are quiet */
    struct signer *current;
    struct {
        struct signer *signer;
        int64_t until_ms;              /* wall */
    } old[SUBSCRIBER_OLD_SECRETS_MAX]; /* newest first */
    size_t old_count;
};

/* Signs with the keys' secrets from now on. The caller keeps the keys, which must stay. Returns
 * -1 with the reason if a secret is malformed; then nothing can be signed. */
int signing_set(struct signing *signing, const struct subscriber_keys *keys, struct error *err);
void signing_fini(struct signing *signing);

/* NULL, or why nothing can be signed as the spec wants: this process has no key of its own. No
 * function below may be called then. */
const char *signing_lacks(const struct signing *signing, const struct spec *spec);
/* The id of the key that makes the spec's signature ed25519; NULL: it has none. */
const char *signing_key_id(const struct signing *signing, const struct spec *spec);

enum {
    SIGNING_STANDARD_BYTES = (SUBSCRIBER_OLD_SECRETS_MAX + 1) * SIGNATURE_WEBHOOK_BYTES +
    SIGNING_KEYS_SIGNATURE_BYTES
};
/* The Standard Webhooks signatures of the body that the spec wants, separated by spaces: one for
 * each secret in force, and one by ESS's own key. */
void signing_standard(struct signing *signing, const struct spec *spec, const char *id,
                      int64_t wall_ms, struct span body, char out[SIGNING_STANDARD_BYTES]);

/* Appends webhook-id, webhook-timestamp and webhook-signature (Standard Webhooks). With hmac also
 * X-ESS-Signature, and X-ESS-Signature-Old during a rotation; with ed25519 X-ESS-Key-Id. */
struct curl_slist *signing_headers(struct signing *signing, const struct spec *spec,
                                   struct curl_slist *list, const char *id, int64_t wall_ms,
                                   struct span body);

/* Appends "name: value". */
struct curl_slist *signing_add(struct curl_slist *list, const char *name, const char *value);

#endif
