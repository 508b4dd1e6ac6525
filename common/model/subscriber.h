/* A subscriber's records in ess.subscribers: "<id>" is the spec, "<id>/keys" its sealed secret. Dispatchers need no files:
 * Kafka is the one truth. Pure, any thread. */
#ifndef ESS_MODEL_SUBSCRIBER_H
#define ESS_MODEL_SUBSCRIBER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"
#include "common/model/seal.h"
#include "common/model/spec.h"

enum { SUBSCRIBER_VERSION = 1, SUBSCRIBER_SOURCE_BYTES = 512 };

/* The spec record. */
struct subscriber_record {
    char born[37]; /* made at registration, kept through every later spec; records of another are void */
    char source[SUBSCRIBER_SOURCE_BYTES]; /* "api", or the file */
    int64_t start;                        /* the cursor that `from` was resolved to: delivery begins above it */
    bool removed;                         /* its file was taken away; put back, it goes on where it stopped */
    struct spec spec;                     /* without its secret; of a removed one too */
};

/* Appends the record's value. Header values are sealed with the id as additional data. */
void subscriber_record_to_json(const struct subscriber_record *record, const struct keyring *keyring, struct buf *out);
/* Reads one. `*newer` (a higher v) comes with -1. `*old_key` tells that an older key sealed it. The spec is the caller's:
 * spec_fini. */
int subscriber_record_from_json(struct subscriber_record *record, const char *id, struct span text, const struct keyring *keyring, bool *newer,
                                bool *old_key, struct error *err);

/* The keys record. */
struct subscriber_keys {
    char born[37];
    char *secret; /* in clear; never logged */
};
void subscriber_keys_to_json(const struct subscriber_keys *keys, const char *id, const struct keyring *keyring, struct buf *out);
int subscriber_keys_from_json(struct subscriber_keys *keys, const char *id, struct span text, const struct keyring *keyring, bool *newer,
                              bool *old_key, struct error *err);
void subscriber_keys_fini(struct subscriber_keys *keys); /* wipes the secret */

/* What a Kafka key of ess.subscribers is about. */
enum subscriber_key { SUBSCRIBER_KEY_SPEC, SUBSCRIBER_KEY_KEYS, SUBSCRIBER_KEY_CHECK, SUBSCRIBER_KEY_OTHER };
enum subscriber_key subscriber_key_parse(struct span key, char id[SPEC_ID_BYTES_MAX + 1]);

/* The sealed check record proves that a key file fits what is in Kafka. Its key, and partition 0. */
#define SUBSCRIBER_CHECK_KEY "\0check"
enum { SUBSCRIBER_CHECK_KEY_BYTES = sizeof SUBSCRIBER_CHECK_KEY - 1 };
void subscriber_check_to_json(const struct keyring *keyring, struct buf *out);
/* Returns 0 when a key of the ring opens it. */
int subscriber_check_from_json(struct span text, const struct keyring *keyring, bool *old_key, struct error *err);
/* The id of the key that sealed it, for the message when there is no key file. */
void subscriber_check_key_id(struct span text, char out[16]);

#endif
