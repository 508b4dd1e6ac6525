/* A subscriber's records in ess.subscribers: "<id>" is the spec, "<id>/keys" the sealed secrets and
 * the hash of the access token, "<id>/want" the desired state; for commands see command.h.
 * Dispatchers read no files: Kafka is the source of truth. Pure, any thread.
 *
 * Every record carries its registration id ("born"). A record with another registration id than the
 * current spec is void. To register an id, ingest first reserves the id with a record under the
 * unique key "<id>/claim/<registration id>": the first reservation in the log wins. (Of two specs,
 * compaction would keep the second.) A used reservation is removed. */
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
    /* Name of the access token that registered the subscriber; "" for a file, an admin, or an older
     * ESS. */
    char by[SUBSCRIBER_BY_BYTES];
    int64_t start; /* `from` as a cursor: delivery begins above */
    /* The file is gone. Once the file is back, delivery continues where it stopped. */
    bool removed;
    struct spec spec; /* without the secret; kept while removed */
};

/* Appends the record's value, header values sealed with the id as additional data. */
void subscriber_record_to_json(const struct subscriber_record *record,
                               const struct keyring *keyring, struct buf *out);
/* Reads a record. Returns -1 with `*newer` set for a higher v. Sets `*old_key` when an older key
 * sealed the record. End the spec by spec_fini. */
int subscriber_record_from_json(struct subscriber_record *record, const char *id, struct span text,
                                const struct keyring *keyring, bool *newer, bool *old_key,
                                struct error *err);

/* The keys record. */
struct subscriber_old_secret {
    char *secret;
    int64_t until_ms; /* wall: signs besides the new secret until then */
};
struct subscriber_keys {
    char registration_id[37];
    char *secret;                                                 /* clear text; never logged */
    struct subscriber_old_secret old[SUBSCRIBER_OLD_SECRETS_MAX]; /* newest first */
    size_t old_count;
    char token[SUBSCRIBER_TOKEN_HASH_BYTES]; /* hex SHA-256 of the access token; "" for none */
};
void subscriber_keys_to_json(const struct subscriber_keys *keys, const char *id,
                             const struct keyring *keyring, struct buf *out);
int subscriber_keys_from_json(struct subscriber_keys *keys, const char *id, struct span text,
                              const struct keyring *keyring, bool *newer, bool *old_key,
                              struct error *err);
void subscriber_keys_fini(struct subscriber_keys *keys); /* wipes the secrets */

/* The record of the desired state. */
struct subscriber_desired {
    char registration_id[37];
    bool paused;
};
void subscriber_desired_to_json(const struct subscriber_desired *desired, struct buf *out);
int subscriber_desired_from_json(struct subscriber_desired *desired, struct span text, bool *newer,
                                 struct error *err);

/* The kinds of Kafka keys in ess.subscribers. `id` is "" for CHECK and OTHER. */
enum subscriber_key {
    SUBSCRIBER_KEY_SPEC,
    SUBSCRIBER_KEY_KEYS,
    SUBSCRIBER_KEY_DESIRED,
    SUBSCRIBER_KEY_ACKNOWLEDGEMENT, /* "<id>/ack": see acknowledgement.h */
    SUBSCRIBER_KEY_COMMAND,         /* "<id>/cmd/<uuid>" */
    SUBSCRIBER_KEY_RESERVATION,     /* "<id>/claim/<registration id>" */
    SUBSCRIBER_KEY_CHECK,
    SUBSCRIBER_KEY_OTHER,
};
enum subscriber_key subscriber_key_parse(struct span key, char id[SPEC_ID_BYTES_MAX + 1]);

/* The sealed check record proves that a key file fits the data in Kafka. Key, and partition 0. */
#define SUBSCRIBER_CHECK_KEY "\0check"
enum { SUBSCRIBER_CHECK_KEY_BYTES = sizeof SUBSCRIBER_CHECK_KEY - 1 };
void subscriber_check_to_json(const struct keyring *keyring, struct buf *out);
/* Returns 0 when a key of the ring opens the record. */
int subscriber_check_from_json(struct span text, const struct keyring *keyring, bool *old_key,
                               struct error *err);
/* Id of the key that sealed the record, for the message about a missing key file. */
void subscriber_check_key_id(struct span text, char out[16]);

#endif
