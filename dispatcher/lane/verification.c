/* The handshake; see verification.h. */
#include "dispatcher/lane/verification.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "common/base/hex.h"
#include "common/json/writer.h"

/* A hash that nobody can find a second URL for: else the second URL would pass as answered. */
static void verification_make_id(const char *registration_id, const char *url,
                                 char id[TOKEN_HANDSHAKE_BYTES]) {
    unsigned char hash[SHA256_DIGEST_LENGTH];
    struct buf text = {0};
    buf_printf(&text, "%s\n%s", registration_id, url);
    SHA256((const unsigned char *)text.data, text.len, hash);
    hex_put(hash, (TOKEN_HANDSHAKE_BYTES - 1) / 2, id);
    buf_fini(&text);
}

void verification_set(struct verification *h, bool wanted, const char *registration_id,
                      const char *url) {
    char id[TOKEN_HANDSHAKE_BYTES];
    verification_make_id(registration_id, url ? url : "", id);
    h->wanted = wanted;
    if (strcmp(id, h->id) == 0)
        return;
    memcpy(h->id, id, sizeof h->id);
    verification_hurry(h);
}

bool verification_is_pending(const struct verification *h) {
    return h->wanted && strcmp(h->id, h->answered) != 0;
}

void verification_answer(struct verification *h, const char *id) {
    snprintf(h->answered, sizeof h->answered, "%s", id);
}

int64_t verification_start(struct verification *h) { return ++h->attempts; }

void verification_abort(struct verification *h) { h->attempts--; }

void verification_fail(struct verification *h, int64_t due_ms) { h->due_ms = due_ms; }

void verification_hurry(struct verification *h) { h->attempts = h->due_ms = 0; }

void verification_put_body(const struct verification *h, const char *subscriber, struct buf *out) {
    json_put_object(out);
    json_member_string(out, "handshake", h->id);
    json_member_string(out, "subscriber", subscriber);
    json_end_object(out);
}
