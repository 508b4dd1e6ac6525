/* Readiness, the log's end, and the ways in which ess-ingest stops what it is doing; see ingest.h.
 * Starting over only arms a timer, whose callback main.c registers: no part calls into main.c. */
#include "ingest/ingest.h"

#include "common/base/clock.h"

bool ingest_kafka_up(const struct ingest *ingest) {
    return ingest->kafka_up && !(ingest->feed && feed_trouble(ingest->feed));
}

bool ingest_ready(const struct ingest *ingest) {
    return ingest_kafka_up(ingest) && !producer_fault(ingest->producer) &&
           ingest_knows_subscribers(ingest) && !ingest->subscribers_trouble && ingest->ids_read &&
           feed_sure(ingest->feed);
}

bool ingest_knows_subscribers(const struct ingest *ingest) {
    return ingest->folder && !ingest->starting_over && !ingest->stopping;
}

int64_t ingest_end(const struct ingest *ingest) {
    int64_t end = ingest->feed ? feed_end(ingest->feed) : ingest->genesis.end;
    return ingest->acknowledged > end ? ingest->acknowledged : end;
}

int64_t ingest_log_end(const struct ingest *ingest) {
    int64_t end = ingest_end(ingest), told = ingest->feed ? feed_log_end(ingest->feed) : end;
    return told > end ? told : end;
}

void ingest_stop(struct ingest *ingest) {
    ingest->stopping = true;
    loop_stop(ingest->loop);
}

void ingest_refuse(struct ingest *ingest, const char *event, const char *reason) {
    log_error(event, LOG_S("reason", reason));
    ingest->exit_status = INGEST_REFUSED_STATUS;
    ingest_stop(ingest);
}

void ingest_start_over(struct ingest *ingest, const char *reason) {
    if (ingest->stopping || ingest->restart.slot)
        return;
    int64_t now_ms = clock_ms();
    log_error("start_over", LOG_S("reason", reason),
              LOG_N("pause_ms", pause_until(&ingest->restarts, now_ms) - now_ms));
    ingest->starting_over = true;
    loop_timer_set(ingest->loop, &ingest->restart, now_ms);
}

enum { BAD_RECORDS_PERIOD_MS = 60 * 1000, BAD_RECORDS_SAID_MAX = 20 };

void ingest_bad_record(struct ingest *ingest, const char *topic, int32_t partition, int64_t offset,
                       const char *id, const char *reason) {
    int64_t held_back;
    ingest->bad_records++;
    if (log_burst_pass(&ingest->bad_records_said, clock_ms(), BAD_RECORDS_PERIOD_MS,
                       BAD_RECORDS_SAID_MAX, &held_back))
        log_error("bad_record", LOG_S("topic", topic), LOG_N("partition", partition),
                  LOG_N("offset", offset), LOG_S("subscriber", id), LOG_S("reason", reason),
                  LOG_N("held_back", held_back));
}
