/* What makes a service ess-ingest: topics, genesis, the log's tail, the subscribers, the key that
 * seals their secrets. Waits for Kafka as long as it takes, and begins again when the log turns out
 * to be another. */
#ifndef ESS_INGEST_ROLE_H
#define ESS_INGEST_ROLE_H

#include "common/service/service.h"

/* `arg` is a struct ingest, whose `service` the service is. */
extern const struct service_role ingest_role;

#endif
