/* Checks access tokens of requests; see authenticator.h. */
#include "common/http/authenticator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/http/origin.h"

enum { LATER_RETRY_S = 1, TOKEN_BYTES_MAX = 4096 };

struct authenticator {
    struct authenticator_options options;
    struct file_watch watch;
    struct principals principals;
};

static int read_principals(const struct authenticator *b, struct span text,
                           struct principals *principals, struct error *err) {
    return principals_from_yaml(principals, text, err) ? error_prefix(err, "%s:", b->options.file)
                                                       : 0;
}

static void authenticator_on_changed(void *arg, struct span content,
                                     const struct error *unreadable) {
    struct authenticator *b = arg;
    struct principals principals;
    struct error err;
    if (unreadable) {
        error_set(&err, "%s: %s", b->options.file, unreadable->message);
    } else if (read_principals(b, content, &principals, &err) == 0) {
        principals_keep_same(&principals, &b->principals);
        principals_fini(&b->principals);
        b->principals = principals;
        b->options.reloaded(b->options.arg, principals.count, NULL);
        return;
    }
    b->options.reloaded(b->options.arg, b->principals.count, &err);
}

struct authenticator *authenticator_new(const struct authenticator_options *options,
                                        struct error *err) {
    struct authenticator *b = mem_zero(sizeof *b);
    struct buf text = {0};
    b->options = *options;
    if (!*options->file)
        return b;
    int result = file_read(options->file, PRINCIPALS_FILE_BYTES_MAX, &text, err)
                     ? error_prefix(err, "%s: ", options->file)
                     : 0;
    if (result == 0)
        result = read_principals(b, (struct span){buf_string(&text), text.len}, &b->principals,
                                 err);
    if (result == 0)
        file_watch_init(&b->watch, options->loop, options->file, PRINCIPALS_FILE_BYTES_MAX,
                        (struct span){text.data, text.len}, authenticator_on_changed, b);
    buf_fini(&text);
    if (result == 0)
        return b;
    authenticator_free(b);
    return NULL;
}

void authenticator_free(struct authenticator *b) {
    if (!b)
        return;
    file_watch_fini(&b->watch);
    principals_fini(&b->principals);
    free(b);
}

/* --- requests */

/* Whether there is an auth.file. Without auth.file no access token is needed. */
static bool authenticator_required(const struct authenticator *b) { return *b->options.file; }

static bool authenticator_unauthorised(struct http_request *request, const char *challenge,
                                       const char *reason) {
    struct error err;
    error_set(&err, "%s", reason);
    http_answer_header(request, "WWW-Authenticate", challenge);
    http_problem(request, 401, &err, NULL, 0);
    return false;
}

static bool authenticator_invalid(struct http_request *request, const char *reason) {
    return authenticator_unauthorised(request, "Bearer realm=\"ess\", error=\"invalid_token\"",
                                      reason);
}

/* The token in "Bearer <token>", or NULL. */
static const char *token_of(const char *header) {
    size_t scheme = strcspn(header, " ");
    const char *token = header + scheme + strspn(header + scheme, " ");
    size_t len = strlen(token);
    if (scheme != 6 || strncasecmp(header, "Bearer", 6) != 0 || len == 0 || len > TOKEN_BYTES_MAX ||
        strchr(token, ' '))
        return NULL;
    return token;
}

static bool authenticator_expired(const struct principal *principal) {
    return principal->expires_ms >= 0 && principal->expires_ms <= clock_wall_ms();
}

static void authenticator_release(void *principal) { principal_release(principal); }

static bool authenticator_identify(struct authenticator *b, struct http_request *request) {
    const char *header = http_request_header(request, "Authorization");
    const char *token = header ? token_of(header) : NULL;
    unsigned char digest[PRINCIPAL_DIGEST_BYTES];
    bool later = false;
    struct error err;
    if (!header)
        return authenticator_unauthorised(
            request, "Bearer realm=\"ess\"",
            "an access token is needed: Authorization: Bearer <token>");
    if (!token)
        return authenticator_invalid(request, "Authorization must be: Bearer <token>");
    principal_digest(span_of(token), digest);
    struct principal *principal = principals_find(&b->principals, digest);
    if (principal)
        principal_keep(principal);
    else if (b->options.find)
        principal = b->options.find(b->options.arg, digest, &later);
    if (later) {
        error_set(&err, "the subscriber of this access token is not known yet: Kafka is "
                        "away, or is still being read");
        http_problem(request, 503, &err, NULL, LATER_RETRY_S);
        return false;
    }
    if (!principal)
        return authenticator_invalid(request, "the access token is not known");
    http_request_set_data(request, principal, authenticator_release);
    return authenticator_expired(principal)
               ? authenticator_invalid(request, "the access token has expired")
               : true;
}

static bool admit_origin(const struct authenticator *b, struct http_request *request) {
    const struct authenticator_options *o = &b->options;
    struct error err;
    if (origin_check(http_request_header(request, "Host"), http_request_header(request, "Origin"),
                     http_request_header(request, "Sec-Fetch-Site"), o->hosts.items, o->hosts.count,
                     o->hosts_option, &err) == 0)
        return true;
    http_problem(request, 403, &err, NULL, 0);
    return false;
}

bool authenticator_admit(struct authenticator *b, struct http_request *request) {
    struct error err;
    int access = http_request_route(request)->access;
    if (access == AUTHENTICATOR_NO_RULE) {
        error_set(&err, "nobody may call this");
        http_problem(request, 403, &err, NULL, 0);
        return false;
    }
    if (access == AUTHENTICATOR_OPEN)
        return true;
    if (!authenticator_required(b))
        return admit_origin(b, request);
    if (!authenticator_identify(b, request))
        return false;
    if (access != AUTHENTICATOR_ADMIN ||
        authenticator_allows(b, request, SCOPE_ADMIN, span_of("*")))
        return true;
    authenticator_lacks(SCOPE_ADMIN, span_of(""), &err);
    authenticator_refuse(request, &err);
    return false;
}

const struct principal *authenticator_principal(const struct http_request *request) {
    return http_request_data(request);
}

bool authenticator_allows(const struct authenticator *b, const struct http_request *request,
                          enum scope_kind kind, struct span pattern) {
    const struct principal *principal = authenticator_principal(request);
    return !authenticator_required(b) ||
           (principal && scopes_allow(principal->scopes, principal->scopes_count, kind, pattern));
}

bool authenticator_in_force(const struct authenticator *b, const struct http_request *request) {
    const struct principal *principal = authenticator_principal(request);
    bool later = false;
    if (!authenticator_required(b))
        return true;
    if (!principal || authenticator_expired(principal))
        return false;
    if (!*principal->subscriber)
        return principals_find(&b->principals, principal->digest) == principal;
    struct principal *now = b->options.find(b->options.arg, principal->digest, &later);
    bool same = later || (now && principal_equal(now, principal));
    principal_release(now);
    return same;
}

void authenticator_lapsed(struct http_request *request) {
    authenticator_invalid(request,
                          "the access token is no longer in force, or no longer allows the same");
}

void authenticator_refuse_with(struct http_request *request, const struct error *err,
                               const char *extra) {
    http_answer_header(request, "WWW-Authenticate",
                       "Bearer realm=\"ess\", error=\"insufficient_scope\"");
    http_problem(request, 403, err, extra, 0);
}

void authenticator_refuse(struct http_request *request, const struct error *err) {
    authenticator_refuse_with(request, err, NULL);
}

int authenticator_lacks(enum scope_kind kind, struct span pattern, struct error *err) {
    return error_set(err, "the access token lacks the scope %s%s%.*s", scope_name(kind),
                     kind == SCOPE_ADMIN ? "" : ":", kind == SCOPE_ADMIN ? 0 : (int)pattern.len,
                     pattern.data);
}
