/* The records that ess-ingest writes about subscribers; see registry.h for the reading. Loop thread
 * only. */
#ifndef ESS_INGEST_RECORDS_H
#define ESS_INGEST_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/model/spec.h"
#include "common/model/subscriber.h"

struct change;
struct ingest;
struct registry;
struct registry_entry;

/* Add to a change: the spec record of a registration; the keys record; tombstones for all that a
 * subscriber has but its commands, the spec's last, so that whoever registers the id anew comes
 * after all of them. */
void records_add_spec(const struct ingest *ingest, struct change *change,
                      const struct subscriber_record *record);
void records_add_keys(const struct ingest *ingest, struct change *change, const char *id,
                      const struct subscriber_keys *keys);
void records_add_tombstones(struct change *change, const char *id);

/* The entry's record as it would be with this spec. The spec stays the caller's. The entry must be
 * readable. */
struct subscriber_record records_of(const struct registry_entry *entry, const struct spec *spec);

/* These write and wait for nobody; what did not get there is logged, and made good by the folder's
 * next scan or at the next start. The first writes only what differs from the entry, and returns
 * whether something does (`spec` with its secret). */
bool records_update(struct ingest *ingest, const struct registry_entry *entry,
                    const struct spec *spec, const char *source);
void records_remove(struct ingest *ingest, const struct registry_entry *entry);
void records_delete(struct ingest *ingest, const struct registry_entry *entry);
/* A change was overtaken: brings the log back to what the registry says of the id. */
void records_restore(struct ingest *ingest, const char *id);

/* A tombstone for one key of the id. */
void records_erase(struct ingest *ingest, const char *id, const char *key);

/* Seals anew what an older key sealed. */
void records_tidy(struct ingest *ingest);

/* Appends a new check record, sealed by the ring's first key. */
void records_write_check(struct ingest *ingest);

#endif
