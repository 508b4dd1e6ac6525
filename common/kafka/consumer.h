/* A consumer with assigned partitions: no group, no commits, no automatic resets. Messages wake the
 * loop. */
#ifndef ESS_KAFKA_CONSUMER_H
#define ESS_KAFKA_CONSUMER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/config.h"
#include "common/kafka/record.h"

struct consumer;

/* Lasting faults, not of a single connection. */
enum consumer_fault {
    CONSUMER_NO_TOPIC,     /* no broker knows topic or partition */
    CONSUMER_OUT_OF_RANGE, /* the offset is not in the log */
    CONSUMER_NO_RIGHT,     /* to read the topic */
    CONSUMER_BROKEN,       /* the handle is unusable */
    CONSUMER_OTHER_FAULT,
};

struct consumer_options {
    const struct kafka_config *kafka;
    int fetch_wait_ms;   /* longest park of a fetch at the log's end; delays a jump */
    int64_t queue_kib;   /* read-ahead limit */
    int64_t fetch_bytes; /* size of a fetch; 0: 1 MiB */
    /* Called on the loop's thread. Arguments are valid until the callback returns; it may assign
     * again. */
    void (*record)(void *arg, const struct kafka_record *record);
    /* The end of a partition was reached: the next record will be at `offset`. */
    void (*end)(void *arg, const char *topic, int32_t partition, int64_t offset);
    /* A lasting fault of a partition, or a fatal one of the handle; may repeat. Faults of a single
     * connection are not reported: another connection may work. `topic`: of the partition, or
     * NULL. */
    void (*failed)(void *arg, const char *topic, enum consumer_fault fault, const char *reason);
    /* A whole read-ahead was taken in one go. librdkafka (before 2.2) may then have seen a full
     * queue and sleep up to a second: assigning the next position again wakes librdkafka up. May be
     * NULL. */
    void (*drained)(void *arg);
    /* The connection used for reading was lost, or replaced by another broker's. Called before any
     * record read over the next connection. May be NULL. */
    void (*lost)(void *arg);
    void *arg;
};

struct consumer *consumer_new(struct loop *loop, const struct consumer_options *options,
                              struct error *err);

/* Requests a topic's metadata now, which saves the first assignment up to a second. */
void consumer_warm(struct consumer *consumer, const char *topic);

/* Reads one partition from `offset` (a number, or KAFKA_BEGINNING), instead of the earlier
 * assignment. Drops records already fetched. Does not block. */
int consumer_assign(struct consumer *consumer, const char *topic, int32_t partition, int64_t offset,
                    struct error *err);
/* consumer_assign for several partitions. */
int consumer_assign_list(struct consumer *consumer, const struct kafka_position *positions,
                         size_t count, struct error *err);
/* Whether this record is the newest of its partition, as far as the broker has reported. */
bool consumer_at_end(const struct consumer *consumer, const struct kafka_record *record);
void consumer_unassign(struct consumer *consumer);

/* No callback follows. Does not block: librdkafka's threads end by themselves. */
void consumer_free(struct consumer *consumer);

#endif
