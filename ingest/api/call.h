/* A call about one subscriber, /ess/subscribers/{id}…, to write records. The answer is 202 with
 * the generation, once the records have been read back. Loop thread only. */
#ifndef ESS_INGEST_CALL_H
#define ESS_INGEST_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/model/spec.h"

struct registry_write;
struct http_request;
struct ingest;
struct registry_entry;

struct call {
    struct ingest *ingest;
    struct http_request *request; /* NULL: the client has gone, or was answered */
    char id[SPEC_ID_BYTES_MAX + 1];
    char registration_id[37];
    struct buf answer;  /* members besides "generation"; wiped */
    int64_t generation; /* offset of the records written so far; -1: no record */
    /* For a call that changes the keys: repeats the change on top of the keys that the write has
     * shadowed. */
    void (*again)(struct call *call, struct registry_entry *entry);
    void *data; /* private to the call, freed by free_data */
    void (*free_data)(void *data);
};

/* The entry named in the request, if the principal may see the entry and the ingest is ready.
 * NULL: answered (503, 404). */
struct registry_entry *call_find(struct ingest *ingest, struct http_request *request);

/* Like call_find, but from the subscribers known so far, even without Kafka: for a call that only
 * shows an entry. */
struct registry_entry *call_find_known(struct ingest *ingest, struct http_request *request);
/* Whether the subscribers have been read. False: answered 503. */
bool call_knows(const struct ingest *ingest, struct http_request *request);

enum call_kind {
    CALL_COMMANDS, /* leaves the records of a file alone: allowed for every subscriber */
    CALL_CHANGES,  /* allowed for subscribers made by the API */
    /* Allowed for subscribers made by the API, for subscribers whose file is gone, and for
     * unreadable specs, unless a newer version of ESS wrote the spec. */
    CALL_DELETES,
};
/* Begins a call. NULL: answered (404; 400 for a query parameter; 409 for a subscriber of another
 * kind or with an unreadable spec). */
struct call *call_begin(struct ingest *ingest, struct http_request *request, enum call_kind kind);
/* The call's entry while the registration is the same. NULL: the subscriber is gone, and the call
 * was answered and freed. */
struct registry_entry *call_entry(struct call *call);

/* Answer and free a call. */
void call_refuse(struct call *call, unsigned status, const struct error *err);
void call_forbid(struct call *call, const struct error *err); /* 403 with the missing scope */
/* 412: the subscriber has changed since the ETag in If-Match */
void call_changed(struct call *call);
void call_unavailable(struct call *call, const char *reason);
/* 200 with the members in `answer`. */
void call_settle(struct call *call);
/* Sends the write; its result answers and frees the call. */
void call_send(struct call *call, struct registry_write *write);

#endif
