/* A consumer with assigned partitions; see consumer.h. */
#include "common/kafka/consumer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/kafka/handle.h"
#include "common/kafka/message.h"
#include "common/kafka/queue.h"

static_assert((int)KAFKA_BEGINNING == RD_KAFKA_OFFSET_BEGINNING, "librdkafka's own");

enum { FETCH_BYTES = 1024 * 1024 }; /* default of fetch.message.max.bytes */

struct consumer {
    struct loop *loop;
    struct consumer_options options;
    rd_kafka_t *rk;
    struct kafka_queue queue;
    struct message_headers headers; /* of the current record */
    int64_t taken;                  /* bytes since the queue was empty */
    /* for options.lost */
    struct kafka_watch watch;
    atomic_bool lost;
    int lost_fd;
    struct loop_io lost_io;
};

/* Runs on librdkafka's thread, before the next connection. */
static void on_connection_lost(void *arg) {
    struct consumer *c = arg;
    const uint64_t one = 1;
    atomic_store(&c->lost, true);
    if (write(c->lost_fd, &one, sizeof one) < 0)
        return; /* EAGAIN: the loop is already awake */
}

/* Whether records fetched before must be dropped. */
static bool tell_lost(struct consumer *c) {
    if (!atomic_load(&c->lost) || !atomic_exchange(&c->lost, false))
        return false;
    c->options.lost(c->options.arg);
    return true;
}

static void on_lost_fd(void *arg, uint32_t events) {
    struct consumer *c = arg;
    uint64_t count;
    (void)events;
    if (read(c->lost_fd, &count, sizeof count) > 0)
        tell_lost(c);
}

static enum consumer_fault fault_of(rd_kafka_resp_err_t code, bool fatal) {
    switch (code) {
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return CONSUMER_NO_TOPIC;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return CONSUMER_OUT_OF_RANGE;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return CONSUMER_NO_RIGHT;
    default:
        return fatal ? CONSUMER_BROKEN : CONSUMER_OTHER_FAULT;
    }
}

/* Reports fatal errors and errors of a partition. All other errors concern a single connection: a
 * failed TLS handshake or authentication. */
static void on_lasting(struct consumer *c, rd_kafka_event_t *event, rd_kafka_resp_err_t code) {
    rd_kafka_topic_partition_t *at = rd_kafka_event_topic_partition(event);
    bool of_partition = at && at->partition >= 0;
    bool fatal = code == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_event_error_is_fatal(event);
    if (of_partition || fatal)
        c->options.failed(c->options.arg, of_partition ? at->topic : NULL, fault_of(code, fatal),
                          rd_kafka_event_error_string(event));
    if (at)
        rd_kafka_topic_partition_destroy(at);
}

static void consumer_on_error(struct consumer *c, rd_kafka_event_t *event) {
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        rd_kafka_topic_partition_t *at = rd_kafka_event_topic_partition(event);
        c->options.end(c->options.arg, at->topic, at->partition, at->offset);
        rd_kafka_topic_partition_destroy(at);
    } else if (!kafka_handle_recovers(code)) {
        on_lasting(c, event, code);
    }
}

static void consumer_on_event(void *arg, rd_kafka_event_t *event) {
    struct consumer *c = arg;
    const rd_kafka_message_t *message;
    struct kafka_record record;
    if (tell_lost(c))
        return;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
        consumer_on_error(c, event);
    else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH)
        while ((message = rd_kafka_event_message_next(event))) {
            c->taken += (int64_t)message->len;
            message_read(message, &c->headers, &record);
            c->options.record(c->options.arg, &record);
        }
}

static void on_emptied(void *arg) {
    struct consumer *c = arg;
    bool was_full = c->taken >= c->options.queue_kib * 1000 - c->options.fetch_bytes;
    c->taken = 0;
    if (was_full && c->options.drained)
        c->options.drained(c->options.arg);
}

static int consumer_watch_connections(struct consumer *c, struct error *err) {
    c->watch = (struct kafka_watch){.lost = on_connection_lost, .arg = c};
    c->lost_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->lost_fd < 0)
        return error_set(err, "no descriptor for a Kafka handle: %s", strerror(errno));
    loop_io_set(c->loop, &c->lost_io, c->lost_fd, EPOLLIN, on_lost_fd, c);
    return 0;
}

/* librdkafka's threads have ended. */
static void free_rest(void *arg) {
    struct consumer *c = arg;
    if (c->lost_fd >= 0)
        close(c->lost_fd);
    message_headers_fini(&c->headers);
    free(c);
}

struct consumer *consumer_new(struct loop *loop, const struct consumer_options *options,
                              struct error *err) {
    char wait[16], queue_kib[24], fetch[24];
    snprintf(wait, sizeof wait, "%d", options->fetch_wait_ms);
    snprintf(queue_kib, sizeof queue_kib, "%" PRId64, options->queue_kib);
    snprintf(fetch, sizeof fetch, "%" PRId64,
             options->fetch_bytes ? options->fetch_bytes : FETCH_BYTES);
    const struct kafka_setting settings[] = {
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"enable.partition.eof", "true"},
        {"fetch.wait.max.ms", wait},
        {"fetch.min.bytes", "1"},
        {"fetch.message.max.bytes", fetch},
        {"fetch.error.backoff.ms", "100"},
        {"queued.max.messages.kbytes", queue_kib},
        {"coordinator.query.interval.ms", "2000000"}, /* librdkafka counts in us, in an int */
        {NULL, NULL},
    };
    struct consumer *c = mem_zero(sizeof *c);
    c->loop = loop;
    c->options = *options;
    if (!c->options.fetch_bytes)
        c->options.fetch_bytes = FETCH_BYTES;
    c->lost_fd = -1;
    bool ready = kafka_queue_reserve(&c->queue, err) == 0 &&
                 (!options->lost || consumer_watch_connections(c, err) == 0);
    struct kafka_watch *watch = options->lost ? &c->watch : NULL;
    if (ready)
        c->rk = kafka_handle_new_watched(RD_KAFKA_CONSUMER, options->kafka, settings, watch, err);
    rd_kafka_t *rk = c->rk;
    if (!rk) {
        loop_io_clear(loop, &c->lost_io);
        kafka_queue_unreserve(&c->queue);
        free_rest(c);
        return NULL;
    }
    rd_kafka_poll_set_consumer(rk);
    kafka_queue_open(&c->queue, loop, rd_kafka_queue_get_consumer(rk), consumer_on_event, c);
    c->queue.emptied = on_emptied;
    return c;
}

void consumer_warm(struct consumer *c, const char *topic) {
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(c->rk, topic, NULL);
    if (rkt)
        rd_kafka_topic_destroy(rkt); /* the handle keeps its state */
}

/* Records fetched and not taken are void after the stop, but librdkafka (2.0.2) counts them until
 * they are looked at: with a full queue, fetching from the new position would start up to a second
 * later. */
static void drop_fetched(struct consumer *c) {
    rd_kafka_event_t *event;
    if (rd_kafka_queue_length(c->queue.queue) == 0)
        return;
    kafka_handle_assign(c->rk, NULL);
    while ((event = rd_kafka_queue_poll(c->queue.queue, 0)))
        rd_kafka_event_destroy(event);
}

int consumer_assign_list(struct consumer *c, const struct kafka_position *positions, size_t count,
                         struct error *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (const struct kafka_position *p = positions; p < positions + count; p++)
        rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset = p->offset;
    drop_fetched(c);
    rd_kafka_resp_err_t code = kafka_handle_assign(c->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? error_set(err, "assign: %s", rd_kafka_err2str(code)) : 0;
}

int consumer_assign(struct consumer *c, const char *topic, int32_t partition, int64_t offset,
                    struct error *err) {
    const struct kafka_position position = {topic, partition, offset};
    return consumer_assign_list(c, &position, 1, err);
}

bool consumer_at_end(const struct consumer *c, const struct kafka_record *record) {
    int64_t low, high;
    return !rd_kafka_get_watermark_offsets(c->rk, record->topic, record->partition, &low, &high) &&
           record->offset + 1 >= high;
}

void consumer_unassign(struct consumer *c) { kafka_handle_assign(c->rk, NULL); }

void consumer_free(struct consumer *c) {
    if (!c)
        return;
    kafka_queue_close(&c->queue);
    loop_io_clear(c->loop, &c->lost_io);
    kafka_handle_destroy(c->loop, c->rk, free_rest, c);
}
