/* The client credentials grant; see oauth2_grant.h. */
#include "common/model/oauth2_grant.h"

#include <stdlib.h>

#include "common/crypto/base64.h"
#include "common/model/members.h"
#include "common/model/spec.h"
#include "common/net/form.h"
#include "common/net/url.h"

enum { TEXT_BYTES_MAX = 1024 };

#define OAUTH2_MEMBER(member, max, text, secret)                                                   \
    {#member, offsetof(struct oauth2_grant, member), max, text, secret}

static const struct member members[] = {
    OAUTH2_MEMBER(token_url, SPEC_URL_BYTES_MAX, MEMBER_VISIBLE, false),
    OAUTH2_MEMBER(client_id, TEXT_BYTES_MAX, MEMBER_PRINTABLE, false),
    OAUTH2_MEMBER(scope, TEXT_BYTES_MAX, MEMBER_PRINTABLE, false),
    OAUTH2_MEMBER(audience, TEXT_BYTES_MAX, MEMBER_PRINTABLE, false),
    OAUTH2_MEMBER(client_secret, SPEC_SECRET_BYTES_MAX, MEMBER_PRINTABLE, true),
};

static const struct members oauth2_members = {"oauth2", "token_url, client_id and client_secret",
                                              members, sizeof members / sizeof *members};

static int oauth2_check(const struct oauth2_grant *g, const struct spec_rules *rules,
                        struct error *err) {
    if (!g->token_url)
        return error_set_field(err, "oauth2.token_url", "is missing");
    if (!g->client_id)
        return error_set_field(err, "oauth2.client_id", "is missing");
    if (!g->client_secret)
        return error_set_field(err, "oauth2.client_secret", "is missing");
    return url_check("oauth2.token_url", g->token_url, rules->allowed, rules->allowed_count, err);
}

struct oauth2_grant *oauth2_grant_new(struct json_object *value, const struct spec_rules *rules,
                                      struct error *err) {
    struct oauth2_grant *g = mem_zero(sizeof *g);
    if (members_take(&oauth2_members, g, value, rules, err) == 0 &&
        oauth2_check(g, rules, err) == 0)
        return g;
    oauth2_grant_free(g);
    return NULL;
}

void oauth2_grant_free(struct oauth2_grant *g) {
    if (!g)
        return;
    members_wipe(&oauth2_members, g);
    free(g);
}

void oauth2_grant_to_json(const struct oauth2_grant *g, bool secrets, struct buf *out) {
    members_to_json(&oauth2_members, g, secrets, out);
}

bool oauth2_grant_put_secrets(const struct oauth2_grant *g, struct buf *out) {
    return members_put_secrets(&oauth2_members, g, out);
}

void oauth2_grant_put_form(const struct oauth2_grant *g, struct buf *out) {
    form_put(out, "grant_type", span_of("client_credentials"));
    if (g->scope)
        form_put(out, "scope", span_of(g->scope));
    if (g->audience)
        form_put(out, "audience", span_of(g->audience));
}

void oauth2_grant_put_authorization(const struct oauth2_grant *g, struct buf *out) {
    struct buf pair = {0};
    form_put_encoded(&pair, span_of(g->client_id));
    buf_puts(&pair, ":");
    form_put_encoded(&pair, span_of(g->client_secret));
    buf_puts(out, "Basic ");
    base64_put(out, (const unsigned char *)pair.data, pair.len);
    buf_wipe(&pair);
}
