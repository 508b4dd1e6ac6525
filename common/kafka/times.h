/* Places in a log that only the broker knows: of times, by its own index of append times; and the end. These calls block for
 * a few seconds at most: for a loop_task. They return 0 or -1. */
#ifndef ESS_KAFKA_TIMES_H
#define ESS_KAFKA_TIMES_H

#include <stddef.h>
#include <stdint.h>

#include "common/kafka/config.h"

/* Replaces each of `at`, a time (wall, ms), by the offset of the partition's first record that was appended then or later; where
 * there is none, by `*end`: the offset that the next record gets, as of the beginning of this call. So nothing that is appended
 * from the call on lies below what it gives. */
int kafka_offsets_at(const struct kafka_config *config, const char *topic, int32_t partition, int64_t *at, size_t count, int64_t *end,
                     struct error *err);

/* The offset that the partition's next record will have. */
int kafka_end_of(const struct kafka_config *config, const char *topic, int32_t partition, int64_t *end, struct error *err);

#endif
