/* What every Kafka handle of ESS is made from. */
#ifndef ESS_KAFKA_CONFIG_H
#define ESS_KAFKA_CONFIG_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/options.h"

struct kafka_config {
    char *brokers;
    char *prefix;        /* of the topics */
    char *password_file; /* of SASL; NULL or "": none */
    int64_t replication_factor,
        min_insync_replicas;   /* used when a topic is created; -1: the broker's own */
    int64_t replay_window_ms;  /* likewise */
    int64_t partitions;        /* likewise: of subscribers and tokens */
    struct option_map rdkafka; /* the operator's own librdkafka settings */
};

/* The number of partitions of subscribers is the feed's own: struct genesis has it. */
enum { SUBSCRIBER_PARTITIONS_DEFAULT = 64, SUBSCRIBER_PARTITIONS_MAX = 1024 };
enum { DEAD_LETTER_PARTITIONS = 8, KAFKA_TOPIC_BYTES = 160 };

/* "<prefix>.<name>". The names: events, subscribers, tokens, dlq. */
void kafka_topic_name(const struct kafka_config *config, const char *name,
                      char out[KAFKA_TOPIC_BYTES]);

/* The partition of everything about a subscriber: murmur2 of its id, as Java clients do. */
int32_t kafka_partition_of(const char *subscriber_id, int32_t partitions);

/* A librdkafka setting that ESS rests on may not be given by kafka.rdkafka (a check for the options
 * table). */
int kafka_check_rdkafka(const char *name, const char *value, struct error *err);

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
 * its queues, no callbacks are used; librdkafka's own log lines go to `kafka_log` (from its
 * threads). Returns NULL with the reason. */
rd_kafka_t *kafka_handle_new(rd_kafka_type_t type, const struct kafka_config *config,
                             const struct kafka_setting *settings, struct error *err);
/* The same, and `lost(arg)` is called when the connection that records were fetched over has ended,
 * or another broker's has taken its place, before anything that is fetched over the next one is
 * given out. The end of any other connection (a group coordinator's, one for metadata) says nothing
 * about what was read. librdkafka's threads call it, until rd_kafka_destroy has returned. */
rd_kafka_t *kafka_handle_new_watched(rd_kafka_type_t type, const struct kafka_config *config,
                                     const struct kafka_setting *settings,
                                     struct kafka_watch *watch, struct error *err);

/* Destroys a consumer's handle on a thread of its own, which then calls done(arg) (done may be
 * NULL): it can take seconds, and for ever in librdkafka before 2.6.1 when a partition was removed
 * while it was read (its messages then hold each other). Nothing waits for it. */
void kafka_handle_destroy(rd_kafka_t *rk, void (*done)(void *arg), void *arg);
/* At a program's end: waits for handles that are being destroyed. False: some are not yet, and it
 * must end by _exit(). */
bool kafka_handles_destroyed(int64_t timeout_ms);

/* Where librdkafka's log lines go; set once at a program's start. NULL: nowhere. */
extern void (*kafka_log)(int syslog_level, const char *text);

#endif
