/* The functions of a service that all of its parts use; see service.h. None of them calls a part:
 * starting over only arms a timer. */
#include "common/service/service.h"

#include "common/base/clock.h"

enum { BAD_RECORDS_PERIOD_MS = 60 * 1000, BAD_RECORDS_SAID_MAX = 20 };

bool service_kafka_up(const struct service *s) {
    return s->kafka_up && !(s->feed && feed_trouble(s->feed));
}

bool service_in_force(const struct service *s) {
    return service_kafka_up(s) && !producer_fault(s->producer) && !s->starting_over && !s->stopping;
}

void service_refuse(struct service *s, const char *event, const char *reason) {
    log_error(event, LOG_S("reason", reason));
    s->exit_status = SERVICE_REFUSED_STATUS;
    s->stopping = true;
    loop_stop(s->loop);
}

void service_start_over(struct service *s, const char *reason) {
    if (s->stopping || s->starting_over)
        return;
    int64_t now_ms = clock_ms();
    log_error("start_over", LOG_S("reason", reason),
              LOG_N("pause_ms", pause_until(&s->restarts, now_ms) - now_ms));
    s->starting_over = true;
    loop_timer_set(s->loop, &s->restart, now_ms);
}

void service_bad_record(struct service *s, const char *topic, int32_t partition, int64_t offset,
                        const char *id, const char *reason) {
    int64_t held_back;
    s->bad_records++;
    if (log_burst_pass(&s->bad_records_said, clock_ms(), BAD_RECORDS_PERIOD_MS,
                       BAD_RECORDS_SAID_MAX, &held_back))
        log_error("bad_record", LOG_S("topic", topic), LOG_N("partition", partition),
                  LOG_N("offset", offset), LOG_S("subscriber", id), LOG_S("reason", reason),
                  LOG_N("held_back", held_back));
}
