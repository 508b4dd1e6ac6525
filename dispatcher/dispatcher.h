/* What the parts of ess-dispatcher share. One of it, on the loop's thread. */
#ifndef ESS_DISPATCHER_DISPATCHER_H
#define ESS_DISPATCHER_DISPATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/http/metrics.h"
#include "common/model/match.h"
#include "common/service/service.h"
#include "dispatcher/fault.h"
#include "dispatcher/key_check.h"
#include "dispatcher/lane/slots.h"
#include "dispatcher/lane/window.h"
#include "dispatcher/subscriber/checkpoint.h"

struct keyring;
struct redrive_reader;
struct partitions;
struct log_check;
struct subscriber;
struct subscribers;
struct https_client;
struct lag_monitor;

struct dispatcher {
    struct service service;
    struct log_check *log_check;     /* NULL until the topics are there */
    struct subscribers *subscribers; /* NULL while no log is open */
    struct partitions *partitions;   /* from then on */
    struct match *match;
    struct https_client *https;
    struct keyring *keyring;
    char dlq_topic[KAFKA_TOPIC_BYTES];
    char group[KAFKA_TOPIC_BYTES];
    struct key_check key_check;
    int64_t write_until_ms; /* how long a start-over waits for its tokens to be written; 0: none */
    struct lag_monitor *lag_monitor; /* as long as the feed is there */
    struct fault fault;
    struct slots slots;          /* of webhooks under way */
    struct loop_timer slots_due; /* those that wait for it are served */
    int64_t draft_bytes;         /* of batches that wait for the rest of their events */
    int64_t heartbeats;          /* posted */
    struct loop_timer liveness_due, certificates_due;
    struct checkpoints checkpoints;
    int64_t dead_letters_pending;          /* not yet reported by Kafka */
    struct redrive_reader *redrive_reader; /* reads dead letters, while there are redrives */
    uint64_t random;                       /* state of the jitter's generator */
    uint64_t deliveries[VERDICTS], dead_letters[DEAD_LETTER_REASONS];
    uint64_t compacted; /* events that compaction took while they waited for another attempt */
    struct histogram delivery_seconds, end_to_end_seconds;
    int64_t throttle_wait_ms;
    struct log_limit newer_warning, removal_warning;
};

/* The delivery slots, which are served from the loop. */
void dispatcher_init_slots(struct dispatcher *d);
/* 64 random bits for jitter (splitmix64). */
uint64_t dispatcher_random(struct dispatcher *d);

#endif
