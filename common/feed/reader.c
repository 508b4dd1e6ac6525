/* Readers of the feed; see feed.h. A reader behind the tail skips a chunk's events by topic
 * number. */
#include <stdlib.h>

#include "common/feed/feed_internal.h"

enum {
    FEW_RECORDS = 16,
    NEAR_CHUNKS = 3,
    JUDGED_MAX = 128 /* events judged per call: a filter takes over a microsecond each */
};

void feed_reader_init(struct feed_reader *r, const struct subscription *subscription,
                      void (*ready)(void *), void *arg) {
    *r = (struct feed_reader){.subscription = subscription, .ready = ready, .arg = arg};
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

/* Asks once per chunk about each topic, so that skipping an event costs a look at one byte. */
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
        r->wanted[r->wanted_count] = subscription_wants_topic(
            r->subscription, chunk_topic_text(chunk, (uint32_t)r->wanted_count));
        r->wants_any |= r->wanted[r->wanted_count];
    }
}

/* Whether the reader wants the topic of the chunk's event `i`. While few events remain, asks about
 * each topic by itself. */
static bool wants_topic_of(struct feed_reader *r, const struct chunk *chunk, size_t i, bool few) {
    uint32_t topic = chunk_topic_of(chunk, i);
    return few ? subscription_wants_topic(r->subscription, chunk_topic_text(chunk, topic))
               : r->wanted[topic];
}

/* The index of the reader's next event above `position`, or the chunk's count. Looks at the
 * content of at most `*left` events. If `*left` is 0 afterwards, `event` is the last one,
 * and is excluded. */
static size_t find_wanted(struct feed_reader *r, const struct chunk *chunk, int64_t position,
                          struct feed_event *event, int *left) {
    size_t i = chunk_find(chunk, position);
    bool few = chunk->count - i <= FEW_RECORDS;
    if (!few)
        learn_topics(r, chunk);
    if (!few && !r->wants_any)
        return chunk->count;
    for (; i < chunk->count; i++) {
        if (!wants_topic_of(r, chunk, i, few))
            continue;
        chunk_get(chunk, i, event);
        if (subscription_wants_content(r->subscription, event->stored) || --*left == 0)
            break;
    }
    return i;
}

/* The reader begins a chunk. Coming from the chunk before, the reader will need the following
 * ones. */
static void read_ahead(struct feed *feed, const struct chunk *chunk) {
    if (!feed_chunk_ends_at(feed, chunk->from))
        return;
    for (int i = 0; i < NEAR_CHUNKS; i++) {
        const struct chunk *next = feed_chunk_at(feed, chunk->to);
        if (!next)
            catchup_ahead(&feed->catchup, chunk->to);
        if (!next || feed_is_tail(feed, next))
            return;
        chunk = next;
    }
}

enum feed_result feed_next(struct feed *feed, struct feed_reader *r, int64_t position,
                           struct feed_event *event, struct feed_passed *passed) {
    struct chunk *chunk;
    int left = JUDGED_MAX;
    *passed = (struct feed_passed){.to = position};
    while ((chunk = feed_chunk_at(feed, passed->to))) {
        if (!feed_is_tail(feed, chunk)) {
            feed_note_reader(feed, r);
            chunk->used = ++feed->clock;
            if (passed->to == chunk->from && !r->peeks)
                read_ahead(feed, chunk);
        }
        size_t i = find_wanted(r, chunk, passed->to, event, &left);
        if (i < chunk->count) {
            passed->compacted |= chunk_has_hole(chunk, passed->to, event->cursor);
            chunk->read_to = event->cursor > chunk->read_to ? event->cursor : chunk->read_to;
            passed->to = left ? event->cursor - 1 : event->cursor;
            if (left == 0)
                return FEED_MORE;
            return event->newer ? FEED_NEWER : FEED_EVENT;
        }
        passed->compacted |= chunk_has_hole(chunk, passed->to, chunk->to + 1);
        if (chunk->to > passed->to)
            passed->to = chunk->to;
        chunk->read_to = chunk->to;
        if (feed_is_tail(feed, chunk)) {
            feed_reader_changed(r); /* at the tail no memory is needed */
            return FEED_END;
        }
    }
    feed_note_reader(feed, r);
    catchup_wait(&feed->catchup, r, passed->to);
    return FEED_LATER;
}

bool feed_reader_waits(const struct feed_reader *r) { return r->next; }
