/* The subscribers in ess.subscribers. Kafka is the truth: a record counts once it has been read
 * back.
 *
 * A record of ours is compared with the state that it was based on when it is read back
 * (registry_write.h). If another writer's record landed between, the registry ignores ours, and
 * the write's owner appends the shadowed record again (registry_writer_restore). */
#ifndef ESS_INGEST_REGISTRY_H
#define ESS_INGEST_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "common/model/acknowledgement.h"
#include "common/model/spec.h"
#include "common/model/subscriber.h"
#include "ingest/registry/command_ring.h"

struct ingest;
struct registry;

enum registry_record { REGISTRY_SPEC, REGISTRY_KEYS, REGISTRY_DESIRED, REGISTRY_RECORDS };

/* Why a record cannot be read. */
struct registry_fault {
    char *reason; /* names topic, partition and offset; NULL: the record can be read */
    int64_t offset;
};

struct registry_entry {
    UT_hash_handle hh;
    char id[SPEC_ID_BYTES_MAX + 1];
    bool known;    /* a spec record exists; otherwise only other records do */
    bool readable; /* the spec record was parsed: the members below are valid */
    bool removed;  /* the subscriber's file is gone */
    char registration_id[37];
    char *source; /* "api", or the path of the file */
    /* name of the access token that registered the subscriber; "" for an admin's or a file's */
    char by[SUBSCRIBER_BY_BYTES];
    int64_t start;
    int64_t generation; /* offset of the spec record */
    struct spec spec;   /* without the secret, which is in the keys */
    /* Valid only with the entry's registration id; see registry_keys. */
    struct subscriber_keys *keys;
    UT_hash_handle by_token;           /* linked while the keys hold an access token */
    int64_t keys_offset;               /* -1: no keys record */
    struct subscriber_desired desired; /* registration_id "": no such record */
    /* of a pulled subscriber; registration_id "": nothing acknowledged. `shadowed`: a newer record
     * in the log does not count, so this one must be appended again */
    struct acknowledgement acknowledged;
    bool acknowledged_shadowed;
    int64_t acknowledged_paced_ms; /* see acknowledging.c */
    struct command_ring commands;
    struct registry_fault faults[REGISTRY_RECORDS];
    bool newer;   /* the spec was written by a newer version of ESS */
    bool old_key; /* a record is sealed by an older key of the key file */
};

/* Begins to read ess.subscribers and ess.tokens. `loaded` is called once both were read to their
 * ends. Returns NULL with the reason when librdkafka refuses. */
struct registry *registry_new(struct ingest *ingest, void (*loaded)(struct ingest *ingest),
                              struct error *err);
void registry_free(struct registry *registry);

struct registry_entry *registry_first(struct registry *registry); /* then entry->hh.next */
size_t registry_count(const struct registry *registry);
/* Grows with every record read about a subscriber. The same version means unchanged entries. */
uint64_t registry_version(const struct registry *registry);
struct registry_entry *registry_find(struct registry *registry, const char *id);

/* Finds the subscriber in force by the hash of the access token (64 lower-case hex digits). NULL:
 * no such subscriber. */
struct registry_entry *registry_find_token(struct registry *registry, const char *hash);

/* Whether the id is taken: a spec record exists, readable or not, and the subscriber was not
 * removed. `entry` may be NULL. */
bool registry_in_force(const struct registry_entry *entry);
/* The keys of the entry's registration; NULL without. */
struct subscriber_keys *registry_keys(const struct registry_entry *entry);
/* Whether a file defines the subscriber. */
bool registry_is_file(const struct registry_entry *entry);
bool registry_paused(const struct registry_entry *entry);

/* The value of the sealed check record; {NULL, 0} without one. */
struct span registry_check(const struct registry *registry);

#endif
