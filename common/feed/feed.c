/* The feed reader; see feed.h. Chunks are in one array sorted by position and never overlap; the
 * last one is the tail. */
#include "common/feed/feed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/feed/catchup.h"
#include "common/feed/chunk.h"
#include "common/feed/feed_internal.h"
#include "common/kafka/consumer.h"

enum {
    CHUNK_BYTES_MAX = 512 * 1024,
    CHUNK_BYTES_MIN = 32 * 1024,
    SHARE_BYTES_MIN = 8 * 1024,
    AHEAD_CHUNKS = 8
};

static struct chunk *tail_of(const struct feed *feed) {
    return feed->chunks[feed->chunks_count - 1];
}

int64_t feed_end(const struct feed *feed) { return tail_of(feed)->to; }
bool feed_sure(const struct feed *feed) { return !feed->unsure; }
const char *feed_trouble(const struct feed *feed) {
    return feed->health.trouble[0] ? feed->health.trouble : NULL;
}
int64_t feed_log_end(const struct feed *feed) {
    return feed->health.end > feed_end(feed) ? feed->health.end : feed_end(feed);
}
bool feed_hole_above(const struct feed *feed, int64_t cursor) { return feed->newest_hole > cursor; }
bool feed_is_tail(const struct feed *feed, const struct chunk *chunk) {
    return chunk == tail_of(feed);
}
const char *feed_id(const struct feed *feed) { return feed->id; }

struct feed_counts feed_counts(const struct feed *feed) { return feed->counts; }

size_t feed_bytes(const struct feed *feed) {
    size_t bytes = catchup_bytes(&feed->catchup);
    for (size_t i = 0; i < feed->chunks_count; i++)
        bytes += chunk_bytes(feed->chunks[i]);
    return bytes;
}

/* The index of the first chunk that begins above `position`. */
static size_t chunk_above(const struct feed *feed, int64_t position) {
    size_t low = 0, high = feed->chunks_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (feed->chunks[middle]->from <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The chunk with the cursor right above `position`, or NULL. */
struct chunk *feed_chunk_at(const struct feed *feed, int64_t position) {
    size_t above = chunk_above(feed, position);
    struct chunk *chunk = above ? feed->chunks[above - 1] : NULL;
    return chunk && (position < chunk->to || chunk == tail_of(feed)) ? chunk : NULL;
}

bool feed_chunk_ends_at(const struct feed *feed, int64_t position) {
    size_t i = chunk_above(feed, position);
    if (i && feed->chunks[i - 1]->from == position) /* a chunk that begins there */
        i--;
    return i && feed->chunks[i - 1]->to == position;
}

int64_t feed_gap_end(const struct feed *feed, int64_t position) {
    return feed->chunks[chunk_above(feed, position)]->from;
}

static void drop_chunk(struct feed *feed, size_t number) {
    feed->bytes -= chunk_bytes(feed->chunks[number]);
    chunk_free(feed->chunks[number]);
    feed->chunks_count--;
    for (size_t i = number; i < feed->chunks_count; i++)
        feed->chunks[i] = feed->chunks[i + 1];
}

/* Frees the least recently used chunks, but never the tail or the newest chunk. Leaves room for the
 * tail and the next chunk, each of which needs its size again while growing. */
static void feed_evict(struct feed *feed) {
    while (feed->bytes + 4 * feed->chunk_bytes > feed->cache_bytes) {
        size_t oldest = 0;
        for (size_t i = 1; i + 1 < feed->chunks_count; i++)
            if (feed->chunks[i]->used < feed->chunks[oldest]->used)
                oldest = i;
        if (feed->chunks_count == 1 || feed->chunks[oldest]->used == feed->clock)
            return;
        feed->counts.evicted += feed->chunks[oldest]->read_to < feed->chunks[oldest]->to;
        drop_chunk(feed, oldest);
    }
}

static void feed_insert(struct feed *feed, struct chunk *chunk) {
    size_t at = chunk_above(feed, chunk->from);
    feed->chunks = mem_resize(feed->chunks, (feed->chunks_count + 1) * sizeof *feed->chunks);
    for (size_t i = feed->chunks_count; i > at; i--)
        feed->chunks[i] = feed->chunks[i - 1];
    feed->chunks[at] = chunk;
    feed->chunks_count++;
}

/* Counts a full chunk for the memory limit. */
static void feed_account(struct feed *feed, struct chunk *chunk) {
    chunk_seal(chunk);
    chunk->used = ++feed->clock;
    feed->bytes += chunk_bytes(chunk);
    feed_evict(feed);
}

static void next_round(struct feed *feed) {
    const struct feed_counts *now = &feed->counts, *then = &feed->counts_before;
    if (feed->options.crowded && (now->evicted - then->evicted) * 2 > now->chunks - then->chunks)
        feed->options.crowded(feed->options.arg, feed->readers);
    feed->counts_before = feed->counts;
    feed->readers_before = feed->readers;
    feed->readers = 0;
    feed->round_bytes = 0;
    feed->round++;
}

void feed_keep(struct feed *feed, struct chunk *chunk) {
    feed_insert(feed, chunk);
    feed_account(feed, chunk);
    feed->counts.chunks++;
    feed->counts.bytes += chunk_bytes(chunk);
    feed->round_bytes += chunk_bytes(chunk);
    if (feed->round_bytes >= feed->cache_bytes)
        next_round(feed);
}

/* --- shares of the cache */

void feed_note_reader(struct feed *feed, struct feed_reader *r) {
    if (r->peeks || r->round == feed->round)
        return;
    r->round = feed->round;
    feed->readers++;
}

/* Half of the cache is for the readers' positions, the rest for chunks read already. */
static size_t share_of(const struct feed *feed) {
    size_t readers = feed->readers > feed->readers_before ? feed->readers : feed->readers_before;
    return feed->cache_bytes / 2 / (readers ? readers : 1);
}

size_t feed_chunk_share(const struct feed *feed) {
    size_t bytes = share_of(feed) / 2;
    if (bytes > feed->chunk_bytes)
        return feed->chunk_bytes;
    return bytes < SHARE_BYTES_MIN ? SHARE_BYTES_MIN : bytes;
}

unsigned feed_ahead_share(const struct feed *feed) {
    size_t chunks = share_of(feed) / feed_chunk_share(feed);
    return chunks > feed->ahead_chunks ? feed->ahead_chunks : chunks ? (unsigned)chunks - 1 : 0;
}

void feed_break(struct feed *feed, const char *reason) {
    if (feed->stopped)
        return;
    feed->stopped = true;
    consumer_unassign(feed->tail);
    feed->options.broken(feed->options.arg, reason);
}

void feed_break_at(struct feed *feed, int64_t cursor) {
    char reason[160];
    snprintf(reason, sizeof reason, "the record at cursor %" PRId64 " is not one of feed %s",
             cursor, feed->id);
    feed_break(feed, reason);
}

void feed_break_end(struct feed *feed, int64_t end, int64_t seen) {
    char reason[128];
    snprintf(reason, sizeof reason,
             "the log ends at cursor %" PRId64 ", but cursor %" PRId64 " was seen", end, seen);
    feed_break(feed, reason);
}

void feed_skipped(struct feed *feed, int64_t cursor) {
    if (feed->options.foreign)
        feed->options.foreign(feed->options.arg, cursor);
}

enum record_kind feed_take(struct feed *feed, const struct kafka_record *record,
                           struct chunk *chunk, struct feed_event *event) {
    enum record_kind kind = record_read(record, feed->id, event, &feed->scratch);
    if (kind == RECORD_EVENT || kind == RECORD_NEWER)
        chunk_add(chunk, event);
    else if (kind == RECORD_GENESIS || kind == RECORD_FOREIGN)
        chunk_pass(chunk, record->offset);
    if (kind == RECORD_FOREIGN)
        feed_skipped(feed, record->offset);
    return kind;
}

/* --- the tail */

/* Records arrived, and belong to this log. */
static void be_sure(struct feed *feed) {
    if (!feed->unsure)
        return;
    feed->unsure = false;
    catchup_go_on(&feed->catchup);
}

void feed_read_tail(struct feed *feed) {
    struct error err;
    if (consumer_assign(feed->tail, feed->topic, 0,
                        feed->unsure ? feed_end(feed) : feed_end(feed) + 1, &err))
        feed_break(feed, err.message);
}

static void on_tail_drained(void *arg) {
    struct feed *feed = arg;
    if (!feed->stopped)
        feed_read_tail(feed);
}

static void feed_doubt(struct feed *feed) {
    feed->unsure = true;
    catchup_halt(&feed->catchup);
    feed_read_tail(feed);
}

/* The next records may come from another log: a restored backup, or a broker's copy that lags
 * behind. */
static void on_tail_lost(void *arg) {
    struct feed *feed = arg;
    if (!feed->stopped)
        feed_doubt(feed);
}

/* The newest record was read again, or for the first time. */
static void compare_newest(struct feed *feed, const struct kafka_record *record) {
    struct feed_event event;
    uint64_t identity = record_identity(record);
    bool other_genesis = record->offset == 0 &&
                         record_read(record, feed->id, &event, &feed->scratch) != RECORD_GENESIS;
    char reason[128];
    if (other_genesis || (feed->newest && feed->newest != identity)) {
        snprintf(reason, sizeof reason,
                 "the record at cursor %" PRId64 " is not the one that was read before",
                 record->offset);
        feed_break(feed, reason);
        return;
    }
    feed->newest = identity;
    be_sure(feed);
}

static void roll_tail(struct feed *feed) {
    struct chunk *full = tail_of(feed);
    feed_insert(feed, chunk_new(full->to, ++feed->serial));
    feed_account(feed, full);
}

static void on_tail_record(void *arg, const struct kafka_record *record) {
    struct feed *feed = arg;
    struct feed_event event;
    if (feed->stopped || record->offset < feed_end(feed))
        return;
    feed_health_moved(&feed->health);
    if (record->offset == feed_end(feed)) {
        compare_newest(feed, record);
        return;
    }
    be_sure(feed); /* compaction removed the newest record, long after it was read */
    if (chunk_is_full(tail_of(feed), feed->chunk_bytes))
        roll_tail(feed);
    if (record->offset > feed_end(feed) + 1)
        feed->newest_hole = record->offset - 1;
    enum record_kind kind = feed_take(feed, record, tail_of(feed), &event);
    if (kind == RECORD_MISMATCH && record->offset <= feed->options.end) {
        chunk_pass(tail_of(feed),
                   record->offset); /* foreign: older than the reading of the genesis record */
        feed_skipped(feed, record->offset);
    } else if (kind == RECORD_MISMATCH) {
        feed_break_at(feed, record->offset);
        return;
    }
    feed->newest = record_identity(record);
    if ((kind == RECORD_EVENT || kind == RECORD_NEWER) && feed->options.appended)
        feed->options.appended(feed->options.arg, &event);
    if (feed->options.advanced && !feed->stopped)
        feed->options.advanced(feed->options.arg, feed_end(feed));
}

/* The newest cursors have no record: compaction removed it, or another program's transaction ended
 * there. */
static void pass_last_hole(struct feed *feed, int64_t to) {
    if (to <= feed_end(feed))
        return;
    feed->newest_hole = to;
    feed->newest = 0;
    chunk_extend(tail_of(feed), to);
    if (feed->options.advanced)
        feed->options.advanced(feed->options.arg, to);
}

static void on_tail_end(void *arg, const char *topic, int32_t partition, int64_t offset) {
    struct feed *feed = arg;
    (void)topic, (void)partition;
    if (feed->stopped)
        return;
    if (offset <= feed_end(feed)) {
        feed_health_suspect(&feed->health);
        return;
    }
    be_sure(feed);
    pass_last_hole(feed, offset - 1);
    feed_health_moved(&feed->health);
}

/* A fault of fetches that an operator must mend. */
static void tail_fails(struct feed *feed, enum consumer_fault fault, const char *reason) {
    char text[sizeof feed->health.fault];
    if (fault == CONSUMER_NO_RIGHT)
        snprintf(text, sizeof text,
                 "no right to read topic %s: grant Read and Describe on it to ESS's user",
                 feed->topic);
    else
        snprintf(text, sizeof text, "topic %s cannot be fetched: %.200s", feed->topic, reason);
    if (feed_health_failed(&feed->health, text))
        feed_doubt(feed);
}

static void on_tail_failed(void *arg, const char *topic, enum consumer_fault fault,
                           const char *reason) {
    (void)topic;
    struct feed *feed = arg;
    if (feed->stopped)
        return;
    if (fault == CONSUMER_OUT_OF_RANGE || fault == CONSUMER_NO_TOPIC || fault == CONSUMER_BROKEN)
        feed_break(feed, reason);
    else
        tail_fails(feed, fault, reason);
}

/* --- life */

struct feed *feed_new(struct loop *loop, const struct feed_options *options, struct error *err) {
    struct feed *feed = mem_zero(sizeof *feed);
    feed->options = *options;
    feed->cache_bytes = (size_t)options->cache_bytes;
    feed->chunk_bytes = feed->cache_bytes / 16;
    if (feed->chunk_bytes > CHUNK_BYTES_MAX)
        feed->chunk_bytes = CHUNK_BYTES_MAX;
    if (feed->chunk_bytes < CHUNK_BYTES_MIN)
        feed->chunk_bytes = CHUNK_BYTES_MIN;
    feed->ahead_chunks = feed->chunk_bytes * AHEAD_CHUNKS * 4 > feed->cache_bytes ? AHEAD_CHUNKS / 2
                                                                                  : AHEAD_CHUNKS;
    snprintf(feed->id, sizeof feed->id, "%s", options->feed_id);
    kafka_topic_name(options->kafka, "events", feed->topic);
    feed->loop = loop;
    feed->newest_hole = -1;
    feed->unsure = true;
    feed->round = 1;
    feed_insert(feed, chunk_new(options->start, ++feed->serial));
    catchup_init(&feed->catchup, feed);
    const struct consumer_options tail = {.kafka = options->kafka,
                                          .fetch_wait_ms = 500,
                                          .queue_kib = 8192,
                                          .record = on_tail_record,
                                          .end = on_tail_end,
                                          .failed = on_tail_failed,
                                          .drained = on_tail_drained,
                                          .lost = on_tail_lost,
                                          .arg = feed};
    feed->tail = consumer_new(loop, &tail, err);
    feed_health_init(&feed->health, feed);
    if (!feed->tail || consumer_assign(feed->tail, feed->topic, 0, options->start, err)) {
        feed_free(feed);
        return NULL;
    }
    return feed;
}

void feed_free(struct feed *feed) {
    if (!feed)
        return;
    catchup_fini(&feed->catchup);
    feed_health_fini(&feed->health);
    consumer_free(feed->tail);
    for (size_t i = 0; i < feed->chunks_count; i++)
        chunk_free(feed->chunks[i]);
    free(feed->chunks);
    buf_fini(&feed->scratch);
    free(feed);
}
