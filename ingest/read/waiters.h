/* Those who have read the log to its end and wait for what they want: woken through an index of
 * their patterns, so that an event costs those that it matches. Loop thread. */
#ifndef ESS_INGEST_WAITERS_H
#define ESS_INGEST_WAITERS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/feed/record.h"
#include "common/model/match.h"

struct waiters;

/* Embedded in whoever waits; all zero at first but for wake and arg. */
struct waiter {
    /* The event at `cursor` is the first that it wants since waiters_wait. Called from the loop,
     * soon after the append; never from within a call of waiters. */
    void (*wake)(void *arg, int64_t cursor);
    void *arg;
    /* the waiters' own */
    struct match_member member;
    bool waiting, woken;
    int64_t cursor;
    struct waiter *prev, *next; /* of the woken */
};

struct waiters *waiters_new(struct loop *loop);
/* All must have been removed. */
void waiters_free(struct waiters *waiters);

/* Enters what it wants. It does not wait yet. */
void waiters_add(struct waiters *waiters, struct waiter *waiter,
                 const struct subscription *subscription);
/* The same subscription. No wake comes after it. */
void waiters_remove(struct waiters *waiters, struct waiter *waiter,
                    const struct subscription *subscription);

/* It has read to the log's end, and is to be woken by the next event that it wants. */
void waiters_wait(struct waiter *waiter);

/* An event was appended. */
void waiters_appended(struct waiters *waiters, const struct feed_event *event);

#endif
