/* A consumer that is told what to read; see consumer.h. */
#include "common/kafka/consumer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/kafka/queue.h"

struct consumer {
    struct consumer_options options;
    rd_kafka_t *rk;
    struct kafka_queue queue;
};

/* What librdkafka reports on the way to its own cure. */
static bool transient(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__RESOLVE ||
           code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ||
           code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE || code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
}

static void on_error(struct consumer *c, rd_kafka_event_t *event) {
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        rd_kafka_topic_partition_t *at = rd_kafka_event_topic_partition(event);
        c->options.end(c->options.arg, at->topic, at->partition, at->offset);
        rd_kafka_topic_partition_destroy(at);
    } else if (!transient(code)) {
        c->options.failed(c->options.arg, code, rd_kafka_event_error_string(event));
    }
}

static void on_event(void *arg, rd_kafka_event_t *event) {
    struct consumer *c = arg;
    const rd_kafka_message_t *message;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
        on_error(c, event);
    else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH)
        while ((message = rd_kafka_event_message_next(event)))
            c->options.message(c->options.arg, message);
}

struct consumer *consumer_new(struct loop *loop, const struct consumer_options *options, struct error *err) {
    char wait[16], queue_kib[24];
    snprintf(wait, sizeof wait, "%d", options->fetch_wait_ms);
    snprintf(queue_kib, sizeof queue_kib, "%" PRId64, options->queue_kib);
    const struct kafka_setting settings[] = {
        {"group.id", "ess"}, /* assign() wants one; nothing is ever joined or committed */
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"enable.partition.eof", "true"},
        {"fetch.wait.max.ms", wait},
        {"fetch.min.bytes", "1"},
        {"fetch.error.backoff.ms", "100"},
        {"queued.max.messages.kbytes", queue_kib},
        {"coordinator.query.interval.ms", "2000000"}, /* librdkafka counts its microseconds in an int: more would mean without a pause */
        {NULL, NULL},
    };
    rd_kafka_t *rk = kafka_handle_new(RD_KAFKA_CONSUMER, options->kafka, settings, err);
    if (!rk)
        return NULL;
    struct consumer *c = mem_zero(sizeof *c);
    c->options = *options;
    c->rk = rk;
    rd_kafka_poll_set_consumer(rk);
    kafka_queue_open(&c->queue, loop, rd_kafka_queue_get_consumer(rk), on_event, c);
    return c;
}

int consumer_assign_list(struct consumer *c, const rd_kafka_topic_partition_list_t *list, struct error *err) {
    rd_kafka_resp_err_t code = rd_kafka_assign(c->rk, list);
    return code ? error_set(err, "assign: %s", rd_kafka_err2str(code)) : 0;
}

int consumer_assign(struct consumer *c, const char *topic, int32_t partition, int64_t offset, struct error *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    int result = consumer_assign_list(c, list, err);
    rd_kafka_topic_partition_list_destroy(list);
    return result;
}

bool consumer_at_end(const struct consumer *c, const rd_kafka_message_t *message) {
    int64_t low, high;
    return !rd_kafka_get_watermark_offsets(c->rk, rd_kafka_topic_name(message->rkt), message->partition, &low, &high) && message->offset + 1 >= high;
}

void consumer_unassign(struct consumer *c) { rd_kafka_assign(c->rk, NULL); }

void consumer_free(struct consumer *c) {
    if (!c)
        return;
    kafka_queue_close(&c->queue);
    rd_kafka_destroy(c->rk);
    free(c);
}

struct span consumer_header(const rd_kafka_message_t *message, const char *name) {
    rd_kafka_headers_t *headers;
    const void *value;
    size_t len;
    if (rd_kafka_message_headers(message, &headers) || rd_kafka_header_get_last(headers, name, &value, &len))
        return (struct span){NULL, 0};
    return (struct span){value, len};
}
