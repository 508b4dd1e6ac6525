/* The topics' shapes, creation and check; see topics.h. By librdkafka's admin calls. */
#include "common/kafka/topics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/number.h"
#include "common/kafka/handle.h"

enum {
    CALL_TIMEOUT_MS = 4000,
    HOUR_MS = 3600 * 1000,
    SETTINGS_MAX = 8,
    RECORD_BYTES_DEFAULT = 1048588
};

struct shape {
    const char *name;
    int partitions; /* 0: kafka.partitions, or as many as the first such topic has */
    const char *cleanup;
    int64_t compaction_lag_ms;   /* -1: the replay window */
    int64_t delete_retention_ms; /* 0: the broker's default */
    int64_t retention_ms;        /* 0: the broker's default */
};
static const struct shape shapes[] = {
    {"events", 1, "compact", -1, -1, 0},
    {"subscribers", 0, "compact", 0, 0, 0},
    {"tokens", 0, "compact", HOUR_MS, 0,
     0}, /* so that a fence cannot vanish while a reader needs it */
    {"dlq", DEAD_LETTER_PARTITIONS, "delete", 0, 0, 30LL * 24 * HOUR_MS},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* The settings of a topic as created by ESS. */
struct settings {
    char names[SETTINGS_MAX][40];
    char values[SETTINGS_MAX][24];
    size_t count;
};

static void topics_add(struct settings *s, const char *name, const char *value) {
    snprintf(s->names[s->count], sizeof *s->names, "%s", name);
    snprintf(s->values[s->count], sizeof *s->values, "%s", value);
    s->count++;
}

static void add_number(struct settings *s, const char *name, int64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    topics_add(s, name, text);
}

static void settings_of(const struct shape *shape, const struct kafka_config *config,
                        struct settings *s) {
    int64_t window = config->replay_window_ms;
    s->count = 0;
    topics_add(s, "cleanup.policy", shape->cleanup);
    topics_add(s, "message.timestamp.type",
               "LogAppendTime"); /* a publisher's ts must not influence compaction */
    if (config->min_insync_replicas > 0)
        add_number(s, "min.insync.replicas", config->min_insync_replicas);
    if (config->replication_factor != 1)
        topics_add(s, "unclean.leader.election.enable", "false");
    if (shape->compaction_lag_ms)
        add_number(s, "min.compaction.lag.ms",
                   shape->compaction_lag_ms < 0 ? window : shape->compaction_lag_ms);
    if (shape->delete_retention_ms)
        add_number(s, "delete.retention.ms", window);
    if (shape->retention_ms)
        add_number(s, "retention.ms", shape->retention_ms);
}

/* Makes an admin call and waits for the result, which the caller destroys. Returns NULL with the
 * reason. */
static rd_kafka_event_t *result_of(rd_kafka_queue_t *queue, struct error *err) {
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CALL_TIMEOUT_MS);
    while (event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) {
        rd_kafka_event_destroy(event);
        event = rd_kafka_queue_poll(queue, CALL_TIMEOUT_MS);
    }
    if (!event || rd_kafka_event_error(event)) {
        error_set(err, "%s", event ? rd_kafka_event_error_string(event) : "no answer from Kafka");
        if (event)
            rd_kafka_event_destroy(event);
        return NULL;
    }
    return event;
}

/* Returns 1: created; 0: another process was faster; -1: failed. */
static int topics_create(rd_kafka_t *rk, rd_kafka_queue_t *queue, const struct shape *shape,
                         const struct kafka_config *config, int partitions, struct error *err) {
    char topic[KAFKA_TOPIC_BYTES], reason[256];
    struct settings s;
    kafka_topic_name(config, shape->name, topic);
    settings_of(shape, config, &s);
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(
        topic, partitions, (int)config->replication_factor, reason, sizeof reason);
    if (!wanted)
        return error_set(err, "topic %s cannot be created: %s", topic, reason);
    for (size_t i = 0; i < s.count; i++)
        rd_kafka_NewTopic_set_config(wanted, s.names[i], s.values[i]);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk,
                                                                 RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_operation_timeout(options, CALL_TIMEOUT_MS - 500, reason,
                                                sizeof reason);
    rd_kafka_CreateTopics(rk, &wanted, 1, options, queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(wanted);
    rd_kafka_event_t *event = result_of(queue, err);
    if (!event)
        return -1;
    size_t count;
    const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event), &count);
    rd_kafka_resp_err_t code = count ? rd_kafka_topic_result_error(results[0])
                                     : RD_KAFKA_RESP_ERR_NO_ERROR;
    int result = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (code && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        result = error_set(err, "topic %s cannot be created: %s", topic,
                           rd_kafka_topic_result_error_string(results[0]));
    rd_kafka_event_destroy(event);
    return result;
}

/* Compares one setting of an existing topic. A wrong clean-up policy is an error, any other
 * difference a warning. */
static int topics_compare(const char *topic, const char *name, const char *wanted,
                          const char *found, struct buf *warnings, struct error *err) {
    if (strcmp(wanted, found) == 0)
        return 0;
    if (strcmp(name, "cleanup.policy") != 0) {
        buf_printf(warnings, "topic %s: %s is %s, ESS would set %s\n", topic, name, found, wanted);
        return 0;
    }
    return error_set(err,
                     "topic %s exists with cleanup.policy=%s, but ESS needs %s: change it with "
                     "Kafka's kafka-configs tool, or choose another "
                     "kafka.prefix",
                     topic, found, wanted);
}

static int take_entry(const struct shape *shape, const char *topic, const struct settings *s,
                      const rd_kafka_ConfigEntry_t *entry, struct topics *topics,
                      struct error *err) {
    const char *name = rd_kafka_ConfigEntry_name(entry), *value = rd_kafka_ConfigEntry_value(entry);
    if (shape == shapes && strcmp(name, "max.message.bytes") == 0)
        topics->record_bytes_max = number_parse(span_of(value));
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(name, s->names[i]) == 0)
            return topics_compare(topic, name, s->values[i], value, &topics->warnings, err);
    return 0;
}

static int check_settings(rd_kafka_t *rk, rd_kafka_queue_t *queue, const struct shape *shape,
                          const struct kafka_config *config, struct topics *topics,
                          enum topics_state *state, struct error *err) {
    char topic[KAFKA_TOPIC_BYTES];
    struct settings s;
    kafka_topic_name(config, shape->name, topic);
    settings_of(shape, config, &s);
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC,
                                                                      topic);
    rd_kafka_DescribeConfigs(rk, &resource, 1, NULL, queue);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_event_t *event = result_of(queue, err);
    if (!event)
        return -1;
    size_t count = 0, entries = 0;
    const rd_kafka_ConfigResource_t **found = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);
    const rd_kafka_ConfigEntry_t **entry = count
                                               ? rd_kafka_ConfigResource_configs(found[0], &entries)
                                               : NULL;
    int result = 0;
    if (!count || rd_kafka_ConfigResource_error(found[0]))
        buf_printf(
            &topics->warnings,
            "topic %s: its settings could not be checked (%s): with a cleanup.policy other than "
            "%s, events are lost. Grant DescribeConfigs to ESS, or check the setting yourself\n",
            topic, count ? rd_kafka_err2str(rd_kafka_ConfigResource_error(found[0])) : "no answer",
            shape->cleanup);
    for (size_t i = 0; i < entries && result == 0; i++)
        if (rd_kafka_ConfigEntry_value(entry[i]))
            result = take_entry(shape, topic, &s, entry[i], topics, err);
    if (result)
        *state = TOPICS_REFUSED;
    rd_kafka_event_destroy(event);
    return result;
}

/* The number of partitions; 0: no such topic; -1: no broker answers. */
static int partitions_of(rd_kafka_t *rk, const char *topic, struct error *err) {
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, rkt, &metadata, CALL_TIMEOUT_MS);
    rd_kafka_topic_destroy(rkt);
    if (code)
        return error_set(err, "%s", rd_kafka_err2str(code));
    const struct rd_kafka_metadata_topic *found = metadata->topic_cnt ? &metadata->topics[0] : NULL;
    int result = found ? found->partition_cnt : 0;
    if (found && found->err && found->err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        result = error_set(err, "topic %s: %s", topic, rd_kafka_err2str(found->err));
    rd_kafka_metadata_destroy(metadata);
    return result;
}

/* Brokers may learn of a new topic a little later. */
static int await_partitions(rd_kafka_t *rk, const char *topic, struct error *err) {
    enum { LOOKS = 40, LOOK_MS = 50 };
    int partitions = 0;
    for (int i = 0; i < LOOKS && partitions == 0; i++) {
        usleep(LOOK_MS * 1000);
        partitions = partitions_of(rk, topic, err);
    }
    return partitions
               ? partitions
               : error_set(err, "topic %s exists, but no broker knows its partitions yet", topic);
}

/* The required number of partitions; 0: any that fits. */
static int partitions_wanted(const struct shape *shape, const struct topics *topics) {
    return shape->partitions ? shape->partitions : topics->subscriber_partitions;
}

static int judge_partitions(const struct shape *shape, const char *topic, int found,
                            struct topics *topics, struct error *err) {
    int wanted = partitions_wanted(shape, topics);
    if (!shape->partitions && wanted && found != wanted)
        return error_set(
            err,
            "topic %s has %d partitions and topic subscribers of the same kafka.prefix has %d, but "
            "they must agree: add "
            "partitions to the one that has fewer, or delete it if it holds nothing of yours",
            topic, found, wanted);
    if (wanted && found != wanted)
        return error_set(err,
                         "topic %s exists with %d partitions, but ESS needs %d: delete it if it "
                         "holds nothing of yours, or choose another kafka.prefix",
                         topic, found, wanted);
    if (found > SUBSCRIBER_PARTITIONS_MAX)
        return error_set(err, "topic %s has %d partitions, but ESS works with %d at most", topic,
                         found, SUBSCRIBER_PARTITIONS_MAX);
    if (!shape->partitions)
        topics->subscriber_partitions = found;
    return 0;
}

static enum topics_state ensure_one(rd_kafka_t *rk, rd_kafka_queue_t *queue,
                                    const struct shape *shape, const struct kafka_config *config,
                                    bool may_create, struct topics *topics, struct error *err) {
    char topic[KAFKA_TOPIC_BYTES];
    enum topics_state state = TOPICS_AWAY;
    kafka_topic_name(config, shape->name, topic);
    int partitions = partitions_of(rk, topic, err);
    if (partitions == 0 && may_create) {
        int wanted = partitions_wanted(shape, topics);
        partitions = wanted ? wanted : (int)config->partitions;
        int made = topics_create(rk, queue, shape, config, partitions, err);
        if (made > 0 && judge_partitions(shape, topic, partitions, topics, err) == 0)
            return TOPICS_READY;
        partitions = made < 0 ? -1 : await_partitions(rk, topic, err);
    }
    if (partitions < 0)
        return TOPICS_AWAY;
    if (partitions == 0) {
        error_set(err, "topic %s does not exist yet; ess-ingest creates it", topic);
        return TOPICS_AWAY;
    }
    if (judge_partitions(shape, topic, partitions, topics, err))
        return TOPICS_REFUSED;
    return check_settings(rk, queue, shape, config, topics, &state, err) ? state : TOPICS_READY;
}

enum topics_state topics_ensure(const struct kafka_config *config, bool may_create,
                                struct topics *topics, struct error *err) {
    static const struct kafka_setting none[] = {{NULL, NULL}};
    rd_kafka_t *rk = kafka_handle_new(RD_KAFKA_PRODUCER, config, none, err);
    if (!rk)
        return TOPICS_REFUSED;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    enum topics_state state = TOPICS_READY;
    topics->record_bytes_max = RECORD_BYTES_DEFAULT;
    topics->subscriber_partitions = 0;
    for (size_t i = 0; i < SHAPES && state == TOPICS_READY; i++)
        state = ensure_one(rk, queue, &shapes[i], config, may_create, topics, err);
    rd_kafka_queue_destroy(queue);
    kafka_handle_leave(rk);
    return state;
}
