/* From times to offsets; see times.h. */
#include "common/kafka/times.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

enum { CALL_TIMEOUT_MS = 4000 };

struct times {
    rd_kafka_t *rk;
};

struct times *times_new(const struct kafka_config *config, struct error *err) {
    static const struct kafka_setting settings[] = {{"isolation.level", "read_uncommitted"},
                                                    {NULL, NULL}};
    rd_kafka_t *rk = kafka_handle_new(RD_KAFKA_CONSUMER, config, settings, err);
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

/* `*at`: a time, or Kafka's OFFSET_BEGINNING or OFFSET_END; becomes an offset, below 0 when there
 * is none. */
static rd_kafka_resp_err_t times_ask(rd_kafka_t *rk, const char *topic, int32_t partition,
                                     int64_t *at, int64_t deadline_ms) {
    int64_t left_ms = deadline_ms - clock_ms();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset =
        *at; /* the call takes the time here */
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(rk, list, left_ms > 0 ? (int)left_ms : 0);
    if (!code)
        code = list->elems[0].err;
    *at = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

rd_kafka_resp_err_t kafka_bounds(rd_kafka_t *rk, const char *topic, int32_t partition, int64_t *low,
                                 int64_t *high, int timeout_ms) {
    const int64_t deadline_ms = clock_ms() + timeout_ms;
    *low = RD_KAFKA_OFFSET_BEGINNING;
    *high = RD_KAFKA_OFFSET_END;
    rd_kafka_resp_err_t code = times_ask(rk, topic, partition, low, deadline_ms);
    return code ? code : times_ask(rk, topic, partition, high, deadline_ms);
}

/* A time before 1970 would mean one of Kafka's special offsets. Later than everything is the end.
 */
static rd_kafka_resp_err_t times_ask_time(rd_kafka_t *rk, const char *topic, int32_t partition,
                                          int64_t *at, int64_t end, int64_t deadline_ms) {
    *at = *at < 0 ? 0 : *at;
    rd_kafka_resp_err_t code = times_ask(rk, topic, partition, at, deadline_ms);
    *at = *at < 0 || *at > end ? end : *at;
    return code;
}

int times_offsets(struct times *times, const char *topic, int32_t partition, int64_t *at,
                  size_t count, int64_t *end, struct error *err) {
    const int64_t deadline_ms = clock_ms() + CALL_TIMEOUT_MS;
    *end = RD_KAFKA_OFFSET_END;
    rd_kafka_resp_err_t code = times_ask(times->rk, topic, partition, end, deadline_ms);
    for (size_t i = 0; !code && i < count; i++)
        code = times_ask_time(times->rk, topic, partition, &at[i], *end, deadline_ms);
    return code ? error_set(err, "%s", rd_kafka_err2str(code)) : 0;
}

int kafka_offsets_at(const struct kafka_config *config, const char *topic, int32_t partition,
                     int64_t *at, size_t count, int64_t *end, struct error *err) {
    struct times *times = times_new(config, err);
    int result = times ? times_offsets(times, topic, partition, at, count, end, err) : -1;
    times_free(times);
    return result;
}

int kafka_end_of(const struct kafka_config *config, const char *topic, int32_t partition,
                 int64_t *end, struct error *err) {
    return kafka_offsets_at(config, topic, partition, NULL, 0, end, err);
}
