/* Makes and appends ess-ingest's records about subscribers. The reader is registry.h. Loop thread
 * only. */
#ifndef ESS_INGEST_REGISTRY_WRITER_H
#define ESS_INGEST_REGISTRY_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/model/spec.h"
#include "common/model/subscriber.h"

struct registry_write;
struct ingest;
struct registry;
struct registry_entry;

/* Add records to a registry write: the spec record, the keys record, or tombstones for all records
 * of a subscriber except its commands. The spec's tombstone comes last, so a new registration of
 * the id follows all of them. */
void registry_writer_add_spec(const struct ingest *ingest, struct registry_write *write,
                              const struct subscriber_record *record);
void registry_writer_add_keys(const struct ingest *ingest, struct registry_write *write,
                              const char *id, const struct subscriber_keys *keys);
void registry_writer_add_tombstones(struct registry_write *write, const char *id);

/* The entry's spec record with another spec. The spec stays the caller's. The entry must be
 * readable. */
struct subscriber_record registry_writer_record(const struct registry_entry *entry,
                                                const struct spec *spec);

/* The functions below return before the records are in the log. A failure is logged; the folder's
 * next scan or the next start repairs it. registry_writer_update writes only the records that
 * differ from the entry, and returns whether any does; `spec` includes its secret. */
bool registry_writer_update(struct ingest *ingest, const struct registry_entry *entry,
                            const struct spec *spec, const char *source);
void registry_writer_remove(struct ingest *ingest, const struct registry_entry *entry);
void registry_writer_delete(struct ingest *ingest, const struct registry_entry *entry);
/* After an overtaken write: brings the log back to the registry's state of the id. */
void registry_writer_restore(struct ingest *ingest, const char *id);

/* Appends a tombstone for one key of the id. */
void registry_writer_erase(struct ingest *ingest, const char *id, const char *key);

/* Rewrites every record that an older key sealed, with the newest key. */
void registry_writer_tidy(struct ingest *ingest);

/* Appends a new check record, sealed by the keyring's first key. */
void registry_writer_write_check(struct ingest *ingest);

#endif
