/* A consumer that is told what to read: no group, no commits, no automatic resets. Its messages
 * wake the loop. */
#ifndef ESS_KAFKA_CONSUMER_H
#define ESS_KAFKA_CONSUMER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/config.h"
#include "common/kafka/record.h"

struct consumer;

/* What lasts, and is not about a single connection. */
enum consumer_fault {
    CONSUMER_NO_TOPIC,     /* no broker knows the topic or its partition */
    CONSUMER_OUT_OF_RANGE, /* the offset is not in the log */
    CONSUMER_NO_RIGHT,     /* to read the topic */
    CONSUMER_BROKEN,       /* the handle cannot go on */
    CONSUMER_OTHER_FAULT,
};

struct consumer_options {
    const struct kafka_config *kafka;
    int fetch_wait_ms; /* how long the broker may park a fetch at the log's end: a jump waits for it
                        */
    int64_t queue_kib; /* read ahead, at most */
    int64_t fetch_bytes; /* asked for at a time; 0: 1 MiB */
    /* Called on the loop's thread; what they get is valid until they return. They may assign anew.
     */
    void (*record)(void *arg, const struct kafka_record *record);
    /* The partition's end was reached: its next record will be at `offset`. */
    void (*end)(void *arg, const char *topic, int32_t partition, int64_t offset);
    /* A lasting fault of one partition, or a fatal one of the handle. What befalls a single
     * connection is not told: another one may do. May come again and again. `topic`: of that
     * partition, or NULL. */
    void (*failed)(void *arg, const char *topic, enum consumer_fault fault, const char *reason);
    /* As much was taken in one go as may be read ahead. librdkafka (before 2.2) may have found its
     * queue full, and then sleeps for up to a second although it is empty now: to assign anew, at
     * what comes next, wakes it up. May be NULL. */
    void (*drained)(void *arg);
    /* The connection that was read over was lost, or another broker's took its place: comes before
     * anything that is read over the later one. May be NULL. */
    void (*lost)(void *arg);
    void *arg;
};

struct consumer *consumer_new(struct loop *loop, const struct consumer_options *options,
                              struct error *err);

/* Asks for a topic's metadata now, so that its first assignment need not wait for it: up to a
 * second. */
void consumer_warm(struct consumer *consumer, const char *topic);

/* Reads one partition from `offset` (a number, or KAFKA_BEGINNING) instead of what was read before.
 What was fetched before is dropped. Does not block. */
int consumer_assign(struct consumer *consumer, const char *topic, int32_t partition, int64_t offset,
                    struct error *err);
/* The same with several. */
int consumer_assign_list(struct consumer *consumer, const struct kafka_position *positions,
                         size_t count, struct error *err);
/* Whether this record is the newest of its partition that the broker has told of so far. */
bool consumer_at_end(const struct consumer *consumer, const struct kafka_record *record);
void consumer_unassign(struct consumer *consumer);

/* No callback comes any more. Does not block: librdkafka's threads end by themselves. */
void consumer_free(struct consumer *consumer);

#endif
