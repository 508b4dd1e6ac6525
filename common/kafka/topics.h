/* The four topics: created by ingest when missing, checked when present. All functions block: for a
 * loop_task. */
#ifndef ESS_KAFKA_TOPICS_H
#define ESS_KAFKA_TOPICS_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/kafka/config.h"

enum topics_state {
    TOPICS_READY,
    /* No broker answers, or a topic is missing and may not be created here: retry. err says
     * which. */
    TOPICS_AWAY,
    /* A topic has a shape that ESS cannot work on; err says what to do. */
    TOPICS_REFUSED,
};

/* The result of the check. */
struct topics {
    struct buf warnings;           /* a line per setting that differs from ESS's own */
    int64_t record_bytes_max;      /* max.message.bytes of the events; Kafka's default if no broker
                                      reports it */
    int32_t subscriber_partitions; /* of subscribers and of tokens */
};

/* Takes a few seconds at most. The caller frees `found->warnings`. */
enum topics_state topics_ensure(const struct kafka_config *config, bool create,
                                struct topics *found, struct error *err);

#endif
