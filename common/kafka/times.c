/* From times to offsets; see times.h. */
#include "common/kafka/times.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/kafka/handle.h"

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
    kafka_handle_leave(times->rk);
    free(times);
}

/* A time before 1970 would mean one of Kafka's special offsets. Later than everything is the end.
 */
static rd_kafka_resp_err_t times_ask_time(rd_kafka_t *rk, const char *topic, int32_t partition,
                                          int64_t *at, int64_t end, int64_t deadline_ms) {
    *at = *at < 0 ? 0 : *at;
    rd_kafka_resp_err_t code = kafka_handle_offset(rk, topic, partition, at, deadline_ms);
    *at = *at < 0 || *at > end ? end : *at;
    return code;
}

int times_offsets(struct times *times, const char *topic, int32_t partition, int64_t *at,
                  size_t count, int64_t *end, struct error *err) {
    const int64_t deadline_ms = clock_ms() + CALL_TIMEOUT_MS;
    *end = RD_KAFKA_OFFSET_END;
    rd_kafka_resp_err_t code = kafka_handle_offset(times->rk, topic, partition, end, deadline_ms);
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
