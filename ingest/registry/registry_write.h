/* A registry write: records about one subscriber, appended to ess.subscribers in order. The write
 * is done once every record has been read back. A record without a known produce outcome is found
 * by reading the topic. Loop thread only. */
#ifndef ESS_INGEST_REGISTRY_WRITE_H
#define ESS_INGEST_REGISTRY_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/span.h"

struct ingest;
struct registry_write;
struct registry_writes; /* all writes of one ingest */
struct registry_entry;
struct kafka_record;

struct registry_writes *registry_writes_new(void);
/* Every write must have ended. NULL is allowed. */
void registry_writes_free(struct registry_writes *writes);
/* Ends every write as REGISTRY_WRITE_UNKNOWN, because ess.subscribers is no longer read. */
void registry_writes_end(struct registry_writes *writes);

enum registry_write_fate {
    REGISTRY_WRITE_DONE, /* every record is in the log */
    /* Kafka refused at least one record; every record that Kafka took was read back */
    REGISTRY_WRITE_FAILED,
    REGISTRY_WRITE_UNKNOWN, /* the outcome of at least one record is not known */
};

struct registry_write_result {
    enum registry_write_fate fate;
    int64_t generation; /* offset of the last record; -1 unless REGISTRY_WRITE_DONE */
    /* Another writer's records landed between the state that the write was based on and the write.
     * The registry keeps the other records, but in the log ours shadow them: append them again by
     * registry_writer_restore, or repeat the write on top. */
    bool keys_overtaken; /* another keys record of the same registration landed between */
    /* The subscriber was deleted or registered again: the spec or tombstone found no spec of the
     * registration. */
    bool spec_overtaken;
    const char *reason; /* NULL when REGISTRY_WRITE_DONE */
};

/* `registration_id` is the registration expected in force; "": nothing is compared. `keys_base` is
 * the offset of the keys record that the write was based on; -1: no keys record. */
struct registry_write *registry_write_new(struct ingest *ingest, const char *id,
                                          const char *registration_id, int64_t keys_base);
/* The write is overtaken unless the spec record in force has this offset. */
void registry_write_expect_spec(struct registry_write *write, int64_t offset);
/* Adds a record, copied. A value without data makes a tombstone. At most 6 records. */
void registry_write_add(struct registry_write *write, const char *key, struct span value);

/* Appends the records. `late` (may be NULL) is called once when the write takes longer than a
 * client should wait. `done` is called once at the end, never from within this call; then the
 * write is freed. */
void registry_write_send(struct registry_write *write, void (*late)(void *arg),
                         void (*done)(void *arg, const struct registry_write_result *result),
                         void *arg);

/* Frees a write that was not sent. NULL is allowed. */
void registry_write_drop(struct registry_write *write);

/* Whether a write about this subscriber is under way. */
bool registry_write_pending(const struct registry_writes *writes, const char *id);

/* Called by the registry for each record read: registry_write_find before the record changes the
 * entry (NULL: no entry), registry_write_was_read afterwards. `write` may be NULL. */
struct registry_write *registry_write_find(struct registry_writes *writes, const char *id,
                                           const struct kafka_record *record,
                                           const struct registry_entry *entry);
/* Whether the registry must ignore the record that registry_write_find found. `write` may be
 * NULL. */
bool registry_write_overtaken(const struct registry_write *write);
void registry_write_was_read(struct registry_write *write, int64_t offset);

#endif
