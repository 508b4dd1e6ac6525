/* Readers of the feed; see feed.h. One that is behind passes over a chunk's events by their topics'
 * numbers. */
#include <stdlib.h>

#include "common/feed/feed_internal.h"

enum { FEW_RECORDS = 16, NEAR_CHUNKS = 3 };

void feed_reader_init(struct feed_reader *r, bool (*wants)(void *, struct span),
                      void (*ready)(void *), void *arg) {
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

/* Asks once a chunk for each of its topics, so that passing its events costs a look at a byte each.
 */
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
        r->wanted[r->wanted_count] = r->wants(r->arg,
                                              chunk_topic_text(chunk, (uint32_t)r->wanted_count));
        r->wants_any |= r->wanted[r->wanted_count];
    }
}

/* The number of the next wanted event above `position`; the chunk's count when it has none. */
static size_t find_wanted(struct feed_reader *r, const struct chunk *chunk, int64_t position) {
    size_t i = chunk_find(chunk, position);
    if (chunk->count - i <= FEW_RECORDS) {
        while (i < chunk->count &&
               !r->wants(r->arg, chunk_topic_text(chunk, chunk_topic_of(chunk, i))))
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

/* The reader begins with a chunk. When it came from the one before, it will want those that follow.
 */
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
    *passed = (struct feed_passed){.to = position};
    while ((chunk = feed_chunk_at(feed, passed->to))) {
        if (!feed_is_tail(feed, chunk)) {
            feed_note_reader(feed, r);
            chunk->used = ++feed->clock;
            if (passed->to == chunk->from && !r->peeks)
                read_ahead(feed, chunk);
        }
        size_t i = find_wanted(r, chunk, passed->to);
        if (i < chunk->count) {
            chunk_get(chunk, i, event);
            passed->compacted |= chunk_has_hole(chunk, passed->to, event->cursor);
            chunk->read_to = event->cursor > chunk->read_to ? event->cursor : chunk->read_to;
            passed->to = event->cursor - 1;
            return event->newer ? FEED_NEWER : FEED_EVENT;
        }
        passed->compacted |= chunk_has_hole(chunk, passed->to, chunk->to + 1);
        if (chunk->to > passed->to)
            passed->to = chunk->to;
        chunk->read_to = chunk->to;
        if (feed_is_tail(feed, chunk)) {
            feed_reader_changed(r); /* at the tail it needs no memory */
            return FEED_END;
        }
    }
    feed_note_reader(feed, r);
    catchup_wait(&feed->catchup, r, passed->to);
    return FEED_LATER;
}

bool feed_reader_waits(const struct feed_reader *r) { return r->next; }
