/* Kafka's address, the settings open to operators, and the topic names. */
#ifndef ESS_KAFKA_CONFIG_H
#define ESS_KAFKA_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/options.h"

struct kafka_config {
    char *brokers;
    char *prefix;                                    /* of the topics */
    char *password_file;                             /* SASL password; NULL or "": none */
    int64_t replication_factor, min_insync_replicas; /* for new topics; -1: the broker's default */
    int64_t replay_window_ms;                        /* for new topics */
    int64_t partitions;                              /* for new topics of subscribers and tokens */
    struct option_map rdkafka;                       /* the operator's librdkafka settings */
    /* Receives librdkafka's log lines, from librdkafka's threads, until kafka_handles_destroyed.
     * May be NULL. */
    void (*log)(void *arg, int syslog_level, const char *text);
    void *log_arg;
};

/* An existing feed keeps its number of subscriber partitions in struct genesis. */
enum { SUBSCRIBER_PARTITIONS_DEFAULT = 64, SUBSCRIBER_PARTITIONS_MAX = 1024 };
enum { DEAD_LETTER_PARTITIONS = 8, KAFKA_TOPIC_BYTES = 160 };

/* Writes "<prefix>.<name>". The names: events, subscribers, tokens, dlq. */
void kafka_topic_name(const struct kafka_config *config, const char *name,
                      char out[KAFKA_TOPIC_BYTES]);

/* The partition of all records of a subscriber: murmur2 of the id, as in Java clients. */
int32_t kafka_partition_of(const char *subscriber_id, int32_t partitions);

/* Refuses a librdkafka setting in kafka.rdkafka that ESS depends on (a check for the options
 * table). */
int kafka_check_rdkafka(const char *name, const char *value, struct error *err);

/* Call at program end: waits for handles being destroyed. Returns false if some handles remain: end
 * the program by _exit(). */
bool kafka_handles_destroyed(int64_t timeout_ms);

#endif
