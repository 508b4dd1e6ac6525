/* A librdkafka handle as ESS makes and ends it. Only common/kafka includes this. */
#ifndef ESS_KAFKA_HANDLE_H
#define ESS_KAFKA_HANDLE_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "common/base/loop.h"
#include "common/kafka/config.h"

/* One setting; a list of them ends with {NULL, NULL}. */
struct kafka_setting {
    const char *name;
    const char *value;
};

/* Watches the connection that a consumer reads over. Must outlive the handle. */
struct kafka_watch {
    void (*lost)(void *arg);
    void *arg;
    atomic_ulong reader; /* librdkafka's thread whose connection the last answer to a fetch came
                            over; 0: none */
};

/* A new handle with ESS's common settings, the operator's, and then `settings`. Events come from
 * its queues; librdkafka's own log lines go to config->log. Returns NULL with the reason. Ended by
 * one of the three below, by nothing else. */
rd_kafka_t *kafka_handle_new(rd_kafka_type_t type, const struct kafka_config *config,
                             const struct kafka_setting *settings, struct error *err);
/* The same, and `lost(arg)` is called when the connection that records were fetched over has ended,
 * or another broker's has taken its place, before anything that is fetched over the next one is
 * given out. The end of any other connection (a group coordinator's, one for metadata) says nothing
 * about what was read. librdkafka's threads call it, until the handle has ended. */
rd_kafka_t *kafka_handle_new_watched(rd_kafka_type_t type, const struct kafka_config *config,
                                     const struct kafka_setting *settings,
                                     struct kafka_watch *watch, struct error *err);

/* rd_kafka_assign, after which the next one may follow at once. */
rd_kafka_resp_err_t kafka_handle_assign(rd_kafka_t *rk,
                                        const rd_kafka_topic_partition_list_t *list);

/* Asks a partition's leader for an offset, within the time up to `deadline_ms`: `*at` is a time
 * (wall, ms), RD_KAFKA_OFFSET_BEGINNING or RD_KAFKA_OFFSET_END, and becomes the offset, below 0
 * when there is none. Blocks. (rd_kafka_query_watermark_offsets waits for ever while a broker
 * hangs.) */
rd_kafka_resp_err_t kafka_handle_offset(rd_kafka_t *rk, const char *topic, int32_t partition,
                                        int64_t *at, int64_t deadline_ms);

/* Ends a handle by a task of the loop, whose thread then calls done(arg) (done may be NULL): it can
 * take seconds, and for ever in librdkafka before 2.6.1 when a partition was removed while it was
 * read (its messages then hold each other). Loop thread; does not block. */
void kafka_handle_destroy(struct loop *loop, rd_kafka_t *rk, void (*done)(void *arg), void *arg);
/* The same from a thread that may block: on another one, or right there when there is none. */
void kafka_handle_leave(rd_kafka_t *rk);
/* Right there; `flags` are rd_kafka_destroy_flags'. */
void kafka_handle_end(rd_kafka_t *rk, int flags);

#endif
