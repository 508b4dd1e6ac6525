/* Registers a subscriber: appends the keys and the spec. Of two registrations of one id at the
 * same moment the first in the log wins; the other leaves nothing in force. Loop thread only. */
#ifndef ESS_INGEST_REGISTRATION_H
#define ESS_INGEST_REGISTRATION_H

#include <stdint.h>

struct ingest;
struct registration;
struct spec;

enum registration_outcome {
    REGISTRATION_IN_FORCE,
    REGISTRATION_TAKEN, /* another registration has the id */
    /* Kafka is away or slow; a spec that still comes into force is deleted again */
    REGISTRATION_FAILED,
};

/* Begins a registration. `by` is the name of the access token that registers the subscriber; "":
 * no name is kept. `token_hash` is the hash of the subscriber's own access token; "": no token.
 * `start` is the cursor above which delivery begins. The spec, with id and secret, stays the
 * caller's and may be freed right after. `done` is called once, never from within this call, and
 * frees the registration. */
struct registration *registration_begin(
    struct ingest *ingest, const struct spec *spec, const char *source, const char *by,
    const char *token_hash, int64_t start,
    void (*done)(void *arg, enum registration_outcome outcome, const char *reason), void *arg);

/* The client has gone: `done` is not called. A spec that comes into force is deleted again,
 * because nobody knows the secret. */
void registration_disown(struct registration *registration);

#endif
