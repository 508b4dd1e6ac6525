/* A stretch of the log in memory: all events of the cursors in (from, to], with an index by topic. Pure. */
#ifndef ESS_FEED_CHUNK_H
#define ESS_FEED_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "common/feed/record.h"

struct chunk_topic;
struct chunk_record;

struct chunk {
    int64_t from, to; /* nothing is missing above `from`, up to and with `to` */
    uint64_t serial;  /* never the same twice */
    uint64_t used;    /* the cache's clock at its last use */
    struct chunk_record *records;
    size_t count, cap;
    struct buf texts;
    struct chunk_topic *topics_by_text; /* uthash */
    struct chunk_topic **topics;        /* by number */
    size_t topics_count, topics_cap;
};

struct chunk *chunk_new(int64_t from, uint64_t serial);
void chunk_free(struct chunk *chunk);

/* Adds an event above `to`, and moves `to` there. The event is copied. */
void chunk_add(struct chunk *chunk, const struct feed_event *event);
/* Nothing more lies up to `to`. */
void chunk_extend(struct chunk *chunk, int64_t to);
/* No more will be added: gives back spare memory. */
void chunk_seal(struct chunk *chunk);

/* Memory that it takes, roughly. */
size_t chunk_bytes(const struct chunk *chunk);

/* The number of the first event above `cursor`; `count` when there is none. */
size_t chunk_find(const struct chunk *chunk, int64_t cursor);
/* The number of an event's topic, below topics_count. */
uint32_t chunk_topic_of(const struct chunk *chunk, size_t number);
struct span chunk_topic_text(const struct chunk *chunk, uint32_t topic);
/* The event: valid until the chunk changes. */
void chunk_get(const struct chunk *chunk, size_t number, struct feed_event *event);

#endif
