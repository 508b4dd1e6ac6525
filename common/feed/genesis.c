/* The log's first record; see genesis.h. Blocking calls, for a loop_task. */
#include "common/feed/genesis.h"

#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/json/writer.h"
#include "common/kafka/times.h"
#include "common/model/event.h"

#define KEY_PREFIX "\0genesis/"
enum {
    KEY_PREFIX_BYTES = sizeof KEY_PREFIX - 1,
    UUID_BYTES = 36,
    CALL_TIMEOUT_MS = 4000,
    VALUE_BYTES = 120
};

static const struct kafka_setting writer[] = {
    {"acks", "all"}, {"enable.idempotence", "true"}, {"message.timeout.ms", "4000"}, {NULL, NULL}};
static const struct kafka_setting reader[] = {{"enable.auto.commit", "false"},
                                              {"auto.offset.reset", "error"},
                                              {"enable.partition.eof", "true"},
                                              {NULL, NULL}};

bool genesis_key(struct span key) {
    return key.len > KEY_PREFIX_BYTES && memcmp(key.data, KEY_PREFIX, KEY_PREFIX_BYTES) == 0;
}

bool genesis_names(struct span key, const char *feed) {
    return span_equal((struct span){key.data + KEY_PREFIX_BYTES, key.len - KEY_PREFIX_BYTES},
                      span_of(feed));
}

int32_t genesis_partitions(struct span value) {
    static const char name[] = "\"partitions\":";
    char text[VALUE_BYTES];
    snprintf(text, sizeof text, "%.*s",
             (int)(value.len < VALUE_BYTES ? value.len : VALUE_BYTES - 1),
             value.len ? value.data : "");
    const char *at = strstr(text, name);
    if (!at)
        return SUBSCRIBER_PARTITIONS_DEFAULT;
    at += strlen(name);
    return (int32_t)number_parse((struct span){at, strspn(at, "0123456789")});
}

/* The fate of the one record that was sent. (rd_kafka_flush waits for reports to be taken, so it
 * would only time out.) */
static rd_kafka_resp_err_t await_report(rd_kafka_t *rk) {
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(rk);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    int64_t deadline = clock_ms() + CALL_TIMEOUT_MS;
    const rd_kafka_message_t *report = NULL;
    while (!report && clock_ms() < deadline) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 100);
        if (event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR &&
            (report = rd_kafka_event_message_next(event)))
            code = report->err;
        if (event)
            rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    return code;
}

/* Appends a genesis record and waits for it. Two ingests may do so at once: the one at offset 0
 * counts. */
static int write_genesis(const struct kafka_config *config, const char *topic, int32_t partitions,
                         struct error *err) {
    char uuid[37], key[KEY_PREFIX_BYTES + UUID_BYTES];
    struct buf value = {0};
    rd_kafka_t *rk = kafka_handle_new(RD_KAFKA_PRODUCER, config, writer, err);
    if (!rk)
        return -1;
    uuid_v4(uuid);
    memcpy(key, KEY_PREFIX, KEY_PREFIX_BYTES);
    memcpy(key + KEY_PREFIX_BYTES, uuid, UUID_BYTES);
    json_put_object(&value);
    json_member_number(&value, "v", 1);
    json_member_string(&value, "feed", uuid);
    json_member_number(&value, "partitions", partitions);
    json_end_object(&value);
    rd_kafka_resp_err_t code = rd_kafka_producev(
        rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY(key, sizeof key),
        RD_KAFKA_V_VALUE(value.data, value.len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_HEADER("ess-v", "1", 1), RD_KAFKA_V_HEADER("ess-feed", uuid, UUID_BYTES),
        RD_KAFKA_V_END);
    buf_fini(&value);
    if (!code)
        code = await_report(rk);
    rd_kafka_destroy(rk);
    return code ? error_set(err, "the first record of %s cannot be written: %s", topic,
                            rd_kafka_err2str(code))
                : 0;
}

/* The record at offset 0, or NULL with the reason. The caller destroys it. */
static rd_kafka_message_t *read_first(rd_kafka_t *rk, const char *topic, struct error *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = 0;
    rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    int64_t deadline = clock_ms() + CALL_TIMEOUT_MS;
    while (clock_ms() < deadline) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);
        if (message && !message->err)
            return message;
        if (message)
            rd_kafka_message_destroy(message);
    }
    error_set(err, "the first record of %s cannot be read", topic);
    return NULL;
}

static enum topics_state judge_first(const rd_kafka_message_t *first, const char *topic,
                                     struct genesis *genesis, struct error *err) {
    struct span key = {first->key, first->key_len};
    if (first->offset != 0 || !genesis_key(key) || key.len != KEY_PREFIX_BYTES + UUID_BYTES) {
        error_set(err,
                  "topic %s was not begun by ESS (no genesis record at offset 0): choose another "
                  "kafka.prefix, or delete the topic if it "
                  "holds nothing of yours",
                  topic);
        return TOPICS_REFUSED;
    }
    memcpy(genesis->feed, key.data + KEY_PREFIX_BYTES, UUID_BYTES);
    genesis->feed[UUID_BYTES] = 0;
    genesis->subscriber_partitions = genesis_partitions((struct span){first->payload, first->len});
    return TOPICS_READY;
}

static enum topics_state with_reader(rd_kafka_t *rk, const struct kafka_config *config,
                                     const char *topic, bool create, struct genesis *genesis,
                                     struct error *err) {
    int64_t low, high;
    rd_kafka_resp_err_t code = kafka_bounds(rk, topic, 0, &low, &high, CALL_TIMEOUT_MS);
    if (!code && low == 0 && high == 0 && create &&
        write_genesis(config, topic, genesis->subscriber_partitions, err) == 0)
        code = kafka_bounds(rk, topic, 0, &low, &high, CALL_TIMEOUT_MS);
    if (code || (low == 0 && high == 0)) {
        if (code || !create)
            error_set(err, "%s: %s", topic,
                      code ? rd_kafka_err2str(code) : "is empty so far; ess-ingest begins it");
        return TOPICS_AWAY;
    }
    if (low > 0) {
        error_set(err,
                  "topic %s begins at offset %lld, so its first records are lost: restore it, or "
                  "choose another kafka.prefix",
                  topic, (long long)low);
        return TOPICS_REFUSED;
    }
    genesis->end = high - 1;
    rd_kafka_message_t *first = read_first(rk, topic, err);
    if (!first)
        return TOPICS_AWAY;
    enum topics_state state = judge_first(first, topic, genesis, err);
    rd_kafka_message_destroy(first);
    return state;
}

enum topics_state genesis_ensure(const struct kafka_config *config, bool create,
                                 struct genesis *genesis, struct error *err) {
    char topic[KAFKA_TOPIC_BYTES];
    rd_kafka_t *rk = kafka_handle_new(RD_KAFKA_CONSUMER, config, reader, err);
    if (!rk)
        return TOPICS_REFUSED;
    kafka_topic_name(config, "events", topic);
    enum topics_state state = with_reader(rk, config, topic, create, genesis, err);
    kafka_handle_destroy(rk, NULL, NULL);
    return state;
}
