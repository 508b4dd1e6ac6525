/* How far the consumer of a pulled subscriber (one without url and sns) has acknowledged. One
 * record in ess.subscribers, key "<id>/ack", written by ess-ingest:
 *   {"v":1,"born":…,"feed":…,"rewinds":R,"cursor":N}
 * R is the checkpoint's count of rewinds that the writer knew: a rewind makes acknowledgements void
 * that were made before it. Of all records of a registration, the one with the highest (R, N)
 * counts, wherever it stands in the log. Pure, any thread. */
#ifndef ESS_MODEL_ACKNOWLEDGEMENT_H
#define ESS_MODEL_ACKNOWLEDGEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"
#include "common/model/spec.h"

enum { ACKNOWLEDGEMENT_VERSION = 1, ACKNOWLEDGEMENT_KEY_BYTES = SPEC_ID_BYTES_MAX + 5 };

struct acknowledgement {
    char registration_id[37]; /* "": none */
    char feed[37];            /* of the log that the cursor is of */
    int64_t rewinds, cursor;
    int64_t appended_ms; /* wall: when Kafka took the record; not in the record; 0: not known */
};

/* Writes "<id>/ack". */
void acknowledgement_key(const char *id, char out[ACKNOWLEDGEMENT_KEY_BYTES]);

void acknowledgement_to_json(const struct acknowledgement *a, struct buf *out);
/* Reads a record, ignoring unknown members. Returns 0, or -1 with the reason. */
int acknowledgement_from_json(struct acknowledgement *a, struct span text, struct error *err);

/* Keeps the one that counts. Returns whether that is `read`. `registration_id` is the one in force,
 * "" when not known yet; `feed` is the log's. */
bool acknowledgement_take(struct acknowledgement *kept, const struct acknowledgement *read,
                          const char *registration_id, const char *feed);

/* Whether the records differ. */
bool acknowledgement_differs(const struct acknowledgement *a, const struct acknowledgement *b);

/* The registration's position: that of its checkpoint, `position`, or the acknowledged cursor if
 * that is higher and no rewind has made it void. `rewinds`: the checkpoint's count. */
int64_t acknowledgement_position(const struct acknowledgement *a, const char *registration_id,
                                 int64_t rewinds, int64_t position);

#endif
