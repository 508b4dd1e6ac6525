/* Secrets in force and the signature headers; see signing.h. */
#include "dispatcher/channel/signing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/signature.h"

static void signing_drop_signers(struct signing *signing) {
    signer_free(signing->current);
    signing->current = NULL;
    for (size_t i = 0; i < signing->old_count; i++)
        signer_free(signing->old[i].signer);
    signing->old_count = 0;
}

static int signing_make_signers(struct signing *signing, struct error *err) {
    const struct subscriber_keys *keys = signing->keys;
    signing->current = signer_new(keys->secret, err);
    if (!signing->current)
        return -1;
    for (size_t i = 0; i < keys->old_count; i++) {
        struct signer *old = signer_new(keys->old[i].secret, err);
        if (!old)
            return -1;
        signing->old[i].signer = old;
        signing->old[i].until_ms = keys->old[i].until_ms;
        signing->old_count++;
    }
    return 0;
}

int signing_set(struct signing *signing, const struct subscriber_keys *keys, struct error *err) {
    signing_drop_signers(signing);
    signing->keys = keys;
    int result = signing_make_signers(signing, err);
    signing_drop_signers(signing);
    if (result)
        signing->keys = NULL;
    return result;
}

void signing_fini(struct signing *signing) {
    signing_drop_signers(signing);
    signing->keys = NULL;
}

struct curl_slist *signing_add(struct curl_slist *list, const char *name, const char *value) {
    struct buf line = {0};
    buf_puts(&line, name);
    buf_puts(&line, ": ");
    buf_puts(&line, value);
    list = curl_slist_append(list, buf_string(&line));
    if (!list)
        abort();
    buf_fini(&line);
    return list;
}

static void signing_prepare(struct signing *signing) {
    struct error err;
    if (!signing->current && signing_make_signers(signing, &err))
        abort(); /* signing_set has made the signers before */
}

const char *signing_lacks(const struct signing *signing, const struct spec *spec) {
    const bool lacks = spec->signatures & SPEC_SIGNED_ED25519 &&
                       !(signing->own && signing->own->count);
    return lacks ? "no key for the signature ed25519: set signing.key_file for ess-dispatcher"
                 : NULL;
}

const char *signing_key_id(const struct signing *signing, const struct spec *spec) {
    return spec->signatures & SPEC_SIGNED_ED25519 ? signing->own->of[0].id : NULL;
}

static bool signing_wants_hmac(const struct spec *spec) {
    return spec->signatures != SPEC_SIGNED_ED25519;
}

/* Appends to the signatures in `out`, with a space between. */
static void signing_append(char out[SIGNING_STANDARD_BYTES], const char *one) {
    const size_t len = strlen(out);
    snprintf(out + len, SIGNING_STANDARD_BYTES - len, "%s%s", len ? " " : "", one);
}

static void signing_append_hmacs(struct signing *signing, const char *id, int64_t wall_ms,
                                 struct span body, char out[SIGNING_STANDARD_BYTES]) {
    char one[SIGNATURE_WEBHOOK_BYTES];
    signing_prepare(signing);
    signer_webhook(signing->current, span_of(id), wall_ms / 1000, body, one);
    signing_append(out, one);
    for (size_t i = 0; i < signing->old_count; i++) {
        if (signing->old[i].until_ms <= wall_ms)
            continue;
        signer_webhook(signing->old[i].signer, span_of(id), wall_ms / 1000, body, one);
        signing_append(out, one);
    }
}

void signing_standard(struct signing *signing, const struct spec *spec, const char *id,
                      int64_t wall_ms, struct span body, char out[SIGNING_STANDARD_BYTES]) {
    char own[SIGNING_KEYS_SIGNATURE_BYTES];
    *out = 0;
    if (signing_wants_hmac(spec))
        signing_append_hmacs(signing, id, wall_ms, body, out);
    if (!signing_key_id(signing, spec))
        return;
    signing_keys_sign(signing->own, span_of(id), wall_ms / 1000, body, own);
    signing_append(out, own);
}

/* The newest old secret still in force; NULL: none. */
static struct signer *signing_old(const struct signing *signing, int64_t wall_ms) {
    for (size_t i = 0; i < signing->old_count; i++)
        if (signing->old[i].until_ms > wall_ms)
            return signing->old[i].signer;
    return NULL;
}

static struct curl_slist *signing_add_hex(struct signing *signing, struct curl_slist *list,
                                          int64_t wall_ms, struct span body) {
    char hex[SIGNATURE_HEX_BYTES];
    signing_prepare(signing);
    struct signer *old = signing_old(signing, wall_ms);
    signer_hex(signing->current, body, hex);
    list = signing_add(list, "X-ESS-Signature", hex);
    if (!old)
        return list;
    signer_hex(old, body, hex);
    return signing_add(list, "X-ESS-Signature-Old", hex);
}

struct curl_slist *signing_headers(struct signing *signing, const struct spec *spec,
                                   struct curl_slist *list, const char *id, int64_t wall_ms,
                                   struct span body) {
    char all[SIGNING_STANDARD_BYTES], seconds[24];
    const char *key_id = signing_key_id(signing, spec);
    if (signing_wants_hmac(spec))
        list = signing_add_hex(signing, list, wall_ms, body);
    if (key_id)
        list = signing_add(list, "X-ESS-Key-Id", key_id);
    signing_standard(signing, spec, id, wall_ms, body, all);
    snprintf(seconds, sizeof seconds, "%" PRId64, wall_ms / 1000);
    list = signing_add(list, "webhook-id", id);
    list = signing_add(list, "webhook-timestamp", seconds);
    return signing_add(list, "webhook-signature", all);
}
