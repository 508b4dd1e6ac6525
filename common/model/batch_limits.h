/* How many events a subscriber gets in one request: the field `batch` of a spec. Pure, any
 * thread. */
#ifndef ESS_MODEL_BATCH_LIMITS_H
#define ESS_MODEL_BATCH_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"

struct json_object;
struct spec_rules;

enum { BATCH_EVENTS_MAX = 1000, BATCH_BYTES_MAX = 4 * 1024 * 1024 };

struct batch_limits {
    int64_t max_events;  /* 0: no batches, each event is a request of its own */
    int64_t max_bytes;   /* of the body; an event that is larger goes alone */
    int64_t max_wait_ms; /* how long the first event waits for others */
};

/* Reads the field's value; members that are left out have their defaults. Returns -1 with the
 * reason, which blames "batch" or one of its members ("batch.max_events"). */
int batch_limits_from_tree(struct batch_limits *limits, struct json_object *value,
                           const struct spec_rules *rules, struct error *err);
/* Appends all three members as an object. */
void batch_limits_to_json(const struct batch_limits *limits, struct buf *out);

#endif
