/* An event: from a publisher's bytes to the stored bytes, and from stored to delivered bytes.
 *
 * Stored (the Kafka value): {"topic":…,"id":…,"key":…,"ts":…,"source_cursor":…,"data":…} without
 * absent members and white space around members. Delivered: the stored bytes with
 * "cursor":N,"prev_cursor":M, inserted after the topic. Pure: the caller passes in the made id and
 * ts. Any thread. */
#ifndef ESS_MODEL_EVENT_H
#define ESS_MODEL_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"
#include "common/crypto/uuid.h" /* for made ids */
#include "common/json/json_scan.h"
#include "common/model/pattern.h"

enum {
    EVENT_VERSION = 1, /* header ess-v */
    EVENT_ID_BYTES_MAX = 128,
    EVENT_KEY_BYTES_MAX = 256,
    EVENT_TS_BYTES_MAX = 64,
    EVENT_TRACEPARENT_BYTES_MAX = 256,
    EVENT_DATA_BYTES_MAX = 900 * 1024, /* fits into a 1 MB Kafka record with the rest */
    EVENT_BODY_SLACK_BYTES = 8192,     /* room in a body for the members besides `data` */
};

/* A publisher's event that has passed all checks. Texts are copies; `data` points into the
 * publisher's body. */
struct event {
    char topic[101];
    char id[EVENT_ID_BYTES_MAX + 1];
    char key[EVENT_KEY_BYTES_MAX + 1]; /* UTF-8 without U+0000 */
    size_t key_len;
    bool has_key;
    char ts[EVENT_TS_BYTES_MAX + 1];
    int64_t source_cursor;
    bool has_source_cursor;
    /* The publisher gave the id, or the cursor from which the id was made. */
    bool has_own_id;
    struct span data; /* line breaks included */
    bool tombstone;   /* a key and "data": null */
    /* Version of the PII rules applied to `data`; 0: no rules. */
    uint16_t rules;
};

/* The topic in an id made of a topic and its publisher's cursor, such as "drug/copay:1842", whether
 * the id was made or given. Returns false for any other id. */
bool event_id_topic(const char *id, char topic[TOPIC_BYTES_MAX + 1]);

/* Checks a published event. `data_max` is in bytes as sent. `made_id` and `made_ts` fill in absent
 * members. Returns 0, or -1 with the field to blame in err; sets `*too_large` when data is too
 * large. */
int event_parse(struct event *event, struct span body, size_t data_max, const char *made_id,
                const char *made_ts, bool *too_large, struct error *err);

/* event_parse for an object already scanned. */
int event_take(struct event *event, const struct json_member *members, size_t members_count,
               size_t data_max, const char *made_id, const char *made_ts, bool *too_large,
               struct error *err);

/* Appends the stored form. CR and LF between tokens of `data` become spaces. Readers see this form
 * of a tombstone too, whose Kafka value is null. */
void event_store(const struct event *event, struct buf *out);

/* Appends the Kafka key: topic, or topic/key. */
void event_kafka_key(const struct event *event, struct buf *out);

/* Rebuilds the stored form of a tombstone from its headers. Leaves out an empty key or ts, and a
 * negative source_cursor. */
void event_store_tombstone(struct span topic, struct span id, struct span key, struct span ts,
                           int64_t source_cursor, bool has_source_cursor, struct buf *out);

/* Whether stored bytes begin as event_store writes them for this topic, which makes event_splice
 * safe. */
bool event_stored_valid(struct span stored, struct span topic);

/* The value of `data` in valid stored bytes; {NULL, 0} in any others. */
struct span event_stored_data(struct span stored);

/* Appends the delivered form. A negative `prev_cursor` leaves prev_cursor out; a negative `cursor`,
 * both. */
void event_splice(struct span stored, size_t topic_len, int64_t cursor, int64_t prev_cursor,
                  bool compacted, struct buf *out);

#endif
