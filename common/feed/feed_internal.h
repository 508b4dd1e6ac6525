/* Shared by feed.c, reader.c, catchup.c and health.c. */
#ifndef ESS_FEED_INTERNAL_H
#define ESS_FEED_INTERNAL_H

#include "common/feed/catchup.h"
#include "common/feed/chunk.h"
#include "common/feed/feed.h"
#include "common/feed/health.h"

struct feed {
    struct loop *loop;
    struct feed_options options;
    char id[37];
    char topic[KAFKA_TOPIC_BYTES];
    struct consumer *tail;
    struct catchup catchup;
    struct feed_health health;
    struct chunk **chunks; /* sorted, disjoint; the last one is the tail */
    size_t chunks_count;
    size_t bytes;                                /* of all but the tail */
    struct feed_counts counts, counts_before;    /* now; at the start of the round */
    size_t cache_bytes, chunk_bytes;             /* of the tail, and at most */
    unsigned ahead_chunks;                       /* most chunks to read ahead of a reader */
    uint64_t round;                              /* a round reads as much as the cache holds */
    size_t round_bytes, readers, readers_before; /* behind the tail, in this round and the last */
    uint64_t serial, clock;
    uint64_t newest;     /* record_identity of the record at feed_end; 0: unknown */
    bool unsure;         /* read that record (again) before any other */
    int64_t newest_hole; /* -1: none */
    struct buf scratch;
    bool stopped;
};

/* The chunk with the cursor right above `position`, or NULL if not in memory. */
struct chunk *feed_chunk_at(const struct feed *feed, int64_t position);
bool feed_is_tail(const struct feed *feed, const struct chunk *chunk);
/* Whether the log up to `position` is in memory. */
bool feed_chunk_ends_at(const struct feed *feed, int64_t position);
/* Where to begin the chunk above a position not in memory. */
int64_t feed_gap_end(const struct feed *feed, int64_t position);
/* Counts a reader behind the tail. More readers get smaller chunks, so that all positions fit:
 * otherwise each event would cost a chunk, evicted by others' chunks before the next event is
 * due. */
void feed_note_reader(struct feed *feed, struct feed_reader *reader);
size_t feed_chunk_share(const struct feed *feed);
/* How many chunks may be read ahead of a reader. */
unsigned feed_ahead_share(const struct feed *feed);
/* Inserts a complete chunk as the most recently used. */
void feed_keep(struct feed *feed, struct chunk *chunk);
/* Adds a record to a chunk, unless the record is of another feed and must not be skipped. */
enum record_kind feed_take(struct feed *feed, const struct kafka_record *record,
                           struct chunk *chunk, struct feed_event *event);
/* Reports a skipped record that is not of this feed. */
void feed_skipped(struct feed *feed, int64_t cursor);
/* Starts the tail at its position, or at the newest record again if in doubt. */
void feed_read_tail(struct feed *feed);
void feed_break(struct feed *feed, const char *reason);
/* The log ends before a known cursor. */
void feed_break_end(struct feed *feed, int64_t end, int64_t seen);
/* A record must not be skipped. */
void feed_break_at(struct feed *feed, int64_t cursor);

#endif
