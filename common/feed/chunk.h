/* A stretch of the log in memory: all events of the cursors in (from, to], with an index by topic,
 * and where the log had no record at all (compaction took what was superseded). Pure. */
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
    int64_t from, to; /* nothing is missing above `from`, up to and with `to` */
    uint64_t serial;  /* never the same twice */
    uint64_t used;    /* the cache's clock at its last use */
    int64_t read_to;  /* how far somebody came in it */
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

/* Adds an event above `to`, and moves `to` there. The event is copied. */
void chunk_add(struct chunk *chunk, const struct feed_event *event);
/* A record above `to` that is no event. */
void chunk_pass(struct chunk *chunk, int64_t cursor);
/* There is no further record up to `to`. */
void chunk_extend(struct chunk *chunk, int64_t to);
/* No more will be added: gives back spare memory. */
void chunk_seal(struct chunk *chunk);

/* Its events take this much, whatever room there is for more. */
bool chunk_is_full(const struct chunk *chunk, size_t bytes);

/* Memory that it takes, roughly. */
size_t chunk_bytes(const struct chunk *chunk);

/* The number of the first event above `cursor`; `count` when there is none. */
size_t chunk_find(const struct chunk *chunk, int64_t cursor);
/* Whether a cursor strictly between the two had no record. */
bool chunk_has_hole(const struct chunk *chunk, int64_t above, int64_t below);
/* The number of an event's topic, below topics_count. */
uint32_t chunk_topic_of(const struct chunk *chunk, size_t number);
struct span chunk_topic_text(const struct chunk *chunk, uint32_t topic);
/* The event: valid until the chunk changes. */
void chunk_get(const struct chunk *chunk, size_t number, struct feed_event *event);

#endif
