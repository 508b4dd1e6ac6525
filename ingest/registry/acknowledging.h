/* Writes what the consumers of pulled subscribers acknowledge. Each subscriber has one record under
 * way at a time, with the highest cursor acknowledged so far, and ACKNOWLEDGING_PER_S records a
 * second in the long run. A record counts once it was read back. Loop thread only. */
#ifndef ESS_INGEST_ACKNOWLEDGING_H
#define ESS_INGEST_ACKNOWLEDGING_H

#include <stdbool.h>
#include <stdint.h>

struct ingest;
struct registry_entry;

enum { ACKNOWLEDGING_PER_S = 20 };

/* Acknowledges everything up to `cursor`. `done` is called once, never from within this call:
 * `refused` is NULL when the record is in Kafka and was read back, or when the registration is
 * gone. Returns false, and `done` is not called, while Kafka is too slow. */
bool acknowledging_add(struct ingest *ingest, struct registry_entry *entry, int64_t cursor,
                       void (*done)(void *arg, const char *refused), void *arg);

/* Refuses the calls that wait. Call before registry_free. */
void acknowledging_end(struct ingest *ingest);

#endif
