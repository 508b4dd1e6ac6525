/* Places in a log that only the broker knows: of times, by its own index of append times; and the
 * end. A handle of its own, on which nothing is read; its calls block for 4 s at most and may come
 * from any thread, several at once. */
#ifndef ESS_KAFKA_TIMES_H
#define ESS_KAFKA_TIMES_H

#include <stddef.h>
#include <stdint.h>

#include "common/kafka/config.h"

struct times;

struct times *times_new(const struct kafka_config *config, struct error *err);
void times_free(struct times *times); /* NULL is allowed. Waits for librdkafka's threads */

/* Replaces each of `at`, a time (wall, ms), by the offset of the partition's first record that was
 * appended then or later; where there is none, by `*end`: the offset that the next record gets, as
 * of the beginning of this call. So nothing that is appended from the call on lies below what it
 * gives. Returns 0 or -1. */
int times_offsets(struct times *times, const char *topic, int32_t partition, int64_t *at,
                  size_t count, int64_t *end, struct error *err);

/* For once, on a handle made for it: the same; and the offset that the partition's next record will
 * have. Return 0 or -1. */
int kafka_offsets_at(const struct kafka_config *config, const char *topic, int32_t partition,
                     int64_t *at, size_t count, int64_t *end, struct error *err);
int kafka_end_of(const struct kafka_config *config, const char *topic, int32_t partition,
                 int64_t *end, struct error *err);

#endif
