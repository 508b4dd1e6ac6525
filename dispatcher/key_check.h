/* Checks whether the key file opens the secrets in Kafka, by the sealed check record in partition 0
 * of ess.subscribers. Every dispatcher reads that record, whatever partitions it owns. Waits for
 * the key file, which ess-ingest creates, without a limit. Ends the program if the key does not
 * fit. */
#ifndef ESS_DISPATCHER_KEY_CHECK_H
#define ESS_DISPATCHER_KEY_CHECK_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/loop.h"

struct dispatcher;
struct table;

/* Embedded in struct dispatcher, all zero at first. */
struct key_check {
    void (*fits)(struct dispatcher *d);
    const char *topics[2];
    struct table *table; /* while the record is read */
    struct buf value;    /* the newest record so far */
    struct loop_timer again, read;
    bool said_no_key;
};

/* Loads d->keyring and calls `fits` from the loop once the key is known to fit. */
void key_check_begin(struct dispatcher *d, void (*fits)(struct dispatcher *d));
/* Nothing is called after this. */
void key_check_end(struct dispatcher *d);
/* Why the check record cannot be read; NULL if no problem is known. */
const char *key_check_trouble(const struct key_check *check);

#endif
