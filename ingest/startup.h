/* From nothing to ready: topics, genesis, the log's tail, the subscribers, the key that seals their
 * secrets. Waits for Kafka as long as it takes, and begins anew when the log turns out to be
 * another. */
#ifndef ESS_INGEST_STARTUP_H
#define ESS_INGEST_STARTUP_H

struct ingest;

void startup_begin(struct ingest *ingest);
/* Frees what startup made. */
void startup_undo(struct ingest *ingest);

#endif
