/* A subscriber's registration: its keys and its spec into the log, where of two that want one id at
 * the same moment the first counts. The other leaves nothing in force. Loop thread only. */
#ifndef ESS_INGEST_REGISTRATION_H
#define ESS_INGEST_REGISTRATION_H

#include <stdint.h>

struct ingest;
struct registration;
struct spec;

enum registration_outcome {
    REGISTRATION_IN_FORCE,
    REGISTRATION_TAKEN,  /* another has the id */
    REGISTRATION_FAILED, /* Kafka is away, or slow. What may still come into force is undone by
                            itself */
};

/* Begins one. `by` is the name of the access token that asks, "" for none that is to be remembered;
 * `token_hash` is the subscriber's own access token's, "" for none; `start` the cursor above which
 * delivery begins. The spec, with id and secret, stays the caller's and may go right after. `done`
 * is called once, never from within this call; the registration may not be used any more then. */
struct registration *registration_begin(
    struct ingest *ingest, const struct spec *spec, const char *source, const char *by,
    const char *token_hash, int64_t start,
    void (*done)(void *arg, enum registration_outcome outcome, const char *reason), void *arg);

/* Nobody waits for it any more: `done` is not called, and should it come into force, it is undone
 * (nobody knows its secret). */
void registration_disown(struct registration *registration);

#endif
