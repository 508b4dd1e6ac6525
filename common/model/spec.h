/* A subscriber's spec as written by its owner, in YAML or JSON, with one validator for both. Pure:
 * the caller reads a `secret_file`. Any thread. */
#ifndef ESS_MODEL_SPEC_H
#define ESS_MODEL_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"
#include "common/model/batch_limits.h"
#include "common/model/event_form.h"
#include "common/model/subscription.h"
#include "common/net/address.h"

struct json_object;
struct oauth2_grant;
struct sns_target;
struct tls_identity;

enum {
    SPEC_ID_BYTES_MAX = 64,
    SPEC_FILE_BYTES_MAX = 64 * 1024,
    SPEC_TOPICS_MAX = 100,
    SPEC_HEADERS_MAX = 32,
    SPEC_URL_BYTES_MAX = 2048,
    SPEC_SECRET_BYTES_MAX = 4096,
    SPEC_IN_FLIGHT_MAX = 1000,
};

enum spec_ordering { SPEC_STRICT, SPEC_KEY, SPEC_NONE };
enum spec_signed { SPEC_SIGNED_HMAC = 1, SPEC_SIGNED_ED25519 = 2 };
enum spec_from { SPEC_FROM_END, SPEC_FROM_BEGINNING, SPEC_FROM_CURSOR, SPEC_FROM_TIME };

struct spec_header {
    char *name;
    char *value;
};

struct spec {
    char id[SPEC_ID_BYTES_MAX + 1];
    char *url; /* NULL if absent */
    /* NULL if absent; without both the subscriber is pulled */
    struct sns_target *sns;
    struct tls_identity *tls;         /* NULL if absent */
    struct oauth2_grant *oauth2;      /* NULL if absent */
    struct subscription subscription; /* topics and filter, checked */
    char *filter;                     /* JSON without white space; NULL when left out */
    char *secret;                     /* NULL if absent */
    char *secret_file;                /* NULL if absent; files only */
    double throttle;                  /* events a second; 0: unlimited */
    enum spec_from from;
    int64_t from_value; /* a cursor, or milliseconds since 1970 */
    enum spec_ordering ordering;
    /* exhausted: dead_letter: every event is given up after its attempts. */
    bool dead_letters_all;
    int64_t max_in_flight;
    struct batch_limits batch;
    int64_t
        timeout_ms; /* this and the next five: -1 when left out (the dispatcher's default holds) */
    int64_t max_attempts;
    int64_t backoff_min_ms;
    int64_t backoff_max_ms;
    int64_t disable_after_ms;
    struct spec_header *headers;
    size_t headers_count;
    char *description;      /* NULL if absent */
    struct event_form form; /* format and content */
    unsigned signatures;    /* spec_signed bits; 0: as SPEC_SIGNED_HMAC */
    char *owner;            /* NULL if absent */
    bool adaptive;          /* the endpoint's rate is found by trying */
    bool handshake;         /* the endpoint gets nothing before it has answered a handshake */
    int64_t heartbeat_ms;   /* 0: none */
    int64_t expires_ms;     /* wall; 0: never */
};

/* The rules to check a spec by. */
struct spec_rules {
    const struct cidr *allowed; /* egress.allow */
    size_t allowed_count;
    bool from_file;       /* a YAML file: secret_file allowed, id and secret needed */
    bool from_record;     /* of Kafka: fields of a later version are passed over */
    bool has_signing_key; /* ESS has keys of its own, so that ed25519 may be asked for */
    /* Appends a file of at most `max` bytes that a YAML file names. NULL: no field may name a file
     * but secret_file, which the caller reads. */
    int (*read_file)(void *arg, const char *path, size_t max, struct buf *out, struct error *err);
    void *arg;
    int64_t now_ms; /* wall: `expires` must lie behind it; 0: it may lie anywhere */
};

/* Reads a YAML document. On failure err's message is "<line>: <field>: <reason>" (the caller
 * prefixes the file name). Anchors, aliases, tags, several documents, duplicate keys and depth
 * above JSON_DEPTH_MAX are refused. */
int spec_from_yaml(struct spec *spec, struct span text, const struct spec_rules *rules,
                   struct error *err);

/* Reads a json-c object whose JSON has passed json_scan. On failure err->field names the member,
 * and there is nothing to free. */
int spec_from_tree(struct spec *spec, struct json_object *tree, const struct spec_rules *rules,
                   struct error *err);

/* Reads a JSON object, scanned or not. On failure err->field names the member. */
int spec_from_json(struct spec *spec, struct span text, const struct spec_rules *rules,
                   struct error *err);

/* Appends the spec as a JSON object, members in a fixed order: every field not at its default,
 * without secret, secret_file and from. With `values` headers and the secrets of `sns`, `tls` and
 * `oauth2` are written whole, else as a list of names. Equal specs give equal bytes. */
void spec_to_json(const struct spec *spec, bool values, struct buf *out);
/* Puts the members of spec_to_json into an open object. */
void spec_put_members(const struct spec *spec, bool values, struct buf *out);

/* Appends an object of the field's secret members: of `sns`, `tls` or `oauth2`, the names of
 * spec_secret_fields. Returns whether there are any. */
bool spec_put_secrets(const struct spec *spec, const char *field, struct buf *out);
enum { SPEC_SECRET_FIELDS = 3 };
extern const char *const spec_secret_fields[SPEC_SECRET_FIELDS];

/* Whether the subscriber has no endpoint: its consumer asks for the events. */
bool spec_is_pulled(const struct spec *spec);

/* Whether spec_to_json writes equal bytes for both, header values and credentials included. */
bool spec_equal(const struct spec *a, const struct spec *b);
/* Whether both deliver to the same endpoint in the same way: url or sns, tls and oauth2,
 * credentials included. */
bool spec_same_endpoint(const struct spec *a, const struct spec *b);
/* Whether what is secret in one may be used for the other: the host and port of the endpoint are
 * the same, and for SNS the topic's account. */
bool spec_same_server(const struct spec *a, const struct spec *b);

void spec_fini(struct spec *spec); /* wipes the secret */

#endif
