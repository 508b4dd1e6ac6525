/* Reads a range of a partition on a thread that may block (a loop task). For reading on the loop,
 * see consumer.h. */
#ifndef ESS_KAFKA_RANGE_H
#define ESS_KAFKA_RANGE_H

#include <stdbool.h>

#include "common/kafka/config.h"
#include "common/kafka/record.h"

/* A handle for reading. One thread at a time. */
struct range;

struct range *range_new(const struct kafka_config *config, struct error *err);
void range_free(struct range *range); /* NULL is allowed; does not wait */

/* The offset of the partition's first record, and of its next record. Blocks at most 4 s. Returns 0
 * or -1. */
int range_bounds(struct range *range, const char *topic, int32_t partition, int64_t *first,
                 int64_t *next, struct error *err);

/* Calls `record` for each record in [from, to), in order, until it returns false. Skips gaps left
 * by retention or compaction. Returns 0, or -1 after 4 s without data. */
int range_read(struct range *range, const struct kafka_position *from, int64_t to,
               bool (*record)(void *arg, const struct kafka_record *record), void *arg,
               struct error *err);

#endif
