/* The log's first record; see genesis.h. Blocking calls, for a loop_task. */
#include "common/feed/genesis.h"

#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/number.h"
#include "common/json/writer.h"
#include "common/kafka/producer.h"
#include "common/kafka/range.h"
#include "common/model/event.h"

#define KEY_PREFIX "\0genesis/"
enum { KEY_PREFIX_BYTES = sizeof KEY_PREFIX - 1, UUID_BYTES = 36, VALUE_BYTES = 120 };

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

/* Appends a genesis record and waits. Of two ingests at once, the record at offset 0 wins. */
static int write_genesis(const struct kafka_config *config, const char *topic, int32_t partitions,
                         struct error *err) {
    char uuid[37], key[KEY_PREFIX_BYTES + UUID_BYTES];
    struct buf value = {0};
    uuid_v4(uuid);
    memcpy(key, KEY_PREFIX, KEY_PREFIX_BYTES);
    memcpy(key + KEY_PREFIX_BYTES, uuid, UUID_BYTES);
    json_put_object(&value);
    json_member_number(&value, "v", 1);
    json_member_string(&value, "feed", uuid);
    json_member_number(&value, "partitions", partitions);
    json_end_object(&value);
    const struct kafka_header headers[] = {{"ess-v", span_of("1")}, {"ess-feed", span_of(uuid)}};
    const struct producer_record record = {.topic = topic,
                                           .key = {key, sizeof key},
                                           .value = {value.data, value.len},
                                           .headers = headers,
                                           .headers_count = 2};
    int result = producer_append_once(config, &record, err);
    buf_fini(&value);
    return result ? error_prefix(err, "the first record of %s cannot be written: ", topic) : 0;
}

/* The content of the log's first record. */
struct first {
    const char *topic;
    struct genesis *genesis;
    enum topics_state state; /* TOPICS_AWAY: not read */
    struct error *err;
};

/* Stops after one record. */
static bool judge_first(void *arg, const struct kafka_record *record) {
    struct first *first = arg;
    struct span key = record->key;
    if (record->offset != 0 || !genesis_key(key) || key.len != KEY_PREFIX_BYTES + UUID_BYTES) {
        error_set(first->err,
                  "topic %s was not begun by ESS (no genesis record at offset 0): choose another "
                  "kafka.prefix, or delete the topic if it "
                  "holds nothing of yours",
                  first->topic);
        first->state = TOPICS_REFUSED;
        return false;
    }
    memcpy(first->genesis->feed, key.data + KEY_PREFIX_BYTES, UUID_BYTES);
    first->genesis->feed[UUID_BYTES] = 0;
    first->genesis->subscriber_partitions = genesis_partitions(record->value);
    first->state = TOPICS_READY;
    return false;
}

static enum topics_state read_first(struct range *range, const char *topic, int64_t to,
                                    struct genesis *genesis, struct error *err) {
    const struct kafka_position beginning = {.topic = topic};
    struct error why;
    struct first first = {.topic = topic, .genesis = genesis, .state = TOPICS_AWAY, .err = err};
    error_set(err, "the first record of %s cannot be read", topic);
    range_read(range, &beginning, to, judge_first, &first, &why);
    return first.state;
}

/* Reads the log's bounds; begins an empty log, if allowed. */
static int find_bounds(struct range *range, const struct kafka_config *config, const char *topic,
                       bool create, struct genesis *genesis, int64_t *low, int64_t *high,
                       struct error *err) {
    if (range_bounds(range, topic, 0, low, high, err))
        return error_prefix(err, "%s: ", topic);
    if (*high > 0)
        return 0;
    if (!create)
        return error_set(err, "%s: is still empty; ess-ingest begins it", topic);
    if (write_genesis(config, topic, genesis->subscriber_partitions, err))
        return -1;
    if (range_bounds(range, topic, 0, low, high, err))
        return error_prefix(err, "%s: ", topic);
    return *high > 0 ? 0 : error_set(err, "%s: is still empty", topic);
}

static enum topics_state with_reader(struct range *range, const struct kafka_config *config,
                                     const char *topic, bool create, struct genesis *genesis,
                                     struct error *err) {
    int64_t low, high;
    if (find_bounds(range, config, topic, create, genesis, &low, &high, err))
        return TOPICS_AWAY;
    if (low > 0) {
        error_set(err,
                  "topic %s begins at offset %lld, so its first records are lost: restore it, or "
                  "choose another kafka.prefix",
                  topic, (long long)low);
        return TOPICS_REFUSED;
    }
    genesis->end = high - 1;
    return read_first(range, topic, high, genesis, err);
}

enum topics_state genesis_ensure(const struct kafka_config *config, bool create,
                                 struct genesis *genesis, struct error *err) {
    char topic[KAFKA_TOPIC_BYTES];
    struct range *range = range_new(config, err);
    if (!range)
        return TOPICS_REFUSED;
    kafka_topic_name(config, "events", topic);
    enum topics_state state = with_reader(range, config, topic, create, genesis, err);
    range_free(range);
    return state;
}
