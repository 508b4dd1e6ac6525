/* Claims to ids: who of several that register one id at the same moment was first. They stand in
 * ess.subscribers under keys of their own, so that compaction never lets one hide another, and go
 * when they have served. Loop thread only. */
#ifndef ESS_INGEST_RESERVATIONS_H
#define ESS_INGEST_RESERVATIONS_H

#include <stdbool.h>

#include "common/model/spec.h"

struct reservations; /* those of one ingest */
struct ingest;
struct table_record;

enum {
    RESERVATIONS_KEY_BYTES = SPEC_ID_BYTES_MAX + 7 + 36 + 1,
    RESERVATIONS_USE_MS =
        5000, /* so long after it has sent its claim an ingest may send a spec under it */
    RESERVATIONS_LIVE_MS = 15000, /* so long a claim stands in the way of others: until that spec is
                               there, or will never be */
    RESERVATIONS_STALE_MS = 60000, /* one as old as this was left behind by an ingest that died */
};

struct reservations *reservations_new(void);
void reservations_free(struct reservations *reservations); /* NULL is allowed */

void reservations_key(const char *id, const char *registration_id,
                      char out[RESERVATIONS_KEY_BYTES]);

/* A claim's record, or its tombstone. `past`: it was in the log before this ingest began to read.
 */
void reservations_read(struct reservations *reservations, const char *id,
                       const struct table_record *record, bool past);

/* Whether no other's living claim to the id stands before this one, which was read. */
bool reservations_first(const struct reservations *reservations, const char *id,
                        const char *registration_id);

/* Takes a claim out of the log; and all that were left behind. */
void reservations_drop(struct ingest *ingest, const char *id, const char *registration_id);
void reservations_tidy(struct ingest *ingest);

#endif
