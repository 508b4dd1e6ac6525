/* From times to offsets; see times.h. */
#include "common/kafka/times.h"

#include <stdlib.h>

#include "common/base/buf.h"

enum { CALL_TIMEOUT_MS = 4000 };

struct times {
    rd_kafka_t *rk;
};

struct times *times_new(const struct kafka_config *config, struct error *err) {
    static const struct kafka_setting none[] = {{NULL, NULL}};
    rd_kafka_t *rk = kafka_handle_new(RD_KAFKA_CONSUMER, config, none, err);
    if (!rk)
        return NULL;
    struct times *times = mem_alloc(sizeof *times);
    times->rk = rk;
    return times;
}

void times_free(struct times *times) {
    if (!times)
        return;
    kafka_handle_destroy(times->rk, NULL, NULL);
    free(times);
}

static rd_kafka_resp_err_t query_time(rd_kafka_t *rk, const char *topic, int32_t partition, int64_t *at, int64_t end) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    /* The call takes the time here. Below 0, before 1970, it would mean something else. */
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = *at < 0 ? 0 : *at;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(rk, list, CALL_TIMEOUT_MS);
    if (!code)
        code = list->elems[0].err;
    int64_t offset = list->elems[0].offset;
    *at = offset < 0 || offset > end ? end : offset; /* below 0: later than everything */
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

int times_offsets(struct times *times, const char *topic, int32_t partition, int64_t *at, size_t count, int64_t *end, struct error *err) {
    int64_t low;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(times->rk, topic, partition, &low, end, CALL_TIMEOUT_MS);
    for (size_t i = 0; !code && i < count; i++)
        code = query_time(times->rk, topic, partition, &at[i], *end);
    return code ? error_set(err, "%s", rd_kafka_err2str(code)) : 0;
}

int kafka_offsets_at(const struct kafka_config *config, const char *topic, int32_t partition, int64_t *at, size_t count, int64_t *end,
                     struct error *err) {
    struct times *times = times_new(config, err);
    int result = times ? times_offsets(times, topic, partition, at, count, end, err) : -1;
    times_free(times);
    return result;
}

int kafka_end_of(const struct kafka_config *config, const char *topic, int32_t partition, int64_t *end, struct error *err) {
    return kafka_offsets_at(config, topic, partition, NULL, 0, end, err);
}
