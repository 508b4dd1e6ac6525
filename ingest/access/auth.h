/* Authorisation in ess-ingest. auth_admit applies the route's rule before the body is read.
 * Handlers call the other functions once the topics or the subscriber of a call are known. Without
 * auth.file everything is allowed. Loop thread only.
 *
 * A handler answers a missing right by authenticator_refuse(request, &err): 403 and the missing
 * scope. */
#ifndef ESS_INGEST_AUTH_H
#define ESS_INGEST_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/base/span.h"
#include "common/http/authenticator.h"
#include "common/model/subscription.h"

struct http_request;
struct ingest;
struct registry_entry;
struct spec;

/* Values of http_route.access, besides AUTHENTICATOR_OPEN and AUTHENTICATOR_ADMIN: the right that
 * auth_admit demands, then the handler's own check. */
enum auth_access {
    AUTH_PUBLISH = AUTHENTICATOR_OWN, /* a publish scope; auth_publish for each topic */
    AUTH_READ,                        /* a read scope, or a subscriber's own token; auth_read */
    AUTH_REGISTER,   /* a register scope; auth_register, or auth_sees for each listed subscriber */
    AUTH_SUBSCRIBER, /* a register scope or the own token of subscriber {id}; auth_sees */
    AUTH_REPLACE,    /* a register scope; auth_sees, and auth_register of the new spec */
};

/* The bearer's `find`: a subscriber's own token may read the topics that its subscriber has now. */
struct principal *auth_find_own(void *arg, const unsigned char digest[PRINCIPAL_DIGEST_BYTES],
                                bool *later);

/* The server's `admit`. */
bool auth_admit(void *arg, struct http_request *request);

/* Whether the request's principal is an admin. */
bool auth_is_admin(const struct ingest *ingest, const struct http_request *request);

/* Whether the principal may publish an event with this topic and id, both checked. Ids are one
 * name space: an id made from another topic's cursor needs a publish scope for that topic. Returns
 * 0, or -1 with the missing scope. */
int auth_publish(const struct ingest *ingest, const struct http_request *request, const char *topic,
                 const char *id, struct error *err);

/* Whether the principal may read the subscription's topics. A subscription without patterns gets
 * every pattern that the principal may read. Returns 0, or -1 with the missing scope. */
int auth_read(const struct ingest *ingest, const struct http_request *request,
              struct subscription *subscription, struct error *err);

/* Whether every pattern of the spec is within a register scope of the principal. Returns 0, or -1
 * with the missing scope. */
int auth_register(const struct ingest *ingest, const struct http_request *request,
                  const struct spec *spec, struct error *err);

/* The name of the request's access token, kept with each subscriber that the token registers. ""
 * for an admin, and without auth.file. */
const char *auth_registrant(const struct ingest *ingest, const struct http_request *request);

/* Whether ingest.max_subscribers_per_token allows the access token another subscriber. Returns 0,
 * or -1 with the reason. */
int auth_registers_more(const struct ingest *ingest, const struct http_request *request,
                        struct error *err);

/* Checks whether the principal may have ess-dispatcher publish to SNS with the dispatcher's own
 * credentials, if the spec wants that. An admin may. Others may for topics of sns.own_credentials,
 * or if the old spec did so already (`old`; NULL: a new subscriber). Returns 0, or -1 blaming
 * "sns.access_key_id". */
int auth_own_credentials(const struct ingest *ingest, const struct http_request *request,
                         const struct spec *old, const struct spec *spec, struct error *err);

/* Whether the principal owns the subscriber: an admin, the subscriber's own token, or the access
 * token that registered the subscriber. */
bool auth_owns(const struct ingest *ingest, const struct http_request *request,
               const struct registry_entry *entry);

/* Whether the principal may see and command the subscriber: as its owner, or with register scopes
 * for all topics of a subscriber that was made by the API and has no registering token. Answer 404
 * otherwise. */
bool auth_sees(const struct ingest *ingest, const struct http_request *request,
               const struct registry_entry *entry);

#endif
