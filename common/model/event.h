/* The event: from a publisher's bytes to the bytes that are stored, and from those to the ones that
 * are delivered.
 *
 * Stored (the Kafka value): {"topic":…,"id":…,"key":…,"ts":…,"source_cursor":…,"data":…} with
 * absent members left out and no white space around them; delivered: the same bytes with
 * "cursor":N,"prev_cursor":M, spliced in after the topic. Pure but for the made id and ts, which
 * the caller passes in. Any thread. */
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
    EVENT_DATA_BYTES_MAX = 900 * 1024, /* what fits into a Kafka record of 1 MB with all the rest */
    EVENT_BODY_SLACK_BYTES = 8192, /* what an event's members besides `data` may take in a body */
};

/* A publisher's event that has passed all checks. Its texts are its own (fixed arrays), but `data`,
 * which points into the publisher's body. */
struct event {
    char topic[101];
    char id[EVENT_ID_BYTES_MAX + 1];
    char key[EVENT_KEY_BYTES_MAX + 1]; /* UTF-8; may hold no U+0000 */
    size_t key_len;
    bool has_key;
    char ts[EVENT_TS_BYTES_MAX + 1];
    int64_t source_cursor;
    bool has_source_cursor;
    bool has_own_id;  /* the publisher gave the id, or a cursor from which it was made */
    struct span data; /* with its line breaks still in it */
    bool tombstone;   /* a key and "data": null */
    uint16_t rules; /* the version of the PII rules that `data` has passed; 0: none were in force */
};

/* Ids such as "drug/copay:1842" are made of a topic and its publisher's cursor: gives that topic,
 * whoever gave the id. False: it is no such id. */
bool event_id_topic(const char *id, char topic[TOPIC_BYTES_MAX + 1]);

/* Checks one published event. `data_max` is in bytes, as sent. `made_id` and `made_ts` are taken
 * where the publisher gave none. Returns 0, or -1 with the field to blame in err. `*too_large` is
 * set when the reason is data's size. */
int event_parse(struct event *event, struct span body, size_t data_max, const char *made_id,
                const char *made_ts, bool *too_large, struct error *err);

/* The same of an object whose members were scanned already. */
int event_take(struct event *event, const struct json_member *members, size_t members_count,
               size_t data_max, const char *made_id, const char *made_ts, bool *too_large,
               struct error *err);

/* Appends the stored form. CR and LF between data's tokens become spaces. (Also made for a
 * tombstone, whose Kafka value is null, as readers show it.) */
void event_store(const struct event *event, struct buf *out);

/* The Kafka key: topic, or topic/key. */
void event_kafka_key(const struct event *event, struct buf *out);

/* Remakes the stored form of a tombstone from its headers; an empty key, ts or negative
 * source_cursor is left out. */
void event_store_tombstone(struct span topic, struct span id, struct span key, struct span ts,
                           int64_t source_cursor, bool has_source_cursor, struct buf *out);

/* Whether stored bytes begin as event_store makes them for this topic, so that event_splice is
 * safe. */
bool event_stored_valid(struct span stored, struct span topic);

/* The value of `data` in stored bytes that are valid; {NULL, 0} where nobody stored them so. */
struct span event_stored_data(struct span stored);

/* Appends the delivered form. `prev_cursor` below 0 leaves that member out; `cursor` below 0 leaves
 * both out. */
void event_splice(struct span stored, size_t topic_len, int64_t cursor, int64_t prev_cursor,
                  bool compacted, struct buf *out);

#endif
