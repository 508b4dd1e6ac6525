/* A log of events for tests, in place of common/feed/feed.c: a list in memory, with holes where
 * compaction took records, and with parts that arrive only when the test says so. */
#ifndef ESS_TESTS_FEED_FAKE_H
#define ESS_TESTS_FEED_FAKE_H

#include <stdlib.h>
#include <string.h>

#include "common/feed/feed.h"

enum { FAKE_CURSORS = 100000 };

struct fake_event {
    const char *topic; /* NULL: no record at this cursor */
    char *stored;
    bool newer;
};

static struct feed {
    struct fake_event events[FAKE_CURSORS];
    int64_t end;
    int64_t absent_from; /* cursors from here on arrive later; 0: all are present */
    struct feed_reader *waits[10];
    bool unsure;
    const char *trouble;
} fake_feed;

static inline void fake_feed_clear(void) {
    for (int64_t i = 0; i <= fake_feed.end; i++)
        free(fake_feed.events[i].stored);
    fake_feed = (struct feed){.end = 0};
}

/* The next event, of so many bytes of data; its topic is a literal. */
static inline int64_t fake_event(const char *topic, size_t bytes) {
    struct buf stored = {0};
    struct fake_event *event = &fake_feed.events[++fake_feed.end];
    buf_printf(&stored, "{\"topic\":\"%s\",\"id\":\"e%d\",\"data\":\"", topic, (int)fake_feed.end);
    memset(buf_reserve(&stored, bytes), 'x', bytes);
    buf_commit(&stored, bytes);
    buf_puts(&stored, "\"}");
    *event = (struct fake_event){.topic = topic, .stored = buf_detach(&stored, NULL)};
    return fake_feed.end;
}

/* The next cursor has no record. */
static inline void fake_hole(void) { fake_feed.events[++fake_feed.end].topic = NULL; }

/* The events that were absent arrive. */
static inline void fake_feed_bring(void) {
    fake_feed.absent_from = 0;
    for (int i = 0; i < 10; i++) {
        struct feed_reader *reader = fake_feed.waits[i];
        fake_feed.waits[i] = NULL;
        if (reader)
            reader->ready(reader->arg);
    }
}

int64_t feed_end(const struct feed *feed) { return feed->end; }
int64_t feed_log_end(const struct feed *feed) { return feed->end; }
bool feed_sure(const struct feed *feed) { return !feed->unsure; }
const char *feed_trouble(const struct feed *feed) { return feed->trouble; }

bool feed_hole_above(const struct feed *feed, int64_t cursor) {
    for (int64_t i = cursor + 1; i <= feed->end; i++)
        if (!feed->events[i].topic)
            return true;
    return false;
}

void feed_reader_init(struct feed_reader *reader, const struct subscription *subscription,
                      void (*ready)(void *), void *arg) {
    *reader = (struct feed_reader){.subscription = subscription, .ready = ready, .arg = arg};
}

void feed_reader_changed(struct feed_reader *reader) { (void)reader; }

void feed_reader_fini(struct feed_reader *reader) {
    for (int i = 0; i < 10; i++)
        if (fake_feed.waits[i] == reader)
            fake_feed.waits[i] = NULL;
}

static inline enum feed_result fake_wait(struct feed *feed, struct feed_reader *reader) {
    feed_reader_fini(reader);
    for (int i = 0; i < 10; i++) {
        if (feed->waits[i])
            continue;
        feed->waits[i] = reader;
        break;
    }
    return FEED_LATER;
}

enum feed_result feed_next(struct feed *feed, struct feed_reader *reader, int64_t position,
                           struct feed_event *event, struct feed_passed *passed) {
    *passed = (struct feed_passed){.to = position};
    for (int64_t at = position + 1; at <= feed->end; passed->to = at++) {
        const struct fake_event *e = &feed->events[at];
        if (feed->absent_from && at >= feed->absent_from)
            return fake_wait(feed, reader);
        passed->compacted |= !e->topic;
        if (!e->topic ||
            !subscription_wants(reader->subscription, span_of(e->topic), span_of(e->stored)))
            continue;
        *event = (struct feed_event){.cursor = at, .topic = span_of(e->topic), .newer = e->newer};
        event->stored = span_of(e->stored);
        return e->newer ? FEED_NEWER : FEED_EVENT;
    }
    return FEED_END;
}

#endif
