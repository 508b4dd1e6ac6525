/* The feed reader; see feed.h. Chunks stand in one array sorted by place and never overlap; the last one is the tail. */
#include "common/feed/feed.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/feed/catchup.h"
#include "common/feed/chunk.h"
#include "common/feed/feed_internal.h"
#include "common/kafka/consumer.h"

enum { CHUNK_BYTES_MAX = 512 * 1024, CHUNK_BYTES_MIN = 32 * 1024, FEW_RECORDS = 16 };

static struct chunk *tail_of(const struct feed *feed) { return feed->chunks[feed->chunks_count - 1]; }

int64_t feed_end(const struct feed *feed) { return tail_of(feed)->to; }
const char *feed_id(const struct feed *feed) { return feed->id; }

size_t feed_bytes(const struct feed *feed) {
    size_t bytes = 0;
    for (size_t i = 0; i < feed->chunks_count; i++)
        bytes += chunk_bytes(feed->chunks[i]);
    return bytes;
}

/* The number of the first chunk that begins above `position`. */
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

int64_t feed_gap_end(const struct feed *feed, int64_t position) { return feed->chunks[chunk_above(feed, position)]->from; }

static void drop_chunk(struct feed *feed, size_t number) {
    feed->bytes -= chunk_bytes(feed->chunks[number]);
    chunk_free(feed->chunks[number]);
    feed->chunks_count--;
    for (size_t i = number; i < feed->chunks_count; i++)
        feed->chunks[i] = feed->chunks[i + 1];
}

/* Frees the chunks that were not used for longest, but never the tail or the newest one. */
static void evict(struct feed *feed) {
    while (feed->bytes + chunk_bytes(tail_of(feed)) > feed->cache_bytes) {
        size_t oldest = feed->chunks_count;
        for (size_t i = 0; i + 1 < feed->chunks_count; i++)
            if (feed->chunks[i]->used != feed->clock && (oldest == feed->chunks_count || feed->chunks[i]->used < feed->chunks[oldest]->used))
                oldest = i;
        if (oldest == feed->chunks_count)
            return;
        drop_chunk(feed, oldest);
    }
}

void feed_insert(struct feed *feed, struct chunk *chunk) {
    size_t at = chunk_above(feed, chunk->from);
    feed->chunks = mem_resize(feed->chunks, (feed->chunks_count + 1) * sizeof *feed->chunks);
    for (size_t i = feed->chunks_count; i > at; i--)
        feed->chunks[i] = feed->chunks[i - 1];
    feed->chunks[at] = chunk;
    feed->chunks_count++;
}

/* The sealed chunk counts for the memory bound from now on, as the one that was used last. */
void feed_account(struct feed *feed, struct chunk *chunk) {
    chunk_seal(chunk);
    chunk->used = ++feed->clock;
    feed->bytes += chunk_bytes(chunk);
    evict(feed);
}

static void roll_tail(struct feed *feed) {
    struct chunk *full = tail_of(feed);
    feed_insert(feed, chunk_new(full->to, ++feed->serial));
    feed_account(feed, full);
}

void feed_break(struct feed *feed, const char *reason) {
    if (feed->stopped)
        return;
    feed->stopped = true;
    consumer_unassign(feed->tail);
    feed->options.broken(feed->options.arg, reason);
}

bool feed_take(struct feed *feed, const rd_kafka_message_t *message, struct chunk *chunk, struct feed_event *event) {
    char reason[160];
    switch (record_read(message, feed->id, event, &feed->scratch)) {
    case RECORD_EVENT:
        chunk_add(chunk, event);
        return true;
    case RECORD_FOREIGN:
        if (feed->options.foreign)
            feed->options.foreign(feed->options.arg, message->offset);
        break;
    case RECORD_GENESIS:
        break;
    case RECORD_MISMATCH:
        snprintf(reason, sizeof reason, "the event at cursor %lld is of another feed than %s", (long long)message->offset, feed->id);
        feed_break(feed, reason);
        return false;
    case RECORD_NEWER:
        snprintf(reason, sizeof reason, "the event at cursor %lld was written by a newer version of ESS", (long long)message->offset);
        feed_break(feed, reason);
        return false;
    }
    chunk_extend(chunk, message->offset);
    return false;
}

static void on_tail_message(void *arg, const rd_kafka_message_t *message) {
    struct feed *feed = arg;
    struct feed_event event;
    if (feed->stopped || message->offset <= feed_end(feed))
        return;
    if (chunk_bytes(tail_of(feed)) > feed->chunk_bytes)
        roll_tail(feed);
    bool is_event = feed_take(feed, message, tail_of(feed), &event);
    if (is_event && feed->options.appended)
        feed->options.appended(feed->options.arg, &event);
    if (feed->options.advanced && !feed->stopped)
        feed->options.advanced(feed->options.arg, feed_end(feed));
}

static void on_tail_end(void *arg, const char *topic, int32_t partition, int64_t offset) {
    struct feed *feed = arg;
    char reason[160];
    (void)topic, (void)partition;
    if (offset > feed_end(feed))
        return;
    snprintf(reason, sizeof reason, "the log ends at cursor %lld, but cursor %lld was seen", (long long)offset - 1, (long long)feed_end(feed));
    feed_break(feed, reason);
}

static void on_tail_failed(void *arg, rd_kafka_resp_err_t code, const char *reason) {
    struct feed *feed = arg;
    if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE ||
        code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__FATAL)
        feed_break(feed, reason);
}

struct feed *feed_new(struct loop *loop, const struct feed_options *options, struct error *err) {
    struct feed *feed = mem_zero(sizeof *feed);
    feed->options = *options;
    feed->cache_bytes = (size_t)options->cache_bytes;
    feed->chunk_bytes = feed->cache_bytes / 16;
    if (feed->chunk_bytes > CHUNK_BYTES_MAX)
        feed->chunk_bytes = CHUNK_BYTES_MAX;
    if (feed->chunk_bytes < CHUNK_BYTES_MIN)
        feed->chunk_bytes = CHUNK_BYTES_MIN;
    snprintf(feed->id, sizeof feed->id, "%s", options->feed_id);
    kafka_topic_name(options->kafka, "events", feed->topic);
    feed->loop = loop;
    feed_insert(feed, chunk_new(options->start, ++feed->serial));
    catchup_init(&feed->catchup, feed);
    const struct consumer_options tail = {.kafka = options->kafka,
                                          .fetch_wait_ms = 500,
                                          .queue_kib = 8192,
                                          .message = on_tail_message,
                                          .end = on_tail_end,
                                          .failed = on_tail_failed,
                                          .arg = feed};
    feed->tail = consumer_new(loop, &tail, err);
    if (!feed->tail || consumer_assign(feed->tail, feed->topic, 0, options->start + 1, err)) {
        feed_free(feed);
        return NULL;
    }
    return feed;
}

void feed_free(struct feed *feed) {
    if (!feed)
        return;
    catchup_fini(&feed->catchup);
    consumer_free(feed->tail);
    for (size_t i = 0; i < feed->chunks_count; i++)
        chunk_free(feed->chunks[i]);
    free(feed->chunks);
    buf_fini(&feed->scratch);
    free(feed);
}

void feed_reader_init(struct feed_reader *r, bool (*wants)(void *, struct span), void (*ready)(void *), void *arg) {
    *r = (struct feed_reader){.wants = wants, .ready = ready, .arg = arg};
}

void feed_reader_changed(struct feed_reader *r) {
    free(r->wanted);
    r->wanted = NULL;
    r->wanted_count = 0;
    r->serial = 0;
}

void feed_reader_fini(struct feed_reader *r) {
    catchup_forget(r);
    feed_reader_changed(r);
}

/* Asks once a chunk for each of its topics, so that passing its events costs a look at a byte each. */
static void learn_topics(struct feed_reader *r, const struct chunk *chunk) {
    if (r->serial != chunk->serial) {
        feed_reader_changed(r);
        r->serial = chunk->serial;
        r->wants_any = false;
    }
    if (r->wanted_count == chunk->topics_count)
        return;
    r->wanted = mem_resize(r->wanted, chunk->topics_count);
    for (; r->wanted_count < chunk->topics_count; r->wanted_count++) {
        r->wanted[r->wanted_count] = r->wants(r->arg, chunk_topic_text(chunk, (uint32_t)r->wanted_count));
        r->wants_any |= r->wanted[r->wanted_count];
    }
}

/* The number of the next wanted event above `position`; the chunk's count when it has none. */
static size_t find_wanted(struct feed_reader *r, const struct chunk *chunk, int64_t position) {
    size_t i = chunk_find(chunk, position);
    if (chunk->count - i <= FEW_RECORDS) {
        while (i < chunk->count && !r->wants(r->arg, chunk_topic_text(chunk, chunk_topic_of(chunk, i))))
            i++;
        return i;
    }
    learn_topics(r, chunk);
    if (!r->wants_any)
        return chunk->count;
    while (i < chunk->count && !r->wanted[chunk_topic_of(chunk, i)])
        i++;
    return i;
}

enum feed_result feed_next(struct feed *feed, struct feed_reader *r, int64_t position, struct feed_event *event, int64_t *passed) {
    struct chunk *chunk;
    while ((chunk = feed_chunk_at(feed, position))) {
        size_t i = find_wanted(r, chunk, position);
        if (chunk != tail_of(feed))
            chunk->used = ++feed->clock;
        if (i < chunk->count) {
            chunk_get(chunk, i, event);
            *passed = event->cursor - 1;
            return FEED_EVENT;
        }
        if (chunk->to > position)
            position = chunk->to;
        *passed = position;
        if (chunk == tail_of(feed)) {
            feed_reader_changed(r); /* at the tail it needs no memory */
            return FEED_END;
        }
    }
    *passed = position;
    catchup_wait(&feed->catchup, r, position);
    return FEED_LATER;
}
