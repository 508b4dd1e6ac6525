/* Reservations of ids. When several ingests register one id at the same moment, the first
 * reservation in the log wins. Every reservation has a key of its own in ess.subscribers, so
 * compaction keeps all of them. A tombstone removes a used reservation. Loop thread only. */
#ifndef ESS_INGEST_RESERVATIONS_H
#define ESS_INGEST_RESERVATIONS_H

#include <stdbool.h>

#include "common/model/spec.h"

struct reservations; /* all reservations of one ingest */
struct ingest;
struct kafka_record;

enum {
    RESERVATIONS_KEY_BYTES = SPEC_ID_BYTES_MAX + 7 + 36 + 1,
    /* how long after appending its reservation an ingest may append the spec */
    RESERVATIONS_USE_MS = 5000,
    /* How long a reservation blocks others: by then the spec is in the log, or never will be. */
    RESERVATIONS_LIVE_MS = 15000,
    RESERVATIONS_STALE_MS = 60000, /* an older reservation was left behind by an ingest that died */
};

struct reservations *reservations_new(void);
void reservations_free(struct reservations *reservations); /* NULL is allowed */

void reservations_key(const char *id, const char *registration_id,
                      char out[RESERVATIONS_KEY_BYTES]);

/* Takes a reservation's record or tombstone. `past`: in the log before this ingest began to
 * read. */
void reservations_read(struct reservations *reservations, const char *id,
                       const struct kafka_record *record, bool past);

/* Whether the reservation was read back with no other live reservation of the id before. */
bool reservations_first(const struct reservations *reservations, const char *id,
                        const char *registration_id);

/* Appends a tombstone for one reservation; reservations_tidy does so for every stale one. */
void reservations_drop(struct ingest *ingest, const char *id, const char *registration_id);
void reservations_tidy(struct ingest *ingest);

#endif
