/* Access tokens of requests; see bearer.h. */
#include "common/http/bearer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/http/origin.h"

enum { LATER_RETRY_S = 1, TOKEN_BYTES_MAX = 4096 };

struct bearer {
    struct bearer_options options;
    struct file_watch watch;
    struct grants grants;
};

static int read_grants(const struct bearer *b, struct span text, struct grants *grants,
                       struct error *err) {
    return grants_from_yaml(grants, text, err) ? error_prefix(err, "%s:", b->options.file) : 0;
}

static void on_changed(void *arg, struct span content, const struct error *unreadable) {
    struct bearer *b = arg;
    struct grants grants;
    struct error err;
    if (unreadable) {
        error_set(&err, "%s: %s", b->options.file, unreadable->message);
    } else if (read_grants(b, content, &grants, &err) == 0) {
        grants_keep_same(&grants, &b->grants);
        grants_fini(&b->grants);
        b->grants = grants;
        b->options.reloaded(b->options.arg, grants.count, NULL);
        return;
    }
    b->options.reloaded(b->options.arg, b->grants.count, &err);
}

struct bearer *bearer_new(const struct bearer_options *options, struct error *err) {
    struct bearer *b = mem_zero(sizeof *b);
    struct buf text = {0};
    b->options = *options;
    if (!*options->file)
        return b;
    int result = file_read(options->file, GRANTS_FILE_BYTES_MAX, &text, err)
                     ? error_prefix(err, "%s: ", options->file)
                     : 0;
    if (result == 0)
        result = read_grants(b, (struct span){buf_string(&text), text.len}, &b->grants, err);
    if (result == 0)
        file_watch_init(&b->watch, options->loop, options->file, GRANTS_FILE_BYTES_MAX,
                        (struct span){text.data, text.len}, on_changed, b);
    buf_fini(&text);
    if (result == 0)
        return b;
    bearer_free(b);
    return NULL;
}

void bearer_free(struct bearer *b) {
    if (!b)
        return;
    file_watch_fini(&b->watch);
    grants_fini(&b->grants);
    free(b);
}

bool bearer_required(const struct bearer *b) { return *b->options.file; }

/* --- requests */

static bool unauthorised(struct http_request *request, const char *challenge, const char *reason) {
    struct error err;
    error_set(&err, "%s", reason);
    http_answer_header(request, "WWW-Authenticate", challenge);
    http_problem(request, 401, &err, NULL, 0);
    return false;
}

static bool invalid(struct http_request *request, const char *reason) {
    return unauthorised(request, "Bearer realm=\"ess\", error=\"invalid_token\"", reason);
}

/* The token of "Bearer <token>"; NULL when it is not that. */
static const char *token_of(const char *header) {
    size_t scheme = strcspn(header, " ");
    const char *token = header + scheme + strspn(header + scheme, " ");
    size_t len = strlen(token);
    if (scheme != 6 || strncasecmp(header, "Bearer", 6) != 0 || len == 0 || len > TOKEN_BYTES_MAX ||
        strchr(token, ' '))
        return NULL;
    return token;
}

static bool expired(const struct grant *grant) {
    return grant->expires_ms >= 0 && grant->expires_ms <= clock_wall_ms();
}

static void release(void *grant) { grant_release(grant); }

static bool identify(struct bearer *b, struct http_request *request) {
    const char *header = http_request_header(request, "Authorization");
    const char *token = header ? token_of(header) : NULL;
    unsigned char digest[GRANT_DIGEST_BYTES];
    bool later = false;
    struct error err;
    if (!header)
        return unauthorised(request, "Bearer realm=\"ess\"",
                            "an access token is needed: Authorization: Bearer <token>");
    if (!token)
        return invalid(request, "Authorization must be: Bearer <token>");
    grant_digest(span_of(token), digest);
    struct grant *grant = grants_find(&b->grants, digest);
    if (grant)
        grant_keep(grant);
    else if (b->options.find)
        grant = b->options.find(b->options.arg, digest, &later);
    if (later) {
        error_set(&err, "which subscriber's this access token is cannot be told yet: Kafka is "
                        "away, or is still being read");
        http_problem(request, 503, &err, NULL, LATER_RETRY_S);
        return false;
    }
    if (!grant)
        return invalid(request, "the access token is not known");
    http_request_set_data(request, grant, release);
    return expired(grant) ? invalid(request, "the access token has expired") : true;
}

static bool admit_origin(const struct bearer *b, struct http_request *request) {
    const struct bearer_options *o = &b->options;
    struct error err;
    if (origin_check(http_request_header(request, "Host"), http_request_header(request, "Origin"),
                     http_request_header(request, "Sec-Fetch-Site"), o->hosts.items, o->hosts.count,
                     o->hosts_option, &err) == 0)
        return true;
    http_problem(request, 403, &err, NULL, 0);
    return false;
}

bool bearer_admit(struct bearer *b, struct http_request *request) {
    struct error err;
    int access = http_request_route(request)->access;
    if (access == BEARER_NO_RULE) {
        error_set(&err, "nobody may call this");
        http_problem(request, 403, &err, NULL, 0);
        return false;
    }
    if (access == BEARER_OPEN)
        return true;
    if (!bearer_required(b))
        return admit_origin(b, request);
    if (!identify(b, request))
        return false;
    if (access != BEARER_ADMIN || bearer_allows(b, request, SCOPE_ADMIN, span_of("*")))
        return true;
    bearer_lacks(SCOPE_ADMIN, span_of(""), &err);
    bearer_refuse(request, &err);
    return false;
}

const struct grant *bearer_grant(const struct http_request *request) {
    return http_request_data(request);
}

bool bearer_allows(const struct bearer *b, const struct http_request *request, enum scope_kind kind,
                   struct span pattern) {
    const struct grant *grant = bearer_grant(request);
    return !bearer_required(b) ||
           (grant && scopes_allow(grant->scopes, grant->scopes_count, kind, pattern));
}

bool bearer_in_force(const struct bearer *b, const struct http_request *request) {
    const struct grant *grant = bearer_grant(request);
    bool later = false;
    if (!bearer_required(b))
        return true;
    if (!grant || expired(grant))
        return false;
    if (!*grant->subscriber)
        return grants_find(&b->grants, grant->digest) == grant;
    struct grant *now = b->options.find(b->options.arg, grant->digest, &later);
    bool same = later || (now && grant_equal(now, grant));
    grant_release(now);
    return same;
}

void bearer_lapsed(struct http_request *request) {
    invalid(request, "the access token is no longer in force, or no longer allows the same");
}

void bearer_refuse_with(struct http_request *request, const struct error *err, const char *extra) {
    http_answer_header(request, "WWW-Authenticate",
                       "Bearer realm=\"ess\", error=\"insufficient_scope\"");
    http_problem(request, 403, err, extra, 0);
}

void bearer_refuse(struct http_request *request, const struct error *err) {
    bearer_refuse_with(request, err, NULL);
}

int bearer_lacks(enum scope_kind kind, struct span pattern, struct error *err) {
    return error_set(err, "the access token lacks the scope %s%s%.*s", scope_name(kind),
                     kind == SCOPE_ADMIN ? "" : ":", kind == SCOPE_ADMIN ? 0 : (int)pattern.len,
                     pattern.data);
}
