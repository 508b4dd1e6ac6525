/* A subscriber's records in ess.subscribers: "<id>" is the spec, "<id>/keys" its sealed secrets and
 * the hash of its access token, "<id>/want" its wanted state; its commands are command.h's.
 * Dispatchers need no files: Kafka is the one truth. Pure, any thread.
 *
 * Every record carries the registration id of its registration. One of another registration id than
 * the spec in force is void. Whoever wants to register an id claims it first by
 * "<id>/claim/<born>", a key that is nobody else's: of two claims the one that stands first in the
 * log counts. (Of two specs compaction would keep only the second.) A claim is taken away when it
 * has served. */
#ifndef ESS_MODEL_SUBSCRIBER_H
#define ESS_MODEL_SUBSCRIBER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"
#include "common/crypto/seal.h"
#include "common/model/spec.h"

enum {
    SUBSCRIBER_VERSION = 1,
    SUBSCRIBER_SOURCE_BYTES = 512,
    SUBSCRIBER_BY_BYTES = 65,
    SUBSCRIBER_OLD_SECRETS_MAX = 4,
    SUBSCRIBER_TOKEN_HASH_BYTES = 65,
};

/* The spec record. */
struct subscriber_record {
    /* Made at registration, kept by every later spec. Records with another one are void. */
    char registration_id[37];
    char source[SUBSCRIBER_SOURCE_BYTES]; /* "api", or the file */
    char by[SUBSCRIBER_BY_BYTES]; /* the access token that registered it, by its name; "": a file,
                                     an admin, or an older ESS */
    int64_t start;    /* the cursor that `from` was resolved to: delivery begins above it */
    bool removed;     /* its file was taken away; put back, it goes on where it stopped */
    struct spec spec; /* without its secret; of a removed one too */
};

/* Appends the record's value. Header values are sealed with the id as additional data. */
void subscriber_record_to_json(const struct subscriber_record *record,
                               const struct keyring *keyring, struct buf *out);
/* Reads one. `*newer` (a higher v) comes with -1. `*old_key` tells that an older key sealed it. The
 * spec is the caller's: spec_fini. */
int subscriber_record_from_json(struct subscriber_record *record, const char *id, struct span text,
                                const struct keyring *keyring, bool *newer, bool *old_key,
                                struct error *err);

/* The keys record. */
struct subscriber_old_secret {
    char *secret;
    int64_t until_ms; /* wall: it signs beside the new one before */
};
struct subscriber_keys {
    char registration_id[37];
    char *secret;                                                 /* in clear; never logged */
    struct subscriber_old_secret old[SUBSCRIBER_OLD_SECRETS_MAX]; /* newest first */
    size_t old_count;
    char token[SUBSCRIBER_TOKEN_HASH_BYTES]; /* hex SHA-256 of its access token; "" for none */
};
void subscriber_keys_to_json(const struct subscriber_keys *keys, const char *id,
                             const struct keyring *keyring, struct buf *out);
int subscriber_keys_from_json(struct subscriber_keys *keys, const char *id, struct span text,
                              const struct keyring *keyring, bool *newer, bool *old_key,
                              struct error *err);
void subscriber_keys_fini(struct subscriber_keys *keys); /* wipes the secrets */

/* The record of the wanted state. */
struct subscriber_desired {
    char registration_id[37];
    bool paused;
};
void subscriber_desired_to_json(const struct subscriber_desired *desired, struct buf *out);
int subscriber_desired_from_json(struct subscriber_desired *desired, struct span text, bool *newer,
                                 struct error *err);

/* What a Kafka key of ess.subscribers is about. `id` is "" for CHECK and OTHER. */
enum subscriber_key {
    SUBSCRIBER_KEY_SPEC,
    SUBSCRIBER_KEY_KEYS,
    SUBSCRIBER_KEY_DESIRED,
    SUBSCRIBER_KEY_COMMAND,     /* "<id>/cmd/<uuid>" */
    SUBSCRIBER_KEY_RESERVATION, /* "<id>/claim/<born>" */
    SUBSCRIBER_KEY_CHECK,
    SUBSCRIBER_KEY_OTHER,
};
enum subscriber_key subscriber_key_parse(struct span key, char id[SPEC_ID_BYTES_MAX + 1]);

/* The sealed check record proves that a key file fits what is in Kafka. Its key, and partition 0.
 */
#define SUBSCRIBER_CHECK_KEY "\0check"
enum { SUBSCRIBER_CHECK_KEY_BYTES = sizeof SUBSCRIBER_CHECK_KEY - 1 };
void subscriber_check_to_json(const struct keyring *keyring, struct buf *out);
/* Returns 0 when a key of the ring opens it. */
int subscriber_check_from_json(struct span text, const struct keyring *keyring, bool *old_key,
                               struct error *err);
/* The id of the key that sealed it, for the message when there is no key file. */
void subscriber_check_key_id(struct span text, char out[16]);

#endif
