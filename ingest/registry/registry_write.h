/* Records about one subscriber on their way into ess.subscribers: appended in order, and done once
 * all were read back, by whatever the log put between them and what they were made from. A record
 * that Kafka may or may not have taken is found by reading too. Loop thread only. */
#ifndef ESS_INGEST_REGISTRY_WRITE_H
#define ESS_INGEST_REGISTRY_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/span.h"

struct ingest;
struct registry_write;
struct registry_writes; /* those of one ingest */
struct registry_entry;
struct table_record;

struct registry_writes *registry_writes_new(void);
/* All must have ended. NULL is allowed. */
void registry_writes_free(struct registry_writes *writes);
/* The records are no longer read: all end as unknown. */
void registry_writes_end(struct registry_writes *writes);

enum registry_write_fate {
    REGISTRY_WRITE_DONE,    /* all of it is in the log */
    REGISTRY_WRITE_FAILED,  /* Kafka has not taken it, or not all of it (what it has was read) */
    REGISTRY_WRITE_UNKNOWN, /* nobody knows */
};

struct registry_write_result {
    enum registry_write_fate fate;
    int64_t generation; /* offset of its last record; -1 unless REGISTRY_WRITE_DONE */
    /* Between what it was made from and itself the log has others' records. These are in force in
     * the registry, and hidden in the log by this change's: write them again
     * (registry_writer_restore), or with this change on top. */
    bool keys_overtaken; /* other keys of the same registration */
    bool spec_overtaken; /* it was deleted, or is another's: the spec, or tombstone, met nothing of
                            the registration it was for */
    const char *reason;  /* NULL when REGISTRY_WRITE_DONE */
};

/* registration id: of the spec in force that it is for; "": there is none, nothing is compared.
 * `keys_base`: offset of the keys record that it was made from; -1: none. */
struct registry_write *registry_write_new(struct ingest *ingest, const char *id,
                                          const char *registration_id, int64_t keys_base);
/* It counts only on top of the spec record at this offset: another before it, and it is overtaken.
 */
void registry_write_expect_spec(struct registry_write *write, int64_t offset);
/* The next record, copied; a value without data is a tombstone. At most 6. */
void registry_write_add(struct registry_write *write, const char *key, struct span value);

/* Appends them. `late` (may be NULL) is called once when it takes longer than a client should wait;
 * `done` once at the end, never from within this call, and the change is freed after it. */
void registry_write_send(struct registry_write *write, void (*late)(void *arg),
                         void (*done)(void *arg, const struct registry_write_result *result),
                         void *arg);

/* Instead of sending it. NULL is allowed. */
void registry_write_drop(struct registry_write *write);

/* Whether records of this subscriber are on their way. */
bool registry_write_pending(const struct registry_writes *writes, const char *id);

/* For whoever reads ess.subscribers, before a record takes hold of the entry (NULL: none), and
 * after that: */
struct registry_write *registry_write_find(struct registry_writes *writes, const char *id,
                                           const struct table_record *record,
                                           const struct registry_entry *entry);
/* What was found is not to be taken. `change` may be NULL. */
bool registry_write_overtaken(const struct registry_write *write);
void registry_write_was_read(struct registry_write *write,
                             int64_t offset); /* `change` may be NULL */

#endif
