/* The four topics: made by ingest when missing, checked when present. Everything here blocks: for a
 * loop_task. */
#ifndef ESS_KAFKA_TOPICS_H
#define ESS_KAFKA_TOPICS_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/kafka/config.h"

enum topics_state {
    TOPICS_READY,
    TOPICS_AWAY,    /* no broker answers, or (when they may not be made here) one is missing: try
                       again; err says which */
    TOPICS_REFUSED, /* one exists with a shape that ESS cannot work on; err says what to do */
};

/* What was found. */
struct topics {
    struct buf warnings; /* one line for each setting that differs from what ESS would have made */
    int64_t
        record_bytes_max; /* max.message.bytes of the events; Kafka's default where nobody tells */
    int32_t subscriber_partitions; /* of subscribers and of tokens */
};

/* A few seconds at most. The caller frees `found->warnings`. */
enum topics_state topics_ensure(const struct kafka_config *config, bool create,
                                struct topics *found, struct error *err);

#endif
