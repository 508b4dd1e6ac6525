/* A call about one subscriber, /ess/subscribers/{id}…, that writes records and is answered 202 with
 * their generation once they were read back. Loop thread only. */
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
    struct http_request *request; /* NULL: its client has gone, or was answered */
    char id[SPEC_ID_BYTES_MAX + 1];
    char registration_id[37];
    struct buf answer;  /* members beside "generation"; wiped */
    int64_t generation; /* of what is already written; -1 */
    /* For a call that changes the keys: its change once more on top of keys that it has overtaken.
     */
    void (*again)(struct call *call, struct registry_entry *entry);
    void *data; /* the call's own, freed by free_data */
    void (*free_data)(void *data);
};

/* The entry that the request is about, when it is ready to be asked and the asking may know of it;
 * NULL: answered (503, 404). */
struct registry_entry *call_find(struct ingest *ingest, struct http_request *request);

/* The same of what is known, also while Kafka is away: for a call that only shows it. */
struct registry_entry *call_find_known(struct ingest *ingest, struct http_request *request);
/* Whether the subscribers are known at all; false: answered 503. */
bool call_knows(const struct ingest *ingest, struct http_request *request);

enum call_kind {
    CALL_COMMANDS, /* leaves what a file says as it is: for every subscriber */
    CALL_CHANGES,  /* for those made by the API */
    /* likewise, and for those whose file is gone; also for one whose spec cannot be read, but not
       for one of a newer version of ESS */
    CALL_DELETES,
};
/* Begins a call. NULL: answered (404, 400 for a query parameter, 409 for what is not of this kind,
 * or cannot be read). */
struct call *call_begin(struct ingest *ingest, struct http_request *request, enum call_kind kind);
/* Its entry, as long as that is the same registration. NULL: it is gone by now, the call is
 * answered and ended. */
struct registry_entry *call_entry(struct call *call);

/* End a call. */
void call_refuse(struct call *call, unsigned status, const struct error *err);
void call_forbid(struct call *call,
                 const struct error *err); /* 403, with the scope that is missing */
void call_changed(struct call *call);      /* 412: it is not what If-Match names */
void call_unavailable(struct call *call, const char *reason);
/* Sends the change; the call is answered and ended by what comes of it. */
void call_send(struct call *call, struct registry_write *write);

#endif
