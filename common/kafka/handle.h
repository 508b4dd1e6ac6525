/* Making and ending librdkafka handles. Only common/kafka includes this. */
#ifndef ESS_KAFKA_HANDLE_H
#define ESS_KAFKA_HANDLE_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "common/base/loop.h"
#include "common/kafka/config.h"

/* One setting; {NULL, NULL} ends a list. */
struct kafka_setting {
    const char *name;
    const char *value;
};

/* Watches the connection used for reading. Must outlive the handle. */
struct kafka_watch {
    void (*lost)(void *arg);
    void *arg;
    atomic_ulong reader; /* librdkafka's thread whose connection the last answer to a fetch came
                            over; 0: none */
};

/* Makes a handle with ESS's common settings, the operator's, then `settings`. Events come from its
 * queues; librdkafka's log lines go to config->log. Returns NULL with the reason. End the handle by
 * one of the three functions below. */
rd_kafka_t *kafka_handle_new(rd_kafka_type_t type, const struct kafka_config *config,
                             const struct kafka_setting *settings, struct error *err);
/* handle_new that also calls `lost(arg)` when the connection used for fetching has ended or was
 * replaced by another broker's, before any record from the next one is given out. The end of other
 * connections (a group coordinator's, one for metadata) is not reported. Called on librdkafka's
 * threads until the handle has ended. */
rd_kafka_t *kafka_handle_new_watched(rd_kafka_type_t type, const struct kafka_config *config,
                                     const struct kafka_setting *settings,
                                     struct kafka_watch *watch, struct error *err);

/* rd_kafka_assign that allows another assignment right after. */
rd_kafka_resp_err_t kafka_handle_assign(rd_kafka_t *rk,
                                        const rd_kafka_topic_partition_list_t *list);

/* Asks a partition's leader for an offset, until `deadline_ms`. `*at` is a time (wall, ms),
 * RD_KAFKA_OFFSET_BEGINNING or RD_KAFKA_OFFSET_END, and becomes the offset, negative if none.
 * Blocks. (rd_kafka_query_watermark_offsets never returns while a broker hangs.) */
rd_kafka_resp_err_t kafka_handle_offset(rd_kafka_t *rk, const char *topic, int32_t partition,
                                        int64_t *at, int64_t deadline_ms);

/* Whether librdkafka recovers from this error of a consumer by itself. */
bool kafka_handle_recovers(rd_kafka_resp_err_t code);

/* Ends a handle by a loop task, whose thread then calls done(arg) (done may be NULL). Ending may
 * take seconds, and never completes in librdkafka before 2.6.1 when a partition was removed while
 * being read (its messages hold each other). Loop thread; does not block. */
void kafka_handle_destroy(struct loop *loop, rd_kafka_t *rk, void (*done)(void *arg), void *arg);
/* Ends a handle from a thread that may block: on a new thread, or in place if the system gives
 * none. */
void kafka_handle_leave(rd_kafka_t *rk);
/* Ends a handle in place; `flags` are those of rd_kafka_destroy_flags. */
void kafka_handle_end(rd_kafka_t *rk, int flags);

#endif
