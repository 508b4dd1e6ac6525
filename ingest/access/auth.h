/* Who may do what in ess-ingest: each route's rule, decided before any of the body is read
 * (auth_admit), and what handlers ask once they know which topics or which subscriber a call is
 * about. Without auth.file everything is allowed. Loop thread only.
 *
 * A handler answers what is not allowed by authenticator_refuse(request, &err): 403, and the scope
 * that is missing. */
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

/* http_route.access; AUTHENTICATOR_OPEN and AUTHENTICATOR_ADMIN beside these. What the bearer must
 * have, and what the handler must ask then: */
enum auth_access {
    AUTH_PUBLISH = AUTHENTICATOR_OWN, /* a publish scope; auth_publish of each topic */
    AUTH_READ,                        /* a read scope, or a subscriber's own token; auth_read */
    AUTH_REGISTER,   /* a register scope; auth_register, or auth_sees of each that is listed */
    AUTH_SUBSCRIBER, /* a register scope or the own token of the subscriber {id}; auth_sees */
    AUTH_REPLACE,    /* a register scope; auth_sees, and auth_register of what it is to become */
};

/* Reads auth.file. Returns 0, or -1 with file, line and field. */
int auth_open(struct ingest *ingest, struct error *err);
void auth_close(struct ingest *ingest);

/* The server's `admit`. */
bool auth_admit(void *arg, struct http_request *request);

/* Whether the bearer may do everything. */
bool auth_is_admin(const struct ingest *ingest, const struct http_request *request);

/* Whether it may publish an event of this checked topic and id. Ids are one name space: one that is
 * made of another topic's cursor is of those who may publish there. Returns 0, or -1 with the scope
 * that is missing. */
int auth_publish(const struct ingest *ingest, const struct http_request *request, const char *topic,
                 const char *id, struct error *err);

/* Whether whoever asks may read what the subscription wants. Where it has no pattern, the patterns
 * of all that may be read are added to it. Returns 0, or -1 with the scope that the access token
 * lacks.
 */
int auth_read(const struct ingest *ingest, const struct http_request *request,
              struct subscription *subscription, struct error *err);

/* Whether it may register a subscriber with this spec: every pattern of it is within a register
 * scope. Returns 0, or -1 with the scope that is missing. */
int auth_register(const struct ingest *ingest, const struct http_request *request,
                  const struct spec *spec, struct error *err);

/* The name of the access token that asks, which is remembered with what it registers; "" for an
 * admin's, and where there is no auth.file. */
const char *auth_registrant(const struct ingest *ingest, const struct http_request *request);

/* Whether that token may register one more, by ingest.max_subscribers_per_token. Returns 0, or -1
 * with the reason. */
int auth_registers_more(const struct ingest *ingest, const struct http_request *request,
                        struct error *err);

/* Whether this subscriber is its own: an admin's, the one whose token it is, or one that it has
 * registered itself. */
bool auth_owns(const struct ingest *ingest, const struct http_request *request,
               const struct registry_entry *entry);

/* Whether it may know of this subscriber, and command it: it is its own, or was made by the API and
 * all its topics are within a register scope; one that another token has registered is that one's.
 * Whoever may not is told 404. */
bool auth_sees(const struct ingest *ingest, const struct http_request *request,
               const struct registry_entry *entry);

#endif
