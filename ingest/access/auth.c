/* Authorisation; see auth.h. */
#include "ingest/access/auth.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/hex.h"
#include "common/model/event.h"
#include "common/model/sns_grant.h"
#include "common/model/sns_target.h"
#include "common/model/spec.h"
#include "ingest/ingest.h"
#include "ingest/registry/registry.h"

struct principal *auth_find_own(void *arg, const unsigned char digest[PRINCIPAL_DIGEST_BYTES],
                                bool *later) {
    struct ingest *ingest = arg;
    char hex[2 * PRINCIPAL_DIGEST_BYTES + 1];
    hex_put(digest, PRINCIPAL_DIGEST_BYTES, hex);
    const struct registry_entry *entry = ingest_knows_subscribers(ingest)
                                             ? registry_find_token(ingest->registry, hex)
                                             : NULL;
    /* the record of the token may not have been read yet */
    *later = !entry && !ingest_ready(ingest);
    if (!entry)
        return NULL;
    const struct subscription none = {0},
                              *reads = entry->readable ? &entry->spec.subscription : &none;
    struct principal *principal = principal_new(reads->patterns_count);
    memcpy(principal->digest, digest, sizeof principal->digest);
    memcpy(principal->subscriber, entry->id, sizeof entry->id);
    memcpy(principal->registration_id, entry->registration_id, sizeof principal->registration_id);
    for (size_t i = 0; i < reads->patterns_count; i++)
        principal->scopes[i] = scope_of(SCOPE_READ, span_of(reads->patterns[i]));
    return principal;
}

/* --- by the route */

static bool auth_lacks(struct http_request *request, enum scope_kind kind) {
    struct error err;
    authenticator_lacks(kind, span_of("<pattern>"), &err);
    authenticator_refuse(request, &err);
    return false;
}

/* To a subscriber's own token every other subscriber is unknown. */
static bool auth_admit_own(struct http_request *request, const struct principal *principal,
                           int access) {
    const char *id = http_request_segment(request, 0);
    struct error err;
    if (access == AUTH_READ)
        return true;
    if ((access == AUTH_SUBSCRIBER || access == AUTH_REPLACE) &&
        strcmp(principal->subscriber, id) != 0) {
        error_set(&err, "there is no subscriber %s", id);
        http_problem(request, 404, &err, NULL, 0);
        return false;
    }
    return access == AUTH_SUBSCRIBER ||
           auth_lacks(request, access == AUTH_PUBLISH ? SCOPE_PUBLISH : SCOPE_REGISTER);
}

bool auth_admit(void *arg, struct http_request *request) {
    struct ingest *ingest = arg;
    int access = http_request_route(request)->access;
    if (!authenticator_admit(ingest->service.authenticator, request))
        return false;
    const struct principal *principal = authenticator_principal(request);
    if (!principal || access < AUTHENTICATOR_OWN)
        return true;
    if (*principal->subscriber)
        return auth_admit_own(request, principal, access);
    enum scope_kind kind = access == AUTH_PUBLISH ? SCOPE_PUBLISH
                           : access == AUTH_READ  ? SCOPE_READ
                                                  : SCOPE_REGISTER;
    return scopes_have(principal->scopes, principal->scopes_count, kind) ||
           auth_lacks(request, kind);
}

/* --- by the topic or subscriber of a call */

bool auth_is_admin(const struct ingest *ingest, const struct http_request *request) {
    return authenticator_allows(ingest->service.authenticator, request, SCOPE_ADMIN, span_of("*"));
}

int auth_publish(const struct ingest *ingest, const struct http_request *request, const char *topic,
                 const char *id, struct error *err) {
    char other[TOPIC_BYTES_MAX + 1];
    if (!authenticator_allows(ingest->service.authenticator, request, SCOPE_PUBLISH,
                              span_of(topic)))
        return authenticator_lacks(SCOPE_PUBLISH, span_of(topic), err);
    if (!event_id_topic(id, other) ||
        authenticator_allows(ingest->service.authenticator, request, SCOPE_PUBLISH, span_of(other)))
        return 0;
    authenticator_lacks(SCOPE_PUBLISH, span_of(other), err);
    return error_prefix(err, "the id belongs to the topic %s: ", other);
}

int auth_read(const struct ingest *ingest, const struct http_request *request,
              struct subscription *s, struct error *err) {
    const struct principal *principal = authenticator_principal(request);
    for (size_t i = 0; i < s->patterns_count; i++)
        if (!authenticator_allows(ingest->service.authenticator, request, SCOPE_READ,
                                  span_of(s->patterns[i])))
            return authenticator_lacks(SCOPE_READ, span_of(s->patterns[i]), err);
    if (s->patterns_count)
        return 0;
    if (authenticator_allows(ingest->service.authenticator, request, SCOPE_READ, span_of("*"))) {
        subscription_add(s, "*");
        return 0;
    }
    for (size_t i = 0; principal && i < principal->scopes_count; i++)
        if (principal->scopes[i].kind == SCOPE_READ)
            subscription_add(s, principal->scopes[i].pattern);
    return s->patterns_count ? 0 : authenticator_lacks(SCOPE_READ, span_of("<pattern>"), err);
}

int auth_register(const struct ingest *ingest, const struct http_request *request,
                  const struct spec *spec, struct error *err) {
    for (size_t i = 0; i < spec->subscription.patterns_count; i++)
        if (!authenticator_allows(ingest->service.authenticator, request, SCOPE_REGISTER,
                                  span_of(spec->subscription.patterns[i])))
            return authenticator_lacks(SCOPE_REGISTER, span_of(spec->subscription.patterns[i]),
                                       err);
    return 0;
}

const char *auth_registrant(const struct ingest *ingest, const struct http_request *request) {
    const struct principal *principal = authenticator_principal(request);
    return principal && !auth_is_admin(ingest, request) ? principal->name : "";
}

int auth_registers_more(const struct ingest *ingest, const struct http_request *request,
                        struct error *err) {
    const char *name = auth_registrant(ingest, request);
    int64_t count = 0, max = ingest->service.settings.ingest.max_subscribers_per_token;
    if (!*name || !max)
        return 0;
    for (const struct registry_entry *e = registry_first(ingest->registry); e; e = e->hh.next)
        count += registry_in_force(e) && strcmp(e->by, name) == 0;
    return count < max
               ? 0
               : error_set(err, "the access token already has %" PRId64 " subscribers, its limit",
                           count);
}

/* Whether the old spec published to the same topic with the dispatcher's own credentials. */
static bool auth_kept_credentials(const struct spec *old, const struct spec *spec) {
    return old && old->sns && !old->sns->access_key_id &&
           strcmp(old->sns->topic_arn, spec->sns->topic_arn) == 0 &&
           strcmp(old->sns->url, spec->sns->url) == 0;
}

int auth_own_credentials(const struct ingest *ingest, const struct http_request *request,
                         const struct spec *old, const struct spec *spec, struct error *err) {
    const struct option_list *granted = &ingest->service.settings.sns_own_credentials;
    if (!spec->sns || spec->sns->access_key_id || auth_is_admin(ingest, request) ||
        auth_kept_credentials(old, spec))
        return 0;
    for (size_t i = 0; i < granted->count; i++)
        if (sns_grant_covers(granted->items[i], spec->sns))
            return 0;
    return error_set_field(err, "sns.access_key_id",
                           "is missing: sns.own_credentials does not grant the dispatcher's own "
                           "credentials to this topic and endpoint");
}

bool auth_owns(const struct ingest *ingest, const struct http_request *request,
               const struct registry_entry *entry) {
    const struct principal *principal = authenticator_principal(request);
    if (auth_is_admin(ingest, request))
        return true;
    if (!principal || *principal->subscriber)
        return principal && strcmp(principal->subscriber, entry->id) == 0 &&
               strcmp(principal->registration_id, entry->registration_id) == 0;
    return *entry->by && strcmp(principal->name, entry->by) == 0;
}

bool auth_sees(const struct ingest *ingest, const struct http_request *request,
               const struct registry_entry *entry) {
    const struct principal *principal = authenticator_principal(request);
    struct error ignored;
    if (auth_is_admin(ingest, request) || (principal && *principal->subscriber))
        return auth_owns(ingest, request, entry);
    if (!entry->readable || registry_is_file(entry) ||
        (*entry->by && !auth_owns(ingest, request, entry)))
        return false;
    return auth_register(ingest, request, &entry->spec, &ignored) == 0;
}
