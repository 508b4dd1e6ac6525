/* A compacted topic as a table; see table.h. */
#include "common/kafka/table.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/kafka/consumer.h"

struct table {
    struct table_options options;
    struct consumer *consumer;
    bool *ended; /* [topic][partition] */
    int64_t to_end;
};

static size_t topic_number(const struct table *t, const char *topic) {
    size_t i = 0;
    while (t->options.topics[i] && strcmp(t->options.topics[i], topic) != 0)
        i++;
    return i;
}

static void on_end(void *arg, const char *topic, int32_t partition, int64_t offset) {
    struct table *t = arg;
    bool *ended = &t->ended[topic_number(t, topic) * (size_t)t->options.partitions + (size_t)partition];
    (void)offset;
    if (*ended)
        return;
    *ended = true;
    if (--t->to_end == 0)
        t->options.loaded(t->options.arg);
}

static void on_message(void *arg, const rd_kafka_message_t *message) {
    struct table *t = arg;
    rd_kafka_timestamp_type_t type;
    struct table_record record = {
        .topic = t->options.topics[topic_number(t, rd_kafka_topic_name(message->rkt))],
        .partition = message->partition,
        .offset = message->offset,
        .appended_ms = rd_kafka_message_timestamp(message, &type),
        .key = {message->key, message->key_len},
        .value = {message->payload, message->len},
    };
    t->options.record(t->options.arg, &record);
    if (t->to_end && consumer_at_end(t->consumer, message)) /* the end itself is told only after a fetch that waited */
        on_end(t, record.topic, message->partition, message->offset + 1);
}

static void on_failed(void *arg, rd_kafka_resp_err_t code, const char *reason) {
    struct table *t = arg;
    (void)code;
    t->options.failed(t->options.arg, reason);
}

static int assign_all(struct table *t, struct error *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(t->options.partitions * 2);
    for (size_t i = 0; t->options.topics[i]; i++)
        for (int32_t p = 0; p < t->options.partitions; p++)
            rd_kafka_topic_partition_list_add(list, t->options.topics[i], p)->offset = 0; /* BEGINNING is asked for partition by partition */
    t->to_end = list->cnt;
    t->ended = mem_zero((size_t)list->cnt * sizeof *t->ended);
    int result = consumer_assign_list(t->consumer, list, err);
    rd_kafka_topic_partition_list_destroy(list);
    return result;
}

struct table *table_new(struct loop *loop, const struct table_options *options, struct error *err) {
    struct table *t = mem_zero(sizeof *t);
    t->options = *options;
    const struct consumer_options consumer = {
        .kafka = options->kafka, .fetch_wait_ms = 500, .queue_kib = 4096, .message = on_message, .end = on_end, .failed = on_failed, .arg = t};
    t->consumer = consumer_new(loop, &consumer, err);
    if (!t->consumer || assign_all(t, err)) {
        table_free(t);
        return NULL;
    }
    return t;
}

bool table_loaded(const struct table *t) { return t->to_end == 0; }

void table_free(struct table *t) {
    if (!t)
        return;
    consumer_free(t->consumer);
    free(t->ended);
    free(t);
}
