/* From a time to an offset; see times.h. */
#include "common/kafka/times.h"

enum { CALL_TIMEOUT_MS = 4000 };

static int query(rd_kafka_t *rk, const char *topic, int64_t wall_ms, int64_t *offset, struct error *err) {
    int64_t low;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = wall_ms; /* the call takes the time here */
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(rk, list, CALL_TIMEOUT_MS);
    if (!code)
        code = list->elems[0].err;
    *offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (!code && *offset < 0) /* later than everything */
        code = rd_kafka_query_watermark_offsets(rk, topic, 0, &low, offset, CALL_TIMEOUT_MS);
    return code ? error_set(err, "%s", rd_kafka_err2str(code)) : 0;
}

int kafka_offset_at(const struct kafka_config *config, const char *topic, int64_t wall_ms, int64_t *offset, struct error *err) {
    static const struct kafka_setting none[] = {{NULL, NULL}};
    rd_kafka_t *rk = kafka_handle_new(RD_KAFKA_CONSUMER, config, none, err);
    if (!rk)
        return -1;
    int result = query(rk, topic, wall_ms, offset, err);
    rd_kafka_destroy(rk);
    return result;
}

int kafka_end_of(const struct kafka_config *config, const char *topic, int32_t partition, int64_t *end, struct error *err) {
    static const struct kafka_setting none[] = {{NULL, NULL}};
    int64_t low;
    rd_kafka_t *rk = kafka_handle_new(RD_KAFKA_CONSUMER, config, none, err);
    if (!rk)
        return -1;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(rk, topic, partition, &low, end, CALL_TIMEOUT_MS);
    rd_kafka_destroy(rk);
    return code ? error_set(err, "%s", rd_kafka_err2str(code)) : 0;
}
