/* Reads a range of a partition; see range.h. */
#include "common/kafka/range.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/kafka/handle.h"
#include "common/kafka/message.h"

enum { CALL_TIMEOUT_MS = 4000, POLL_MS = 100 };

struct range {
    rd_kafka_t *rk;
    struct message_headers headers;
};

/* State of range_read. */
struct range_walk {
    struct range *range;
    int64_t to;
    bool (*record)(void *arg, const struct kafka_record *record);
    void *arg;
};

struct range *range_new(const struct kafka_config *config, struct error *err) {
    static const struct kafka_setting settings[] = {{"enable.auto.commit", "false"},
                                                    {"auto.offset.reset", "earliest"},
                                                    {"enable.partition.eof", "true"},
                                                    {"fetch.wait.max.ms", "10"},
                                                    {"queued.max.messages.kbytes", "4096"},
                                                    {"coordinator.query.interval.ms", "2000000"},
                                                    {NULL, NULL}};
    rd_kafka_t *rk = kafka_handle_new(RD_KAFKA_CONSUMER, config, settings, err);
    if (!rk)
        return NULL;
    struct range *range = mem_zero(sizeof *range);
    range->rk = rk;
    return range;
}

void range_free(struct range *range) {
    if (!range)
        return;
    kafka_handle_leave(range->rk);
    message_headers_fini(&range->headers);
    free(range);
}

int range_bounds(struct range *range, const char *topic, int32_t partition, int64_t *first,
                 int64_t *next, struct error *err) {
    const int64_t deadline_ms = clock_ms() + CALL_TIMEOUT_MS;
    *first = RD_KAFKA_OFFSET_BEGINNING;
    *next = RD_KAFKA_OFFSET_END;
    rd_kafka_resp_err_t code = kafka_handle_offset(range->rk, topic, partition, first, deadline_ms);
    if (!code)
        code = kafka_handle_offset(range->rk, topic, partition, next, deadline_ms);
    return code ? error_set(err, "%s", rd_kafka_err2str(code)) : 0;
}

static void range_assign(struct range *range, const struct kafka_position *from) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, from->topic, from->partition)->offset = from->offset;
    kafka_handle_assign(range->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Whether more is to come. */
static bool range_take(const struct range_walk *walk, const rd_kafka_message_t *message) {
    struct kafka_record record;
    if (message->err || message->offset >= walk->to)
        return false; /* the partition's end comes as an error */
    message_read(message, &walk->range->headers, &record);
    return walk->record(walk->arg, &record) && message->offset + 1 < walk->to;
}

/* Returns 1 when more is to come, 0 at the end, -1 without data. */
static int range_step(const struct range_walk *walk) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll(walk->range->rk, POLL_MS);
    int result = -1;
    if (message && (!message->err || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF))
        result = range_take(walk, message);
    if (message)
        rd_kafka_message_destroy(message);
    return result;
}

int range_read(struct range *range, const struct kafka_position *from, int64_t to,
               bool (*record)(void *, const struct kafka_record *), void *arg, struct error *err) {
    const struct range_walk walk = {range, to, record, arg};
    int64_t deadline_ms = clock_ms() + CALL_TIMEOUT_MS;
    int step = 1;
    range_assign(range, from);
    while (step) {
        step = range_step(&walk);
        if (step > 0)
            deadline_ms = clock_ms() + CALL_TIMEOUT_MS;
        else if (step < 0 && clock_ms() > deadline_ms)
            return error_set(err, "partition %d of %s cannot be read", (int)from->partition,
                             from->topic);
    }
    return 0;
}
