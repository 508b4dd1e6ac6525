/* ESS's public signing keys; see jwks.h. */
#include "ingest/api/jwks.h"

#include "common/json/writer.h"
#include "ingest/ingest.h"

static void jwks_put_key(const struct signing_key *key, struct buf *out) {
    json_put_object(out);
    json_member_string(out, "kid", key->id);
    json_member_string(out, "kty", "OKP");
    json_member_string(out, "crv", "Ed25519");
    json_member_string(out, "x", key->x);
    json_member_string(out, "use", "sig");
    json_member_string(out, "alg", "EdDSA");
    json_end_object(out);
}

void jwks_handle(void *arg, struct http_request *request) {
    const struct ingest *ingest = arg;
    const struct signing_keys *keys = &ingest->service.signing_keys;
    struct buf body = {0};
    if (!http_request_no_query(request))
        return;
    json_put_object(&body);
    json_member_list(&body, "keys");
    for (size_t i = 0; i < keys->count; i++)
        jwks_put_key(&keys->of[i], &body);
    json_end_list(&body);
    json_end_object(&body);
    buf_puts(&body, "\n");
    http_answer_header(request, "Cache-Control", "public, max-age=300");
    http_answer(request, 200, "application/json", &body);
}
