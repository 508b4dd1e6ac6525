/* A Kafka record as read and written by ESS, free of library types. */
#ifndef ESS_KAFKA_RECORD_H
#define ESS_KAFKA_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/span.h"

struct kafka_header {
    const char *name;
    struct span value;
};

/* A record as read. Nothing is copied: valid until the callback returns. */
struct kafka_record {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t appended_ms; /* the broker's time, since 1970 */
    struct span key;
    struct span value; /* data NULL: a tombstone */
    const struct kafka_header *headers;
    size_t headers_count;
};

/* The value of the last header with that name, or {NULL, 0}. */
static inline struct span kafka_record_header(const struct kafka_record *record, const char *name) {
    for (size_t i = record->headers_count; i > 0; i--)
        if (strcmp(record->headers[i - 1].name, name) == 0)
            return record->headers[i - 1].value;
    return (struct span){NULL, 0};
}

/* Where to read from. */
struct kafka_position {
    const char *topic;
    int32_t partition;
    int64_t offset; /* or KAFKA_BEGINNING */
};
enum { KAFKA_BEGINNING = -2 }; /* the oldest record left */

#endif
