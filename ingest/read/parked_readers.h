/* Those who have read the log to its end and wait for what they want: woken through an index of
 * their patterns, so that an event costs those that it matches. Loop thread. */
#ifndef ESS_INGEST_PARKED_READERS_H
#define ESS_INGEST_PARKED_READERS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/feed/record.h"
#include "common/model/match.h"

struct parked_readers;

/* Embedded in whoever waits; all zero at first but for wake and arg. */
struct parked_reader {
    /* The event at `cursor` is the first that it wants since parked_readers_park. Called from the
     * loop, soon after the append; never from within a call of parked_readers. */
    void (*wake)(void *arg, int64_t cursor);
    void *arg;
    /* the parked_readers' own */
    struct match_member member;
    bool parked, woken;
    int64_t cursor;
    struct parked_reader *prev, *next; /* of the woken */
};

struct parked_readers *parked_readers_new(struct loop *loop);
/* All must have been removed. */
void parked_readers_free(struct parked_readers *parked);

/* Enters what it wants. It does not wait yet. */
void parked_readers_add(struct parked_readers *parked, struct parked_reader *reader,
                        const struct subscription *subscription);
/* The same subscription. No wake comes after it. */
void parked_readers_remove(struct parked_readers *parked, struct parked_reader *reader,
                           const struct subscription *subscription);

/* It has read to the log's end, and is to be woken by the next event that it wants. */
void parked_readers_park(struct parked_reader *reader);

/* An event was appended. */
void parked_readers_appended(struct parked_readers *parked, const struct feed_event *event);

#endif
