/* A piece of the log in memory: all events with cursors in (from, to], an index by topic, and holes
 * without a record (removed by compaction). Pure. */
#ifndef ESS_FEED_CHUNK_H
#define ESS_FEED_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/feed/record.h"

struct chunk_topic;
struct chunk_record;
struct chunk_hole;

struct chunk {
    int64_t from, to; /* complete above `from`, up to and including `to` */
    uint64_t serial;  /* unique */
    uint64_t used;    /* the cache's clock at the last use */
    int64_t read_to;  /* the furthest any reader came */
    struct chunk_record *records;
    size_t count, cap;
    struct buf texts;
    struct chunk_hole *holes; /* in order */
    size_t holes_count, holes_cap;
    struct chunk_topic *topics_by_text; /* uthash */
    struct chunk_topic **topics;        /* by number */
    size_t topics_count, topics_cap;
};

struct chunk *chunk_new(int64_t from, uint64_t serial);
void chunk_free(struct chunk *chunk);

/* Adds a copy of an event above `to`, and moves `to` there. */
void chunk_add(struct chunk *chunk, const struct feed_event *event);
/* Adds a record above `to` that is not an event. */
void chunk_pass(struct chunk *chunk, int64_t cursor);
/* Declares that no further record follows up to `to`. */
void chunk_extend(struct chunk *chunk, int64_t to);
/* Ends the chunk: returns spare memory. */
void chunk_seal(struct chunk *chunk);

/* Memory of its events, without spare room. */
bool chunk_is_full(const struct chunk *chunk, size_t bytes);

/* Memory of the chunk, roughly. */
size_t chunk_bytes(const struct chunk *chunk);

/* The index of the first event above `cursor`, or `count`. */
size_t chunk_find(const struct chunk *chunk, int64_t cursor);
/* Whether some cursor strictly between the two had no record. */
bool chunk_has_hole(const struct chunk *chunk, int64_t above, int64_t below);
/* The number of an event's topic, below topics_count. */
uint32_t chunk_topic_of(const struct chunk *chunk, size_t number);
struct span chunk_topic_text(const struct chunk *chunk, uint32_t topic);
/* The event: valid until the chunk changes. */
void chunk_get(const struct chunk *chunk, size_t number, struct feed_event *event);

#endif
