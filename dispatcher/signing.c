/* Secrets in force, and the headers that they make; see signing.h. */
#include "dispatcher/signing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/model/signature.h"

int signing_set(struct signing *signing, const struct subscriber_keys *keys, struct error *err) {
    struct signing fresh = {.current = signer_new(keys->secret, err)};
    if (!fresh.current)
        return -1;
    for (size_t i = 0; i < keys->old_count; i++) {
        struct signer *old = signer_new(keys->old[i].secret, err);
        if (!old) {
            signing_fini(&fresh);
            return -1;
        }
        fresh.old[fresh.old_count].signer = old;
        fresh.old[fresh.old_count++].until_ms = keys->old[i].until_ms;
    }
    signing_fini(signing);
    *signing = fresh;
    return 0;
}

void signing_fini(struct signing *signing) {
    signer_free(signing->current);
    for (size_t i = 0; i < signing->old_count; i++)
        signer_free(signing->old[i].signer);
    *signing = (struct signing){.old_count = 0};
}

struct curl_slist *signing_add(struct curl_slist *list, const char *name, const char *value) {
    struct buf line = {0};
    buf_printf(&line, "%s: %s", name, value);
    list = curl_slist_append(list, buf_string(&line));
    if (!list)
        abort();
    buf_fini(&line);
    return list;
}

struct curl_slist *signing_headers(const struct signing *signing, struct curl_slist *list, const char *id, int64_t wall_ms,
                                   struct span body) {
    char hex[SIGNATURE_HEX_BYTES], webhook[SIGNATURE_WEBHOOK_BYTES], seconds[24];
    char all[(SUBSCRIBER_OLD_SECRETS_MAX + 1) * SIGNATURE_WEBHOOK_BYTES];
    int64_t now_s = wall_ms / 1000;
    size_t len;
    signer_hex(signing->current, body, hex);
    signer_webhook(signing->current, span_of(id), now_s, body, webhook);
    list = signing_add(list, "X-ESS-Signature", hex);
    len = (size_t)snprintf(all, sizeof all, "%s", webhook);
    for (size_t i = 0, said = 0; i < signing->old_count; i++) {
        if (signing->old[i].until_ms <= wall_ms)
            continue;
        signer_webhook(signing->old[i].signer, span_of(id), now_s, body, webhook);
        len += (size_t)snprintf(all + len, sizeof all - len, " %s", webhook);
        if (said++)
            continue; /* the header has room for the newest of them */
        signer_hex(signing->old[i].signer, body, hex);
        list = signing_add(list, "X-ESS-Signature-Old", hex);
    }
    snprintf(seconds, sizeof seconds, "%" PRId64, now_s);
    list = signing_add(list, "webhook-id", id);
    list = signing_add(list, "webhook-timestamp", seconds);
    return signing_add(list, "webhook-signature", all);
}
