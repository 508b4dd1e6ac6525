/* Who asks: the principals of auth.file, read again when it changes, and the access token of a
 * request. Without a file everybody may do everything, but a foreign web page in somebody's browser
 * may not (origin.h). Loop thread only.
 *
 * A service gives each route an access rule, and authenticator_admit as its admit (or calls it
 * there first). A route without a rule does not answer. */
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
    AUTHENTICATOR_NO_RULE, /* answers nobody */
    AUTHENTICATOR_OPEN,    /* anybody, without a token */
    AUTHENTICATOR_ADMIN,   /* the scope admin */
    AUTHENTICATOR_OWN, /* from here on: the service's own, anybody whose token is known gets so far
                        */
};

struct authenticator;

struct authenticator_options {
    struct loop *loop;
    const char *file;         /* auth.file; "" for none. Stays the caller's and must stay */
    struct option_list hosts; /* names by which the server is known; likewise */
    const char *hosts_option; /* in which they are given */
    /* The file has changed: it is in force with so many tokens, or (err not NULL) it is bad and the
     * last good one stays. */
    void (*reloaded)(void *arg, size_t tokens, const struct error *err);
    /* Beside the file's: a new reference to the principal of this token, or NULL. `*later` when it
     * cannot be known yet (503). May be NULL. */
    struct principal *(*find)(void *arg, const unsigned char digest[PRINCIPAL_DIGEST_BYTES],
                              bool *later);
    void *arg;
};

/* NULL, with "<file>:<line>: <field>: <reason>", when the file cannot be read or is bad. */
struct authenticator *authenticator_new(const struct authenticator_options *options,
                                        struct error *err);
void authenticator_free(struct authenticator *authenticator);

/* Whether there is a file: without one nobody is asked who he is. */
bool authenticator_required(const struct authenticator *authenticator);

/* Lets a request pass by its route's rule; false: it has been answered with 401, 403 or 503. */
bool authenticator_admit(struct authenticator *authenticator, struct http_request *request);

/* The principal under which a request was admitted; NULL where there is no file, and of an open
 * route's request. */
const struct principal *authenticator_principal(const struct http_request *request);

/* Whether whoever asked may do this; true where there is no file. `pattern` is a topic or a checked
 * pattern. */
bool authenticator_allows(const struct authenticator *authenticator,
                          const struct http_request *request, enum scope_kind kind,
                          struct span pattern);

/* Whether a request's principal is in force to this moment: for answers that last. */
bool authenticator_in_force(const struct authenticator *authenticator,
                            const struct http_request *request);
/* Answers 401: it is not. */
void authenticator_lapsed(struct http_request *request);

/* Answers 403 and says which scope the token lacks. */
void authenticator_refuse(struct http_request *request, const struct error *err);
/* The same with members of http_problem's `extra`. */
void authenticator_refuse_with(struct http_request *request, const struct error *err,
                               const char *extra);
/* "the access token lacks the scope read:drug.*"; returns -1. */
int authenticator_lacks(enum scope_kind kind, struct span pattern, struct error *err);

#endif
