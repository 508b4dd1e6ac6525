/* The log's first record, at offset 0, names the feed: "<0>genesis/<uuid>". Real cursors begin at
 * 1. */
#ifndef ESS_FEED_GENESIS_H
#define ESS_FEED_GENESIS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/span.h"
#include "common/kafka/topics.h"

struct genesis {
    char feed[37];                 /* the uuid at offset 0 */
    int64_t end;                   /* the newest cursor at the time of reading; 0: none */
    int64_t record_bytes_max;      /* of the topic, set by begin.c */
    int32_t subscriber_partitions; /* decides where the records of each subscriber are; fixed for
                                      the life of the feed */
    int64_t recent; /* every event appended within feed_begin_options.window_ms is above this
                       cursor; at most `end` */
};

bool genesis_key(struct span kafka_key);
/* Whether a genesis record's key names this feed. */
bool genesis_names(struct span kafka_key, const char *feed);

/* The number of partitions in a genesis record's value; 64 if absent, as in older versions. */
int32_t genesis_partitions(struct span value);

/* Reads the genesis record of the events topic. Writes one with genesis->subscriber_partitions if
 * the log is empty and `create`. Blocks for a few seconds at most. TOPICS_AWAY: retry;
 * TOPICS_REFUSED: ESS did not begin this log. */
enum topics_state genesis_ensure(const struct kafka_config *config, bool create,
                                 struct genesis *genesis, struct error *err);

#endif
