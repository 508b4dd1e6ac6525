/* The feed reader: the log as a cache of chunks. The tail fills the newest chunk as events are
 * appended. A reader behind the tail gets the chunk at its position by a jump of a second consumer;
 * readers at the same position share chunks. One memory limit covers all. Loop thread only; nothing
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
    struct offsets *offsets; /* asks the log's leader; must outlive the feed */
    const char *feed_id;     /* from the genesis record; copied */
    int64_t start;           /* the tail begins right after this cursor */
    /* The log's end when the genesis record was read: records of another feed up to there are
     * foreign. */
    int64_t end;
    int64_t cache_bytes;
    /* Each event as appended, in order, events of a later version included (event->newer). May be
     * NULL. */
    void (*appended)(void *arg, const struct feed_event *event);
    /* The tail has passed `end`: called after one or more records. May be NULL. */
    void (*advanced)(void *arg, int64_t end);
    /* The log was replaced, or cannot be read further. The feed stops; the caller starts over. */
    void (*broken)(void *arg, const char *reason);
    /* Why the log cannot be read for now: reported at once, then once a minute; NULL: readable
     * again. May be NULL. */
    void (*trouble)(void *arg, const char *reason);
    /* Most chunks for readers behind the tail were evicted before being read: the cache is too
     * small for so many readers. May be NULL. */
    void (*crowded)(void *arg, size_t readers);
    /* A record was skipped that ESS did not write, or that belongs to another feed. May be NULL. */
    void (*foreign)(void *arg, int64_t cursor);
    void *arg;
};

struct feed *feed_new(struct loop *loop, const struct feed_options *options, struct error *err);
void feed_free(struct feed *feed);

/* The newest cursor seen by the tail. */
int64_t feed_end(const struct feed *feed);
/* Whether the log is known to be the one read so far. False from the start, and after every lost
 * broker, until the tail has read its newest record again. */
bool feed_sure(const struct feed *feed);
/* Why the log cannot be read for now, or NULL: fetches fail, the tail stands still although the log
 * grows, or the leader is silent. Noticed within seconds. */
const char *feed_trouble(const struct feed *feed);
/* The newest known cursor. The leader is asked every second, so the cursor is correct even while
 * fetches fail. */
int64_t feed_log_end(const struct feed *feed);
/* Whether the tail has met a cursor above this one without a record. */
bool feed_hole_above(const struct feed *feed, int64_t cursor);
const char *feed_id(const struct feed *feed);
/* Statistics of reading behind the tail. */
struct feed_counts {
    uint64_t chunks, bytes; /* chunks built, and their memory */
    uint64_t evicted;       /* of them, evicted before any reader had finished them */
};
struct feed_counts feed_counts(const struct feed *feed);
/* Memory of all chunks, in bytes. */
size_t feed_bytes(const struct feed *feed);

/* A reader's position in the feed. The owner embeds the struct, all zero except for
 * feed_reader_init. */
struct feed_reader {
    const struct subscription *subscription; /* events to read; NULL: all */
    void (*ready)(void *arg);                /* after FEED_LATER: ask again */
    void *arg;
    bool peeks; /* reads single events: no read-ahead */
    /* --- private to the feed */
    struct feed_reader *prev, *next; /* while waiting for a chunk */
    int64_t waits_for;
    uint64_t round;        /* last round spent behind the tail */
    uint64_t serial;       /* the chunk described by `wanted` */
    unsigned char *wanted; /* by topic number */
    size_t wanted_count;
    bool wants_any;
};
/* The caller keeps the subscription alive as long as the reader. */
void feed_reader_init(struct feed_reader *reader, const struct subscription *subscription,
                      void (*ready)(void *), void *arg);
/* Call after the subscription has changed. */
void feed_reader_changed(struct feed_reader *reader);
/* Whether FEED_LATER was the last answer, and `ready` is still to come. */
bool feed_reader_waits(const struct feed_reader *reader);
/* Also stops waiting. */
void feed_reader_fini(struct feed_reader *reader);

enum feed_result {
    FEED_EVENT, /* `event` is the reader's next event above the position */
    /* FEED_EVENT, but from a later version of ESS: unreadable, and must not be passed. */
    FEED_NEWER,
    /* No event up to passed.to, but many whose content the filter excludes: ask again, after others
     * had their turn. */
    FEED_MORE,
    FEED_END, /* no event up to the log's end, passed.to */
    /* No event up to passed.to. reader->ready is called when the next chunk is in memory. */
    FEED_LATER,
};
/* How far the reader came from its position without an event. */
struct feed_passed {
    int64_t to;
    /* A cursor on the way had no record: compaction removed superseded events. */
    bool compacted;
};
/* Finds the reader's next event above `position`. The event is valid until the next call for this
 * feed or the return to the loop. */
enum feed_result feed_next(struct feed *feed, struct feed_reader *reader, int64_t position,
                           struct feed_event *event, struct feed_passed *passed);

#endif
