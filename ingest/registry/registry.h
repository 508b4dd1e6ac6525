/* The subscribers as ess.subscribers has them. Kafka is the truth: what is written counts once it
 * was read back.
 *
 * What this ingest wrote is compared with what it was made from when it is read back
 * (registry_write.h). Where another's record came between, ours is not taken here: whoever wrote it
 * is told, and writes what it hides in the log once more (registry_writer_restore). */
#ifndef ESS_INGEST_REGISTRY_H
#define ESS_INGEST_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "common/model/spec.h"
#include "common/model/subscriber.h"
#include "ingest/registry/command_ring.h"

struct ingest;
struct registry;

enum registry_record { REGISTRY_SPEC, REGISTRY_KEYS, REGISTRY_DESIRED, REGISTRY_RECORDS };

/* Why a record cannot be read. */
struct registry_fault {
    char *reason; /* with the place of the record; NULL: it can be read */
    int64_t offset;
};

struct registry_entry {
    UT_hash_handle hh;
    char id[SPEC_ID_BYTES_MAX + 1];
    /* its spec record */
    bool known;    /* one is there (else only other records are) */
    bool readable; /* and was understood: all of these hold */
    bool removed;  /* its file is gone */
    char registration_id[37];
    char *source;                 /* "api", or the file */
    char by[SUBSCRIBER_BY_BYTES]; /* the access token that registered it; "" for an admin's and a
                                     file's */
    int64_t start;
    int64_t generation; /* offset of the spec record */
    struct spec spec;   /* without its secret, which is among the keys */
    /* its keys; void unless they are of the same registration id, see registry_keys */
    struct subscriber_keys *keys;      /* NULL: none */
    UT_hash_handle by_token;           /* while the keys have an access token */
    int64_t keys_offset;               /* -1: none */
    struct subscriber_desired desired; /* registration_id "": none */
    struct command_ring commands;
    struct registry_fault faults[REGISTRY_RECORDS];
    bool newer;   /* the spec was written by a newer version of ESS */
    bool old_key; /* something is sealed by an older key of the file */
};

/* Begins to read ess.subscribers and ess.tokens. `loaded` is called once all is there; NULL with
 * the reason when librdkafka refuses. */
struct registry *registry_new(struct ingest *ingest, void (*loaded)(struct ingest *ingest),
                              struct error *err);
void registry_free(struct registry *registry);

struct registry_entry *registry_first(struct registry *registry); /* then entry->hh.next */
size_t registry_count(const struct registry *registry);
/* Counts the records about subscribers that were read: while it stays, so do all entries. */
uint64_t registry_version(const struct registry *registry);
struct registry_entry *registry_find(struct registry *registry, const char *id);

/* The subscriber in force whose access token has this hash (64 lower-case hex digits); NULL: none.
 */
struct registry_entry *registry_find_token(struct registry *registry, const char *hash);

/* Its spec is there, understood or not, and it was not removed: the id is taken. `entry` may be
 * NULL. */
bool registry_in_force(const struct registry_entry *entry);
/* Its keys, NULL when there are none of its registration. */
struct subscriber_keys *registry_keys(const struct registry_entry *entry);
/* API's, with its wanted state. */
bool registry_is_file(const struct registry_entry *entry);
bool registry_paused(const struct registry_entry *entry);

/* The value of the sealed check record; {NULL, 0} when there is none. */
struct span registry_check(const struct registry *registry);

#endif
