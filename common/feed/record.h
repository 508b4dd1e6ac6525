/* An event of the log as seen by readers; reading one from a Kafka record, and writing one. */
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
    struct span stored; /* stored form; a tombstone's is rebuilt from headers */
    /* From a later version of ESS: only cursor, time, topic and id are readable. */
    bool newer;
};

enum record_kind {
    RECORD_EVENT,
    RECORD_GENESIS,
    RECORD_FOREIGN, /* not by ESS, or damaged: every reader skips it */
    /* Of another feed, or its genesis record: the log was replaced. */
    RECORD_MISMATCH,
    /* An event of a later version of ESS: a reader of its topic must not pass it. */
    RECORD_NEWER,
};

/* Reads a record. The spans point into the record, or into `scratch` (cleared first). */
enum record_kind record_read(const struct kafka_record *record, const char *feed_id,
                             struct feed_event *event, struct buf *scratch);

/* Distinguishes two records at the same offset: a hash of key and event id, never 0. */
uint64_t record_identity(const struct kafka_record *record);

/* An event's Kafka record, ready to send. Embedded; texts live as long as the draft and the
 * event. */
enum { RECORD_HEADERS_MAX = 9 };
struct record_draft {
    struct kafka_header headers[RECORD_HEADERS_MAX];
    size_t headers_count;
    char source_cursor[24], rules[8];
    struct buf key, stored;
    bool tombstone;
};
/* `traceparent` may be NULL. The caller ends the draft by record_draft_fini. */
void record_draft_init(struct record_draft *draft, const struct event *event, const char *feed_id,
                       const char *traceparent);
struct producer_record record_draft_record(const struct record_draft *draft, const char *topic);
void record_draft_fini(struct record_draft *draft);

#endif
