/* Events as Kafka records; see record.h. Headers repeat the envelope, for consumers that filter
 * without parsing, and because a tombstone has no value. */
#include "common/feed/record.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/number.h"
#include "common/feed/genesis.h"
#include "common/model/pattern.h"
#include "common/model/token.h"

/* The version of the PII rules that the event has passed; 0: none. */
static uint16_t rules_of(const struct kafka_record *record) {
    int64_t rules = number_parse(kafka_record_header(record, "ess-pii"));
    return rules < 0 ? 0 : (uint16_t)rules;
}

static void restore_tombstone(const struct kafka_record *record, struct feed_event *event,
                              struct buf *scratch) {
    int64_t source_cursor = number_parse(kafka_record_header(record, "ess-source-cursor"));
    event_store_tombstone(event->topic, event->id, event->key,
                          kafka_record_header(record, "ess-ts"), source_cursor, source_cursor >= 0,
                          scratch);
    event->stored = (struct span){scratch->data, scratch->len};
}

/* This version cannot know the format of other headers. */
static enum record_kind take_newer(struct feed_event *event) {
    struct error ignored;
    if (topic_check(event->topic, &ignored) || event->id.len > EVENT_ID_BYTES_MAX)
        return RECORD_FOREIGN;
    event->key = event->traceparent = event->stored = (struct span){NULL, 0};
    return RECORD_NEWER;
}

enum record_kind record_read(const struct kafka_record *record, const char *feed_id,
                             struct feed_event *event, struct buf *scratch) {
    struct span version = kafka_record_header(record, "ess-v");
    buf_clear(scratch);
    if (genesis_key(record->key))
        return record->offset > 0 || genesis_names(record->key, feed_id) ? RECORD_GENESIS
                                                                         : RECORD_MISMATCH;
    if (number_parse(version) < 0)
        return RECORD_FOREIGN;
    if (!span_equal(kafka_record_header(record, "ess-feed"), span_of(feed_id)))
        return RECORD_MISMATCH;
    *event = (struct feed_event){
        .cursor = record->offset,
        .appended_ms = record->appended_ms,
        .topic = kafka_record_header(record, "ess-topic"),
        .id = kafka_record_header(record, "ess-id"),
        .key = kafka_record_header(record, "ess-key"),
        .traceparent = kafka_record_header(record, "traceparent"),
        .rules = rules_of(record),
        .stored = record->value,
        .newer = number_parse(version) > EVENT_VERSION,
    };
    if (event->newer)
        return take_newer(event);
    if (event->topic.len > TOPIC_BYTES_MAX || event->id.len == 0 ||
        event->id.len > EVENT_ID_BYTES_MAX ||
        event->traceparent.len > EVENT_TRACEPARENT_BYTES_MAX ||
        event->key.len > EVENT_KEY_BYTES_MAX)
        return RECORD_FOREIGN;
    if (!record->value.data)
        restore_tombstone(record, event, scratch);
    return event_stored_valid(event->stored, event->topic) ? RECORD_EVENT : RECORD_FOREIGN;
}

uint64_t record_identity(const struct kafka_record *record) {
    uint64_t identity = token_id_hash(record->key) * 31 +
                        token_id_hash(kafka_record_header(record, "ess-id"));
    return identity ? identity : 1;
}

static void add_header(struct record_draft *draft, const char *name, struct span value) {
    draft->headers[draft->headers_count++] = (struct kafka_header){name, value};
}

void record_draft_init(struct record_draft *draft, const struct event *event, const char *feed_id,
                       const char *traceparent) {
    *draft = (struct record_draft){.tombstone = event->tombstone};
    event_kafka_key(event, &draft->key);
    event_store(event, &draft->stored);
    add_header(draft, "ess-v", span_of("1"));
    add_header(draft, "ess-topic", span_of(event->topic));
    add_header(draft, "ess-id", span_of(event->id));
    if (event->has_key)
        add_header(draft, "ess-key", (struct span){event->key, event->key_len});
    add_header(draft, "ess-ts", span_of(event->ts));
    if (event->has_source_cursor) {
        snprintf(draft->source_cursor, sizeof draft->source_cursor, "%" PRId64,
                 event->source_cursor);
        add_header(draft, "ess-source-cursor", span_of(draft->source_cursor));
    }
    add_header(draft, "ess-feed", span_of(feed_id));
    if (event->rules) {
        snprintf(draft->rules, sizeof draft->rules, "%u", event->rules);
        add_header(draft, "ess-pii", span_of(draft->rules));
    }
    if (traceparent)
        add_header(draft, "traceparent", span_of(traceparent));
}

struct producer_record record_draft_record(const struct record_draft *draft, const char *topic) {
    return (struct producer_record){
        .topic = topic,
        .partition = 0,
        .key = {draft->key.data, draft->key.len},
        .value = {draft->tombstone ? NULL : draft->stored.data,
                  draft->tombstone ? 0 : draft->stored.len},
        .headers = draft->headers,
        .headers_count = draft->headers_count,
    };
}

void record_draft_fini(struct record_draft *draft) {
    buf_fini(&draft->key);
    buf_fini(&draft->stored);
}
