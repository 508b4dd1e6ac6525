/* Reads a stretch of a partition, for a thread that may block: a task of the loop. A reader that
 * lives on the loop is consumer.h. */
#ifndef ESS_KAFKA_RANGE_H
#define ESS_KAFKA_RANGE_H

#include <stdbool.h>

#include "common/kafka/config.h"
#include "common/kafka/record.h"

/* A handle for reading. One thread at a time. */
struct range;

struct range *range_new(const struct kafka_config *config, struct error *err);
void range_free(struct range *range); /* NULL is allowed. Waits for nothing */

/* The offset of the partition's first record, and the one that its next record will have. Blocks
 * for 4 s at most. Returns 0 or -1. */
int range_bounds(struct range *range, const char *topic, int32_t partition, int64_t *first,
                 int64_t *next, struct error *err);

/* Calls `record` for each record from `from` on, below offset `to`, in order, until it returns
 * false. What the topic's retention or compaction took is passed over. Returns 0, or -1 when
 * nothing has come for 4 s. */
int range_read(struct range *range, const struct kafka_position *from, int64_t to,
               bool (*record)(void *arg, const struct kafka_record *record), void *arg,
               struct error *err);

#endif
