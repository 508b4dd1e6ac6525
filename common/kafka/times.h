/* Places in a log that only the broker knows: of a time, by its own index of append times; and the end. These calls block for
 * a few seconds at most: for a loop_task. They return 0 or -1. */
#ifndef ESS_KAFKA_TIMES_H
#define ESS_KAFKA_TIMES_H

#include <stdint.h>

#include "common/kafka/config.h"

/* The offset of the first record of partition 0 that was appended at `wall_ms` or later; the log's end when there is none. */
int kafka_offset_at(const struct kafka_config *config, const char *topic, int64_t wall_ms, int64_t *offset, struct error *err);

/* The offset that the partition's next record will have. */
int kafka_end_of(const struct kafka_config *config, const char *topic, int32_t partition, int64_t *end, struct error *err);

#endif
