/* What feed.c and catchup.c share. Nobody else includes it. */
#ifndef ESS_FEED_INTERNAL_H
#define ESS_FEED_INTERNAL_H

#include "common/feed/catchup.h"
#include "common/feed/chunk.h"
#include "common/feed/feed.h"

struct feed {
    struct loop *loop;
    struct feed_options options;
    char id[37];
    char topic[KAFKA_TOPIC_BYTES];
    struct consumer *tail;
    struct catchup catchup;
    struct chunk **chunks; /* sorted, not overlapping; the last one is the tail */
    size_t chunks_count;
    size_t bytes; /* of all but the tail */
    size_t cache_bytes, chunk_bytes;
    uint64_t serial, clock;
    struct buf scratch;
    bool stopped;
};

/* The chunk with the cursor right above `position`, or NULL when it is not in memory. */
struct chunk *feed_chunk_at(const struct feed *feed, int64_t position);
/* Where the chunk above a position that is not in memory begins. */
int64_t feed_gap_end(const struct feed *feed, int64_t position);
/* Puts a chunk in its place. */
void feed_insert(struct feed *feed, struct chunk *chunk);
void feed_account(struct feed *feed, struct chunk *chunk);
/* Adds a record to a chunk. True: it was an event. May stop the feed. */
bool feed_take(struct feed *feed, const rd_kafka_message_t *message, struct chunk *chunk, struct feed_event *event);
void feed_break(struct feed *feed, const char *reason);

#endif
