/* The records that ess-ingest writes about subscribers; see registry.h for the reading. Loop thread
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

/* Add to a change: the spec record of a registration; the keys record; tombstones for all that a
 * subscriber has but its commands, the spec's last, so that whoever registers the id anew comes
 * after all of them. */
void registry_writer_add_spec(const struct ingest *ingest, struct registry_write *write,
                              const struct subscriber_record *record);
void registry_writer_add_keys(const struct ingest *ingest, struct registry_write *write,
                              const char *id, const struct subscriber_keys *keys);
void registry_writer_add_tombstones(struct registry_write *write, const char *id);

/* The entry's record as it would be with this spec. The spec stays the caller's. The entry must be
 * readable. */
struct subscriber_record registry_writer_record(const struct registry_entry *entry,
                                                const struct spec *spec);

/* These write and wait for nobody; what did not get there is logged, and made good by the folder's
 * next scan or at the next start. The first writes only what differs from the entry, and returns
 * whether something does (`spec` with its secret). */
bool registry_writer_update(struct ingest *ingest, const struct registry_entry *entry,
                            const struct spec *spec, const char *source);
void registry_writer_remove(struct ingest *ingest, const struct registry_entry *entry);
void registry_writer_delete(struct ingest *ingest, const struct registry_entry *entry);
/* A change was overtaken: brings the log back to what the registry says of the id. */
void registry_writer_restore(struct ingest *ingest, const char *id);

/* A tombstone for one key of the id. */
void registry_writer_erase(struct ingest *ingest, const char *id, const char *key);

/* Seals anew what an older key sealed. */
void registry_writer_tidy(struct ingest *ingest);

/* Appends a new check record, sealed by the ring's first key. */
void registry_writer_write_check(struct ingest *ingest);

#endif
