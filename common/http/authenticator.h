/* Authenticates requests: the principals of auth.file, reloaded on change, and the access token of
 * a request. Without auth.file everything is allowed, except to foreign web pages (origin.h). Loop
 * thread only.
 *
 * A service gives each route an access rule, and uses authenticator_admit as `admit`, or calls it
 * there first. A route without a rule does not answer. */
#ifndef ESS_HTTP_AUTHENTICATOR_H
#define ESS_HTTP_AUTHENTICATOR_H

#include <stdbool.h>
#include <stddef.h>

#include "common/access/principal.h"
#include "common/base/error.h"
#include "common/base/loop.h"
#include "common/base/options.h"
#include "common/http/server.h"

/* http_route.access */
enum authenticator_access {
    AUTHENTICATOR_NO_RULE, /* refused to everyone */
    AUTHENTICATOR_OPEN,    /* allowed without a token */
    AUTHENTICATOR_ADMIN,   /* needs the scope admin */
    /* From here on, the service's own rules; any known token passes. */
    AUTHENTICATOR_OWN,
};

struct authenticator;

struct authenticator_options {
    struct loop *loop;
    const char *file;         /* auth.file, or ""; kept by the caller */
    struct option_list hosts; /* the server's names; kept by the caller */
    const char *hosts_option; /* option that sets `hosts` */
    /* Called after the file changed: in force with `tokens` tokens, or (err not NULL) bad, and the
     * last good one stays. */
    void (*reloaded)(void *arg, size_t tokens, const struct error *err);
    /* Finds a principal that is not in the file: a new reference, or NULL. Sets `*later` when the
     * answer is not known yet (503). May be NULL. */
    struct principal *(*find)(void *arg, const unsigned char digest[PRINCIPAL_DIGEST_BYTES],
                              bool *later);
    void *arg;
};

/* Returns NULL with "<file>:<line>: <field>: <reason>" for an unreadable or bad file. */
struct authenticator *authenticator_new(const struct authenticator_options *options,
                                        struct error *err);
void authenticator_free(struct authenticator *authenticator);

/* Checks a request by its route's rule. Returns false after answering 401, 403 or 503. */
bool authenticator_admit(struct authenticator *authenticator, struct http_request *request);

/* The principal of an admitted request; NULL without auth.file, and on open routes. */
const struct principal *authenticator_principal(const struct http_request *request);

/* Whether a request's principal allows this; true without auth.file. `pattern` is a topic or a
 * checked pattern. */
bool authenticator_allows(const struct authenticator *authenticator,
                          const struct http_request *request, enum scope_kind kind,
                          struct span pattern);

/* Whether a request's principal is still in force: for answers that last. */
bool authenticator_in_force(const struct authenticator *authenticator,
                            const struct http_request *request);
/* Answers 401 when the principal is no longer in force. */
void authenticator_lapsed(struct http_request *request);

/* Answers 403 and names the missing scope. */
void authenticator_refuse(struct http_request *request, const struct error *err);
/* authenticator_refuse with http_problem's `extra` members. */
void authenticator_refuse_with(struct http_request *request, const struct error *err,
                               const char *extra);
/* Sets "the access token lacks the scope read:drug.*". Returns -1. */
int authenticator_lacks(enum scope_kind kind, struct span pattern, struct error *err);

#endif
