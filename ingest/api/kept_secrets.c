/* What a PUT keeps; see kept_secrets.h. */
#include "ingest/api/kept_secrets.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/json/json_string.h"
#include "common/json/json_walk.h"
#include "common/json/writer.h"
#include "common/model/oauth2_grant.h"
#include "common/model/sns_target.h"
#include "common/net/url.h"

enum { TEXT_BYTES = 2048 };

/* --- headers: a list of names, as shown, keeps the values */

struct names {
    const struct spec *old;
    struct buf *out;
};

static int kept_put_header(void *arg, size_t index, const struct json_element *element,
                           struct error *err) {
    struct names *n = arg;
    struct span value = element->value;
    char name[256];
    (void)index;
    if (element->kind != JSON_IS_STRING || json_unescape(value, name, sizeof name) < 0)
        return error_set_field(
            err, "headers",
            "must be a map of names and values, or a list of names that keep their values");
    for (size_t i = 0; i < n->old->headers_count; i++) {
        const struct spec_header *header = &n->old->headers[i];
        if (strcasecmp(header->name, name) != 0)
            continue;
        json_member_named(n->out, (struct span){value.data + 1, value.len - 2});
        json_put_string(n->out, header->value);
        return 0;
    }
    return error_set_field(err, "headers",
                           "%s has no value yet: give headers as a map of names and values", name);
}

static int kept_put_headers(struct kept_secrets *kept, struct span names, struct buf *out,
                            struct error *err) {
    struct names n = {.old = kept->old, .out = out};
    json_put_object(out);
    int result = json_scan_array(names, JSON_DEPTH_MAX, kept_put_header, &n, err);
    json_end_object(out);
    if (names.len > 2)
        kept->field = "headers";
    return result;
}

/* --- maps with secret members */

static const char *kept_key_id(const struct spec *old) { return old->sns->access_key_id; }
static const char *kept_client_id(const struct spec *old) { return old->oauth2->client_id; }

/* Secrets belong to a visible member of their field, the guard. They stay only while the guard is
 * there and, if it has an `old` text, has that text still. */
static const struct kept_rule {
    const char *field, *guard;
    const char *(*old)(const struct spec *old); /* of a spec that has the field's secrets */
} rules[] = {{"sns", "access_key_id", kept_key_id},
             {"tls", "certificate", NULL}, /* a renewed one may have the old key */
             {"oauth2", "client_id", kept_client_id}};

static const struct kept_rule *kept_find_rule(const struct json_member *member) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (member->kind == JSON_IS_OBJECT && span_equal(member->name, span_of(rules[i].field)))
            return &rules[i];
    return NULL;
}

/* The value of a member; empty if the object has no such member. */
static struct span kept_find(struct span object, struct span wanted) {
    struct json_walk walk;
    struct span name, value;
    for (json_walk_init(&walk, object); json_walk_member(&walk, &name, &value);)
        if (span_equal(name, wanted))
            return value;
    return (struct span){NULL, 0};
}

static bool kept_passes_guard(const struct kept_rule *rule, const struct spec *old,
                              struct span value) {
    char text[TEXT_BYTES];
    const struct span now = kept_find(value, span_of(rule->guard));
    if (!rule->old)
        return now.len > 0;
    return now.len && now.data[0] == '"' && json_unescape(now, text, sizeof text) >= 0 &&
           strcmp(text, rule->old(old)) == 0;
}

/* Puts the old secrets that `value` leaves out. Puts nothing if `value` has the first secret, to
 * which the others belong. Returns whether old secrets are kept. */
static bool kept_put_old(struct span secrets, struct span value, struct buf *out) {
    struct json_walk walk;
    struct span name, secret;
    bool any = false;
    for (json_walk_init(&walk, secrets); json_walk_member(&walk, &name, &secret); any = true) {
        bool given = kept_find(value, name).len > 0;
        if (given && !any)
            return false;
        if (given)
            continue;
        json_member_named(out, name);
        json_put_raw(out, secret);
    }
    return any;
}

static void kept_put_map(struct kept_secrets *kept, const struct kept_rule *rule, struct span value,
                         struct buf *out) {
    struct json_walk walk;
    struct span name, member;
    struct buf secrets = {0};
    json_put_object(out);
    for (json_walk_init(&walk, value); json_walk_member(&walk, &name, &member);) {
        if (span_equal(name, span_of("secrets")))
            continue;
        json_member_named(out, name);
        json_put_raw(out, member);
    }
    if (spec_put_secrets(kept->old, rule->field, &secrets) &&
        kept_passes_guard(rule, kept->old, value) &&
        kept_put_old((struct span){secrets.data, secrets.len}, value, out)) {
        kept->field = rule->field;
        kept->oauth2 |= strcmp(rule->field, "oauth2") == 0;
    }
    json_end_object(out);
    buf_wipe(&secrets);
}

/* --- the whole */

int kept_secrets_put_body(struct kept_secrets *kept, const struct spec *old,
                          const struct body *body, struct buf *out, struct error *err) {
    *kept = (struct kept_secrets){.old = old};
    json_put_object(out);
    for (size_t i = 0; i < body->count; i++) {
        const struct json_member *member = &body->members[i];
        const struct kept_rule *rule = kept_find_rule(member);
        if (span_equal(member->name, span_of("status")))
            continue;
        json_member_named(out, member->name);
        if (rule)
            kept_put_map(kept, rule, member->value, out);
        else if (member->kind != JSON_IS_ARRAY || !span_equal(member->name, span_of("headers")))
            json_put_raw(out, member->value);
        else if (kept_put_headers(kept, member->value, out, err))
            return -1;
    }
    json_end_object(out);
    return 0;
}

char *kept_secrets_shown_url(const char *url) {
    struct buf out = {0};
    url_mask(url, &out);
    return buf_detach(&out, NULL);
}

/* A URL as shown leaves the URL unchanged. */
static void kept_restore_url(char **url, const char *old) {
    char *shown = kept_secrets_shown_url(old);
    if (strcmp(*url, shown) == 0) {
        free(*url);
        *url = mem_copy_string(old, strlen(old));
    }
    free(shown);
}

static int kept_blame(const char *field, const char *because, struct error *err) {
    return error_set_field(err, field,
                           "must be given again, because %s: secrets are kept for one server only",
                           because);
}

int kept_secrets_check(const struct kept_secrets *kept, struct spec *spec, struct error *err) {
    const struct spec *old = kept->old;
    if (spec->url && old->url)
        kept_restore_url(&spec->url, old->url);
    if (spec->oauth2 && old->oauth2)
        kept_restore_url(&spec->oauth2->token_url, old->oauth2->token_url);
    if (kept->oauth2 && !url_same_server(spec->oauth2->token_url, old->oauth2->token_url))
        return kept_blame("oauth2.client_secret", "token_url has another host or port", err);
    if (spec_same_server(spec, old) || spec_is_pulled(spec) || (!kept->field && spec->secret))
        return 0;
    if (spec_is_pulled(old))
        return error_set_field(err, "secret", "is missing: a pulled subscriber has none to keep");
    return kept_blame(kept->field ? kept->field : "secret",
                      spec->sns ? "sns has another endpoint or account"
                                : "the url has another host or port",
                      err);
}
