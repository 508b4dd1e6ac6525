/* Records about one subscriber on their way into ess.subscribers: appended in order, and done once
 * all were read back, by whatever the log put between them and what they were made from. A record
 * that Kafka may or may not have taken is found by reading too. Loop thread only. */
#ifndef ESS_INGEST_CHANGE_H
#define ESS_INGEST_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/span.h"

struct ingest;
struct change;
struct changes; /* those of one ingest */
struct registry_entry;
struct table_record;

struct changes *changes_new(void);
/* All must have ended. NULL is allowed. */
void changes_free(struct changes *changes);
/* The records are no longer read: all end as unknown. */
void changes_end(struct changes *changes);

enum change_fate {
    CHANGE_READ,    /* all of it is in the log */
    CHANGE_FAILED,  /* Kafka has not taken it, or not all of it (what it has was read) */
    CHANGE_UNKNOWN, /* nobody knows */
};

struct change_result {
    enum change_fate fate;
    int64_t generation; /* offset of its last record; -1 unless CHANGE_READ */
    /* Between what it was made from and itself the log has others' records. These are in force in
     * the registry, and hidden in the log by this change's: write them again (records_restore), or
     * with this change on top. */
    bool keys_overtaken; /* other keys of the same registration */
    bool spec_overtaken; /* it was deleted, or is another's: the spec, or tombstone, met nothing of
                            the registration it was for */
    const char *reason;  /* NULL when CHANGE_READ */
};

/* registration id: of the spec in force that it is for; "": there is none, nothing is compared.
 * `keys_base`: offset of the keys record that it was made from; -1: none. */
struct change *change_new(struct ingest *ingest, const char *id, const char *registration_id,
                          int64_t keys_base);
/* It counts only on top of the spec record at this offset: another before it, and it is overtaken.
 */
void change_expect_spec(struct change *change, int64_t offset);
/* The next record, copied; a value without data is a tombstone. At most 6. */
void change_add(struct change *change, const char *key, struct span value);

/* Appends them. `late` (may be NULL) is called once when it takes longer than a client should wait;
 * `done` once at the end, never from within this call, and the change is freed after it. */
void change_send(struct change *change, void (*late)(void *arg),
                 void (*done)(void *arg, const struct change_result *result), void *arg);

/* Instead of sending it. NULL is allowed. */
void change_drop(struct change *change);

/* Whether records of this subscriber are on their way. */
bool change_pending(const struct changes *changes, const char *id);

/* For whoever reads ess.subscribers, before a record takes hold of the entry (NULL: none), and
 * after that: */
struct change *change_find(struct changes *changes, const char *id,
                           const struct table_record *record, const struct registry_entry *entry);
/* What was found is not to be taken. `change` may be NULL. */
bool change_overtaken(const struct change *change);
void change_was_read(struct change *change, int64_t offset); /* `change` may be NULL */

#endif
