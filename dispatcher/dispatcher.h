/* What the parts of ess-dispatcher share. One of it, on the loop's thread. */
#ifndef ESS_DISPATCHER_DISPATCHER_H
#define ESS_DISPATCHER_DISPATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/pause.h"
#include "common/feed/feed.h"
#include "common/feed/genesis.h"
#include "common/http/metrics.h"
#include "common/http/server.h"
#include "common/kafka/cause.h"
#include "common/kafka/producer.h"
#include "common/model/match.h"
#include "common/settings.h"
#include "dispatcher/fault.h"
#include "dispatcher/lane/capacity.h"
#include "dispatcher/lane/window.h"
#include "dispatcher/subscriber/checkpoint.h"

struct authenticator;
struct keyring;
struct offsets;
struct letters;
struct partitions;
struct log_check;
struct subscriber;
struct subscribers;
struct https_client;
struct lag_monitor;

struct dispatcher {
    struct settings settings;
    struct loop *loop;
    struct http_server *http;
    struct authenticator *authenticator;
    struct producer *producer;
    struct offsets *offsets;
    struct genesis genesis;
    struct feed *feed;               /* NULL until the topics are there */
    struct log_check *log_check;     /* likewise */
    struct subscribers *subscribers; /* likewise */
    struct partitions *partitions;   /* from then on */
    struct match *match;
    struct https_client *https;
    struct keyring *keyring;
    char events_topic[KAFKA_TOPIC_BYTES];
    char subscribers_topic[KAFKA_TOPIC_BYTES], tokens_topic[KAFKA_TOPIC_BYTES],
        dlq_topic[KAFKA_TOPIC_BYTES];
    char group[KAFKA_TOPIC_BYTES];
    bool kafka_up;
    bool stopping;         /* nothing more is begun */
    char waiting_for[256]; /* why the log is not open: what Kafka or its topics lack; "": nothing */
    struct pause restarts;
    struct loop_timer restart_due; /* set by dispatcher_start_over, served by startup.c */
    int64_t write_until_ms;        /* how long a start-over waits for its tokens to be written */
    bool starting_over;            /* neither; what is known is written down and then forgotten */
    int exit_status;
    struct lag_monitor *lag_monitor; /* as long as the feed is there */
    struct fault fault;
    struct capacity capacity;       /* of webhooks under way */
    struct loop_timer capacity_due; /* those that wait for it are served */
    struct loop_timer liveness_due;
    struct checkpoints checkpoints;
    int64_t dead_letters_pending; /* not yet reported by Kafka */
    struct letters *letters;      /* reads dead letters, while there are redrives */
    uint64_t random;              /* state of the jitter's generator */
    uint64_t deliveries[VERDICTS], dead_letters[DEAD_LETTER_REASONS];
    uint64_t compacted; /* events that compaction took while they waited for another attempt */
    struct histogram delivery_seconds, end_to_end_seconds;
    int64_t throttle_wait_ms;
    uint64_t foreign_records, bad_records;
    struct log_burst bad_records_said;
    struct log_limit newer_warning, crowded_warning, removal_warning;
    struct causes causes; /* of Kafka's faults, as librdkafka's threads log them */
};

/* Ends the program with status 1 after a fault that an operator must mend. Logs it. */
void dispatcher_refuse(struct dispatcher *d, const char *event, const char *reason);
/* A record about subscriber `id` cannot be read: counts it, and says it, of a flood the first ones
 * of a minute. */
void dispatcher_bad_record(struct dispatcher *d, const char *topic, int32_t partition,
                           int64_t offset, const char *id, const char *reason);
/* The log is not the one it was: forgets all and begins as at the start, from the loop. May be
 * called from any callback. */
void dispatcher_start_over(struct dispatcher *d, const char *reason);
/* Capacity, which is served from the loop. */
void dispatcher_init_capacity(struct dispatcher *d);
/* 64 random bits for jitter (splitmix64). */
uint64_t dispatcher_random(struct dispatcher *d);

#endif
