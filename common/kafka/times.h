/* From a time to a place in a log, by the broker's own index of append times. */
#ifndef ESS_KAFKA_TIMES_H
#define ESS_KAFKA_TIMES_H

#include <stdint.h>

#include "common/kafka/config.h"

/* The offset of the first record of partition 0 that was appended at `wall_ms` or later; the log's end when there is none.
 * Blocks for a few seconds at most: for a loop_task. Returns 0 or -1. */
int kafka_offset_at(const struct kafka_config *config, const char *topic, int64_t wall_ms, int64_t *offset, struct error *err);

#endif
