/* Dead letters on their way back; see redrive.h. A consumer of their partition reads ahead a little, and stops; the letter
 * that is asked for is kept until a later one is. */
#include "dispatcher/redrive.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/kafka/consumer.h"
#include "common/model/json_scan.h"
#include "dispatcher/dispatcher.h"

enum { MEMBERS_MAX = 32 };

struct redrive {
    struct dispatcher *dispatcher;
    struct consumer *consumer;
    const struct token_job *job;
    char *id, *born;
    void (*ready)(void *arg);
    void *arg;
    int64_t read; /* everything up to here was read */
    bool has_letter, asked, reading;
    struct buf text; /* of the letter's body, topic and id */
    struct redrive_letter letter;
};

/* --- a letter's record */

static const struct json_member *member(const struct json_member *members, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (span_equal(members[i].name, span_of(name)))
            return &members[i];
    return NULL;
}

static bool is_text(const struct json_member *m, const char *text) {
    return m && m->kind == JSON_IS_STRING && m->value.len == strlen(text) + 2 && memcmp(m->value.data + 1, text, m->value.len - 2) == 0;
}

static struct span inside(const struct json_member *m) {
    return m && m->kind == JSON_IS_STRING ? (struct span){m->value.data + 1, m->value.len - 2} : (struct span){NULL, 0};
}

/* The event without its `prev_cursor`, which tells of a stream that this is no part of. */
static void copy_body(struct buf *out, struct span event, const struct json_member *prev) {
    const char *from = prev ? prev->name.data - 1 : event.data + event.len;
    const char *behind = prev ? prev->value.data + prev->value.len : from;
    buf_clear(out);
    buf_append(out, event.data, (size_t)(from - event.data));
    behind += prev && *behind == ',';
    buf_append(out, behind, (size_t)(event.data + event.len - behind));
}

/* Points the letter into the copy: its members' places in it are found once more. */
static bool point_into_copy(struct redrive *r) {
    struct json_member members[MEMBERS_MAX];
    struct error err;
    size_t count;
    struct span body = {r->text.data, r->text.len};
    if (json_scan_object(body, JSON_DEPTH_MAX, members, MEMBERS_MAX, &count, &err))
        return false;
    r->letter.body = body;
    r->letter.topic = inside(member(members, count, "topic"));
    r->letter.id = inside(member(members, count, "id"));
    return r->letter.topic.len && r->letter.id.len;
}

static bool wanted(const struct redrive *r, int64_t cursor) {
    for (int64_t i = 0; i < r->job->cursors_count; i++)
        if (r->job->cursors[i] == cursor)
            return true;
    return r->job->cursors_count == 0;
}

static bool take(struct redrive *r, struct span record) {
    struct json_member outer[MEMBERS_MAX], inner[MEMBERS_MAX];
    size_t outer_count, inner_count;
    struct error err;
    if (json_scan_object(record, JSON_DEPTH_MAX + 1, outer, MEMBERS_MAX, &outer_count, &err) ||
        !is_text(member(outer, outer_count, "born"), r->born))
        return false;
    const struct json_member *cursor = member(outer, outer_count, "cursor"), *event = member(outer, outer_count, "event");
    if (!cursor || cursor->kind != JSON_IS_NUMBER || !event || event->kind != JSON_IS_OBJECT)
        return false;
    r->letter.cursor = strtoll(cursor->value.data, NULL, 10);
    if (!wanted(r, r->letter.cursor) || json_scan_object(event->value, JSON_DEPTH_MAX, inner, MEMBERS_MAX, &inner_count, &err))
        return false;
    copy_body(&r->text, event->value, member(inner, inner_count, "prev_cursor"));
    return point_into_copy(r);
}

/* --- reading */

static void call_ready(struct redrive *r) {
    bool asked = r->asked;
    r->asked = false;
    if (asked)
        r->ready(r->arg);
}

static void stop_reading(struct redrive *r) {
    consumer_unassign(r->consumer);
    r->reading = false;
}

static void on_message(void *arg, const rd_kafka_message_t *message) {
    struct redrive *r = arg;
    if (!r->reading || r->has_letter || message->offset <= r->read)
        return;
    r->read = message->offset < r->job->to ? message->offset : r->job->to;
    bool own = message->offset <= r->job->to && span_equal((struct span){message->key, message->key_len}, span_of(r->id));
    if (own && take(r, (struct span){message->payload, message->len})) {
        r->letter.offset = message->offset;
        r->has_letter = true;
    }
    if (!r->has_letter && r->read < r->job->to)
        return;
    stop_reading(r);
    call_ready(r);
}

/* The partition ends before `to`: its retention took what was there. */
static void on_end(void *arg, const char *topic, int32_t partition, int64_t offset) {
    struct redrive *r = arg;
    (void)topic, (void)partition, (void)offset;
    if (!r->reading || r->has_letter)
        return;
    r->read = r->job->to;
    stop_reading(r);
    call_ready(r);
}

/* Offset out of range: the retention took it. From the beginning of what is there, then. */
static void on_failed(void *arg, rd_kafka_resp_err_t code, const char *reason) {
    struct redrive *r = arg;
    struct error err;
    (void)reason;
    if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        consumer_assign(r->consumer, r->dispatcher->dlq_topic, kafka_partition_of(r->id, DEAD_LETTER_PARTITIONS), RD_KAFKA_OFFSET_BEGINNING,
                        &err);
}

struct redrive *redrive_new(struct dispatcher *d, const char *id, const char *born, const struct token_job *job, void (*ready)(void *),
                            void *arg, struct error *err) {
    struct redrive *r = mem_zero(sizeof *r);
    *r = (struct redrive){.dispatcher = d, .job = job, .ready = ready, .arg = arg, .read = job->position};
    const struct consumer_options options = {.kafka = &d->settings.kafka,
                                             .fetch_wait_ms = 100,
                                             .queue_kib = 8192,
                                             .message = on_message,
                                             .end = on_end,
                                             .failed = on_failed,
                                             .arg = r};
    r->id = mem_copy_string(id, strlen(id));
    r->born = mem_copy_string(born, strlen(born));
    r->consumer = consumer_new(d->loop, &options, err);
    if (r->consumer)
        return r;
    redrive_free(r);
    return NULL;
}

void redrive_free(struct redrive *r) {
    if (!r)
        return;
    consumer_free(r->consumer);
    buf_fini(&r->text);
    free(r->id);
    free(r->born);
    free(r);
}

bool redrive_waits(const struct redrive *r) { return r->asked; }

enum redrive_result redrive_next(struct redrive *r, int64_t position, struct redrive_letter *letter, int64_t *passed) {
    struct error err;
    *passed = position;
    if (r->has_letter && r->letter.offset > position) {
        *letter = r->letter;
        return REDRIVE_LETTER;
    }
    r->has_letter = false;
    if (r->read >= r->job->to) {
        *passed = r->job->to;
        return REDRIVE_END;
    }
    r->asked = true;
    if (!r->reading)
        r->reading = consumer_assign(r->consumer, r->dispatcher->dlq_topic, kafka_partition_of(r->id, DEAD_LETTER_PARTITIONS), r->read + 1,
                                     &err) == 0;
    return REDRIVE_LATER;
}
