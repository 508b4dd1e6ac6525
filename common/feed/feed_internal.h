/* What feed.c, reader.c and catchup.c share. Nobody else includes it. */
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
    struct chunk **chunks; /* sorted, not overlapping; the last one is the tail */
    size_t chunks_count;
    size_t bytes;                             /* of all but the tail */
    struct feed_counts counts, counts_before; /* now; when the round began */
    size_t cache_bytes, chunk_bytes;          /* of the tail, and at most */
    unsigned ahead_chunks;                    /* are read ahead of one who reads on, at most */
    uint64_t round;                           /* in each as much is read as the cache holds */
    size_t round_bytes, readers,
        readers_before; /* behind the tail, in this round and in the one before */
    uint64_t serial, clock;
    uint64_t newest;     /* record_identity of the record at feed_end; 0: not known */
    bool unsure;         /* that record is to be read (again) before anything else is taken */
    int64_t newest_hole; /* -1: none */
    struct buf scratch;
    bool stopped;
};

/* The chunk with the cursor right above `position`, or NULL when it is not in memory. */
struct chunk *feed_chunk_at(const struct feed *feed, int64_t position);
bool feed_is_tail(const struct feed *feed, const struct chunk *chunk);
/* Whether what stands up to `position` is in memory. */
bool feed_chunk_ends_at(const struct feed *feed, int64_t position);
/* Where the chunk above a position that is not in memory begins. */
int64_t feed_gap_end(const struct feed *feed, int64_t position);
/* Somebody reads behind the tail. The more do, the smaller are the chunks that are read for each,
 * so that all their places have room: else each event would cost a chunk, which others' have driven
 * out before the next event is due. */
void feed_note_reader(struct feed *feed, struct feed_reader *reader);
size_t feed_chunk_share(const struct feed *feed);
/* How many chunks may be read ahead of one. */
unsigned feed_ahead_share(const struct feed *feed);
/* A chunk that nothing more is added to: puts it in its place, as the one that was used last. */
void feed_keep(struct feed *feed, struct chunk *chunk);
/* Adds a record to a chunk, but not one of another feed, which must not be skipped. */
enum record_kind feed_take(struct feed *feed, const struct kafka_record *record,
                           struct chunk *chunk, struct feed_event *event);
/* A record was skipped that is not one of this feed. */
void feed_skipped(struct feed *feed, int64_t cursor);
/* The tail reads from where it stands; the newest record again, when that is in doubt. */
void feed_read_tail(struct feed *feed);
void feed_break(struct feed *feed, const char *reason);
/* Because the log ends before a cursor that was there. */
void feed_break_end(struct feed *feed, int64_t end, int64_t seen);
/* Because of a record that must not be skipped. */
void feed_break_at(struct feed *feed, int64_t cursor);

#endif
