/* Where Kafka is, what an operator may set, and the names of the topics. */
#ifndef ESS_KAFKA_CONFIG_H
#define ESS_KAFKA_CONFIG_H

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
    /* Where librdkafka's log lines go, from its threads, until kafka_handles_destroyed; NULL:
     * nowhere. */
    void (*log)(void *arg, int syslog_level, const char *text);
    void *log_arg;
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

/* At a program's end: waits for handles that are being destroyed. False: some are not yet, and it
 * must end by _exit(). */
bool kafka_handles_destroyed(int64_t timeout_ms);

#endif
