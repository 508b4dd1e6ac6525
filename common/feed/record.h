/* An event of the log as its readers see it, and how it is read from a Kafka record and written to
 * one. */
#ifndef ESS_FEED_RECORD_H
#define ESS_FEED_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"
#include "common/kafka/producer.h"
#include "common/kafka/record.h"
#include "common/model/event.h"

struct feed_event {
    int64_t cursor;
    int64_t appended_ms;                     /* the broker's time, since 1970 */
    struct span topic, id, key, traceparent; /* key and traceparent may be empty */
    uint16_t rules;                          /* of the PII filter, as in struct event */
    struct span stored; /* the stored form; of a tombstone remade from its headers */
    bool newer; /* written by a later version of ESS: nothing more than cursor, time, topic and id
                   can be read */
};

enum record_kind {
    RECORD_EVENT,
    RECORD_GENESIS,
    RECORD_FOREIGN,  /* not written by ESS, or damaged: skipped by every reader */
    RECORD_MISMATCH, /* of another feed, or the genesis record of one: the log is not the one that
                        was read so far */
    RECORD_NEWER, /* an event of a later version of ESS: whoever wants its topic must not pass it */
};

/* Reads a record. The spans point into the record, or into `scratch` (which is cleared first). */
enum record_kind record_read(const struct kafka_record *record, const char *feed_id,
                             struct feed_event *event, struct buf *scratch);

/* Tells a record from another one at its place: a hash of its key and its event's id, never 0. */
uint64_t record_identity(const struct kafka_record *record);

/* An event's Kafka record, ready to be sent. Embedded; its texts live as long as it and the event
 * do. */
enum { RECORD_HEADERS_MAX = 9 };
struct record_draft {
    struct kafka_header headers[RECORD_HEADERS_MAX];
    size_t headers_count;
    char source_cursor[24], rules[8];
    struct buf key, stored;
    bool tombstone;
};
/* `traceparent` may be NULL. The draft is the caller's: record_draft_fini. */
void record_draft_init(struct record_draft *draft, const struct event *event, const char *feed_id,
                       const char *traceparent);
struct producer_record record_draft_record(const struct record_draft *draft, const char *topic);
void record_draft_fini(struct record_draft *draft);

#endif
