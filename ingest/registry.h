/* The subscribers as ess.subscribers has them, and the writing of new ones. Kafka is the truth: what is written counts once
 * it was read back. */
#ifndef ESS_INGEST_REGISTRY_H
#define ESS_INGEST_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "common/model/spec.h"
#include "common/model/subscriber.h"

struct ingest;
struct registry;

struct registry_entry {
    UT_hash_handle hh;
    char id[SPEC_ID_BYTES_MAX + 1];
    bool known;    /* its spec record was read (else it is only being written) */
    bool readable; /* and understood */
    char born[37];
    char *source; /* "api", or the file */
    int64_t start;
    bool removed;
    int64_t generation; /* offset of the spec record */
    char *content;      /* the spec with its header values, as spec_to_json writes it */
    char *secret;
    char keys_born[37];
    bool old_key;            /* sealed by an older key of the file */
    int64_t written;         /* offset of our last spec record, to be read back; -1: none */
    unsigned pending;        /* records of ours not yet reported */
    unsigned missing_scans;  /* the folder's: how often its file was not there */
};

/* Begins to read. `loaded` is called once all is there; NULL with the reason when librdkafka refuses. */
struct registry *registry_new(struct ingest *ingest, void (*loaded)(struct ingest *ingest), struct error *err);
void registry_free(struct registry *registry);
bool registry_loaded(const struct registry *registry);

struct registry_entry *registry_first(struct registry *registry); /* then entry->hh.next */
struct registry_entry *registry_find(struct registry *registry, const char *id);

/* The value of the sealed check record; {NULL, 0} when there is none. */
struct span registry_check(const struct registry *registry);
/* Appends a new check record, sealed by the ring's first key. */
void registry_write_check(struct registry *registry);

/* Brings the log to this spec (with its secret) when it differs; a new one's `from` is resolved now. Returns 1 when
 * something is being written (or an earlier write is not yet read back), 0 when all is as wanted, -1 with the reason. */
int registry_put(struct registry *registry, const struct spec *spec, const char *source, struct error *err);
/* Marks a subscriber of a file as removed. */
void registry_remove(struct registry *registry, struct registry_entry *entry);
/* Seals anew what an older key sealed. */
void registry_reseal(struct registry *registry);

#endif
