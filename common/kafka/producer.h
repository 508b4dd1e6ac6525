/* The idempotent producer: acks=all, no linger, a bounded queue, and a new handle when librdkafka's
 * goes fatal. Loop thread only; only producer_stop blocks. */
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
    PRODUCER_UNRESOLVED, /* may be in the log: only reading tells */
};

struct producer_report {
    enum producer_fate fate;
    int64_t offset;     /* -1 unless written */
    const char *reason; /* NULL when written */
    /* Rejected for the record itself (its size, a policy), and would be rejected every time. Known
     * only for a record sent alone: in a batch, any record may be to blame. */
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

/* Embedded first in a struct that waits for a record's fate. Every sent record is reported exactly
 * once, in the order of its partition while nothing fails. */
struct append {
    void (*reported)(struct append *append, const struct producer_report *report);
};

struct producer_options {
    const struct kafka_config *kafka;
    int64_t timeout_ms;  /* after this, a record that is not written yet is reported as rejected or
                            unresolved */
    int64_t queue_bytes; /* memory limit for unreported records */
    /* True when the first broker answers, false when the last one is lost. Unknown at the start.
     * May be NULL. */
    void (*link)(void *arg, bool up);
    /* librdkafka's handle went fatal and will be replaced in `pause_ms`: at once, or after a
     * growing pause if its predecessor went fatal too without writing anything. May be NULL. */
    void (*replaced)(void *arg, const char *reason, int64_t pause_ms);
    void *arg;
};

struct producer *producer_new(struct loop *loop, const struct producer_options *options,
                              struct error *err);

/* Fetches a topic's metadata now, which saves the first record the wait. */
void producer_warm(struct producer *producer, const char *topic);

/* Copies the record and appends it. Returns 0 and calls append->reported later (never within this
 * call). Returns -1 for a full queue or an impossible record: no report follows. */
int producer_send(struct producer *producer, const struct producer_record *record,
                  struct append *append, struct error *err);

/* Why Kafka accepts no writes of this producer; NULL: writes are accepted, as far as known. */
const char *producer_fault(const struct producer *producer);

/* Records sent and not yet reported. */
size_t producer_pending(const struct producer *producer);

/* Waits up to `timeout_ms` for pending records (making reports), then drops the rest as unresolved.
 * producer_send refuses from now on, so that a report may still try to send. Blocks. */
void producer_stop(struct producer *producer, int64_t timeout_ms);
/* Drops pending records if producer_stop was not called. Free all users of the producer first. */
void producer_free(struct producer *producer);

/* Appends one record on a temporary handle and waits for its fate, at most 4 s. Any thread; blocks.
 * Returns 0, or -1 unless known to be written. */
int producer_append_once(const struct kafka_config *config, const struct producer_record *record,
                         struct error *err);

/* Makes the handle fail as after a fatal answer. For tests. */
void producer_break(struct producer *producer);

#endif
