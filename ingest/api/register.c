/* POST /register; see register.h. The start position is resolved first, then the records are
 * written. */
#include "ingest/api/register.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/access/access_token.h"
#include "common/base/clock.h"
#include "common/crypto/signature.h"
#include "common/json/writer.h"
#include "common/model/event.h"
#include "ingest/access/auth.h"
#include "ingest/ingest.h"
#include "ingest/registry/positions.h"
#include "ingest/registry/registration.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/warnings.h"

enum { RETRY_AFTER_S = 1 };

struct registering {
    struct ingest *ingest;
    struct http_request *request; /* NULL: the client has gone */
    struct spec spec;
    char by[SUBSCRIBER_BY_BYTES]; /* name of the access token; "" for an admin */
    char token[ACCESS_TOKEN_BYTES];
    int64_t start;
    struct registration *registration; /* NULL: not begun */
};

static void registering_free(struct registering *r) {
    spec_fini(&r->spec);
    OPENSSL_cleanse(r->token, sizeof r->token);
    free(r);
}

static void registering_refuse(struct registering *r, unsigned status, const struct error *err) {
    if (r->request)
        http_problem(r->request, status, err, NULL, status == 503 ? RETRY_AFTER_S : 0);
    registering_free(r);
}

static void registering_on_gone(void *arg) {
    struct registering *r = arg;
    r->request = NULL;
    /* the start position is being resolved */
    if (!r->registration)
        return;
    registration_disown(r->registration);
    registering_free(r);
}

static void registering_refuse_taken(struct registering *r) {
    struct error err;
    error_set_field(&err, "id", "%s is taken", r->spec.id);
    registering_refuse(r, 409, &err);
}

static void registering_put_secret(const struct spec *spec, struct buf *body) {
    struct error err;
    struct buf whsec = {0};
    signature_whsec(spec->secret, &whsec, &err); /* checked before */
    json_member_string(body, "secret", spec->secret);
    json_member_string(body, "whsec", buf_string(&whsec));
    buf_wipe(&whsec);
}

/* Names the call that a pulled subscriber gets its events by, so that a forgotten url shows. */
static void registering_put_next(const struct spec *spec, struct buf *body) {
    char path[SPEC_ID_BYTES_MAX + 32];
    snprintf(path, sizeof path, "/ess/subscribers/%s/next", spec->id);
    json_member_string(body, "next", path);
}

static void registering_answer(struct registering *r) {
    struct buf body = {0};
    json_put_object(&body);
    json_member_string(&body, "id", r->spec.id);
    (spec_is_pulled(&r->spec) ? registering_put_next : registering_put_secret)(&r->spec, &body);
    json_member_string(&body, "token", r->token);
    json_member_number(&body, "cursor", r->start);
    warnings_put(&r->spec, &body);
    json_end_object(&body);
    buf_puts(&body, "\n");
    http_answer(r->request, 201, "application/json", &body);
    registering_free(r);
}

static void registering_on_registered(void *arg, enum registration_outcome outcome,
                                      const char *reason) {
    struct registering *r = arg;
    struct error err;
    switch (outcome) {
    case REGISTRATION_IN_FORCE:
        registering_answer(r);
        break;
    case REGISTRATION_TAKEN:
        registering_refuse_taken(r);
        break;
    case REGISTRATION_FAILED:
        error_set(&err, "%s; the subscriber is not registered", reason);
        registering_refuse(r, 503, &err);
        break;
    }
}

static void registering_begin(struct registering *r, int64_t start) {
    char hash[ACCESS_TOKEN_HASH_BYTES];
    if (registry_in_force(registry_find(r->ingest->registry, r->spec.id))) {
        registering_refuse_taken(r);
        return;
    }
    access_token_make(r->token);
    access_token_hash(span_of(r->token), hash);
    r->start = start;
    r->registration = registration_begin(r->ingest, &r->spec, "api", r->by, hash, start,
                                         registering_on_registered, r);
}

static void registering_on_start(void *arg, const struct position *positions,
                                 const struct error *refused) {
    struct registering *r = arg;
    struct error err;
    if (refused) {
        registering_refuse(r, *refused->field ? 400 : 503, refused);
    } else if (!r->request || !ingest_ready(r->ingest)) {
        error_set(&err, "Kafka does not answer, or the subscribers have not been read yet");
        registering_refuse(r, 503, &err);
    } else {
        registering_begin(r, positions[0].value);
    }
}

static void registering_find_start(struct registering *r) {
    const struct position position = position_of_spec(r->ingest, &r->spec);
    positions_resolve(r->ingest, &position, 1, registering_on_start, r);
}

static void register_make_missing(struct spec *spec) {
    struct buf secret = {0};
    if (!*spec->id)
        uuid_v4(spec->id);
    if (spec->secret || spec_is_pulled(spec))
        return;
    signature_make_secret(&secret);
    spec->secret = buf_detach(&secret, NULL);
}

void register_handle(void *arg, struct http_request *request) {
    struct ingest *ingest = arg;
    struct spec_rules rules = ingest_spec_rules(ingest);
    struct error err;
    if (!http_request_no_query(request))
        return;
    rules.now_ms = clock_wall_ms();
    struct registering *r = mem_zero(sizeof *r);
    *r = (struct registering){.ingest = ingest, .request = request};
    if (spec_from_json(&r->spec, http_request_body(request), &rules, &err)) {
        registering_refuse(r, 400, &err);
    } else if (auth_register(ingest, request, &r->spec, &err)) {
        authenticator_refuse(request, &err);
        registering_free(r);
    } else if (auth_own_credentials(ingest, request, NULL, &r->spec, &err)) {
        registering_refuse(r, 403, &err);
    } else if (!ingest_ready(ingest)) {
        error_set(&err, "Kafka does not answer, or the subscribers have not been read yet");
        registering_refuse(r, 503, &err);
    } else if (auth_registers_more(ingest, request, &err)) {
        registering_refuse(r, 403, &err);
    } else {
        snprintf(r->by, sizeof r->by, "%s", auth_registrant(ingest, request));
        register_make_missing(&r->spec);
        http_request_on_gone(request, registering_on_gone, r);
        registering_find_start(r);
    }
}
