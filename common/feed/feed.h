/* The feed reader: the log as a cache of chunks. The tail fills the newest chunk as events are
 * appended; a reader that is behind gets the chunk at its place by a jump of a second consumer, and
 * readers at the same place share it. Memory has one bound for all. Loop thread only; nothing
 * blocks. */
#ifndef ESS_FEED_FEED_H
#define ESS_FEED_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/feed/record.h"
#include "common/kafka/config.h"
#include "common/model/subscription.h"

struct feed;
struct offsets;

struct feed_options {
    const struct kafka_config *kafka;
    struct offsets *offsets; /* ask the log's leader; must outlive the feed */
    const char *feed_id;     /* from the genesis record; copied */
    int64_t start;           /* the tail begins right after this cursor */
    int64_t end; /* the log's end when its genesis record was read: what is of another feed up to
                    there is a stray */
    int64_t cache_bytes;
    /* Each event as it is appended, in order; those of a later version too (event->newer). May be
     * NULL. */
    void (*appended)(void *arg, const struct feed_event *event);
    /* The tail has passed `end`: called after one or more records. May be NULL. */
    void (*advanced)(void *arg, int64_t end);
    /* The log is not the one that was read so far, or cannot be read on. The feed stops; the caller
     * starts over. */
    void (*broken)(void *arg, const char *reason);
    /* The log cannot be read on for now, and why: said at once, then once a minute; NULL: it can
     * again. May be NULL. */
    void (*trouble)(void *arg, const char *reason);
    /* Most of what was read for those behind the tail had to make room before it was read by them:
     * the cache is too small for so many. May be NULL. */
    void (*crowded)(void *arg, size_t readers);
    /* A record that ESS did not write, or of another feed, was skipped. May be NULL. */
    void (*foreign)(void *arg, int64_t cursor);
    void *arg;
};

struct feed *feed_new(struct loop *loop, const struct feed_options *options, struct error *err);
void feed_free(struct feed *feed);

/* The newest cursor that the tail has seen. */
int64_t feed_end(const struct feed *feed);
/* Whether the log is known to be the one that was read so far. False from the start, and from every
 * lost broker on, until the tail has read its newest record again. */
bool feed_sure(const struct feed *feed);
/* Why the log cannot be read on for now, or NULL when it can: fetches fail, the tail does not move
 * although the log goes on, or its leader is silent. Noticed within seconds. */
const char *feed_trouble(const struct feed *feed);
/* The newest cursor that is known of: the leader is asked for it every second, so it is true
 * although nothing can be read. */
int64_t feed_log_end(const struct feed *feed);
/* Whether the tail has met a cursor above this one that has no record. */
bool feed_hole_above(const struct feed *feed, int64_t cursor);
const char *feed_id(const struct feed *feed);
/* What was read for those behind the tail. */
struct feed_counts {
    uint64_t chunks, bytes; /* built, and their memory */
    uint64_t
        evicted; /* of them, those that had to make room before anybody had read them to the end */
};
struct feed_counts feed_counts(const struct feed *feed);
/* Memory of all chunks, in bytes. */
size_t feed_bytes(const struct feed *feed);

/* Someone who reads on from a place. Embedded in the owner, all zero but for what feed_reader_init
 * sets. */
struct feed_reader {
    const struct subscription *subscription; /* what it wants; NULL: every event */
    void (*ready)(void *arg);                /* after FEED_LATER: ask again */
    void *arg;
    bool peeks; /* at single events: nothing is read ahead of it */
    /* the feed's own */
    struct feed_reader *prev, *next; /* while it waits for a chunk */
    int64_t waits_for;
    uint64_t round;        /* the last one in which it read behind the tail */
    uint64_t serial;       /* the chunk that `wanted` is about */
    unsigned char *wanted; /* by topic number */
    size_t wanted_count;
    bool wants_any;
};
/* The subscription is the caller's, and must live as long as the reader. */
void feed_reader_init(struct feed_reader *reader, const struct subscription *subscription,
                      void (*ready)(void *), void *arg);
/* What it wants has changed. */
void feed_reader_changed(struct feed_reader *reader);
/* FEED_LATER was the last answer, and `ready` was not called yet. */
bool feed_reader_waits(const struct feed_reader *reader);
/* Stops waiting, too. */
void feed_reader_fini(struct feed_reader *reader);

enum feed_result {
    FEED_EVENT, /* `event` is the next one that the reader wants above the position */
    FEED_NEWER, /* so it is, but it was written by a later version of ESS: it cannot be read, and
                   must not be passed */
    FEED_END,   /* there is none up to the log's end, which is passed.to */
    FEED_LATER, /* there is none up to passed.to; reader->ready is called when the next chunk is
                   there */
};
/* How far the reader came, from its position, without meeting what it wants. */
struct feed_passed {
    int64_t to;
    bool compacted; /* on the way there was a cursor without a record: compaction took superseded
                       events */
};
/* The next event above `position`. The event is valid until the next call for this feed or the
 * return to the loop. */
enum feed_result feed_next(struct feed *feed, struct feed_reader *reader, int64_t position,
                           struct feed_event *event, struct feed_passed *passed);

#endif
