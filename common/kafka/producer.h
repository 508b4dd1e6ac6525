/* The idempotent producer: acks=all, no linger, a bounded queue, and a new handle when librdkafka's
 * goes fatal. Loop thread only; nothing blocks but producer_stop. */
#ifndef ESS_KAFKA_PRODUCER_H
#define ESS_KAFKA_PRODUCER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/config.h"
#include "common/kafka/record.h"

struct producer;

enum producer_fate {
    PRODUCER_WRITTEN,    /* on every in-sync replica, at `offset` */
    PRODUCER_REJECTED,   /* certainly not in the log */
    PRODUCER_UNRESOLVED, /* may be in the log: only reading it tells */
};

struct producer_report {
    enum producer_fate fate;
    int64_t offset;     /* -1 unless written */
    const char *reason; /* NULL when written */
    /* Rejected for what the record is (its size, a policy): it will be rejected however often it is
     * sent. Known only of a record that went alone: of several in one batch nobody can tell which
     * was to blame. */
    enum producer_flaw { PRODUCER_FLAW_NONE, PRODUCER_FLAW_SIZE, PRODUCER_FLAW_OTHER } flaw;
};

struct producer_record {
    const char *topic;
    int32_t partition;
    struct span key;
    struct span value; /* data NULL: a tombstone */
    const struct kafka_header *headers;
    size_t headers_count;
};

/* Begins whatever waits for a record's fate; embedded. Every record sent is reported exactly once,
 * in the order of its partition while nothing fails. */
struct append {
    void (*reported)(struct append *append, const struct producer_report *report);
};

struct producer_options {
    const struct kafka_config *kafka;
    int64_t timeout_ms; /* after it an unwritten record is reported as not written, or unresolved */
    int64_t queue_bytes; /* of memory for records not yet reported */
    /* True when the first broker answers, false when the last one is gone. At the start nothing is
     * known. May be NULL. */
    void (*link)(void *arg, bool up);
    /* librdkafka's handle went fatal and will be replaced in `pause_ms`: at once, or after a
     * growing pause when its predecessor went fatal too without having written anything. May be
     * NULL. */
    void (*replaced)(void *arg, const char *reason, int64_t pause_ms);
    void *arg;
};

struct producer *producer_new(struct loop *loop, const struct producer_options *options,
                              struct error *err);

/* Fetches a topic's metadata now, so that its first record need not wait for it. */
void producer_warm(struct producer *producer, const char *topic);

/* Copies the record and appends it. Returns 0, and append->reported is called later (never from
 * within this call); or -1 when the queue is full or the record impossible: no report follows. */
int producer_send(struct producer *producer, const struct producer_record *record,
                  struct append *append, struct error *err);

/* Why Kafka lets this producer write nothing at all; NULL: as far as is known it may. */
const char *producer_fault(const struct producer *producer);

/* Records sent and not yet reported. */
size_t producer_pending(const struct producer *producer);

/* Waits up to `timeout_ms` for what is pending (reports are made), then drops the rest as
 * unresolved. producer_send refuses from then on, so that a report may still ask for a record.
 * Blocks. */
void producer_stop(struct producer *producer, int64_t timeout_ms);
/* Drops what is pending where producer_stop was not called. What still asks for records must be
 * freed before. */
void producer_free(struct producer *producer);

/* Appends one record on a handle made for it, and waits for its fate, 4 s at most. Any thread;
 * blocks. Returns 0, or -1 when it is not known to be written. */
int producer_append_once(const struct kafka_config *config, const struct producer_record *record,
                         struct error *err);

/* Makes the handle go fatal, as a broker's answer can. For tests. */
void producer_break(struct producer *producer);

#endif
