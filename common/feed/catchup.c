/* Jumps behind the tail; see catchup.h. One chunk is built at a time; who waits for the one that follows it in sequence
 * goes first for a while, since that costs no jump. */
#include "common/feed/catchup.h"

#include "common/feed/feed_internal.h"
#include "common/kafka/consumer.h"

enum { IN_SEQUENCE_MAX = 16 };

void catchup_init(struct catchup *c, struct feed *feed) {
    *c = (struct catchup){.feed = feed, .next = -1};
    c->waiting.next = c->waiting.prev = &c->waiting;
}

void catchup_forget(struct feed_reader *r) {
    if (!r->next)
        return;
    r->prev->next = r->next;
    r->next->prev = r->prev;
    r->next = r->prev = NULL;
}

static void append(struct feed_reader *ring, struct feed_reader *r) {
    r->prev = ring->prev;
    r->next = ring;
    ring->prev->next = r;
    ring->prev = r;
}

void catchup_fini(struct catchup *c) {
    while (c->waiting.next != &c->waiting)
        catchup_forget(c->waiting.next);
    chunk_free(c->building);
    consumer_free(c->consumer);
}

static void start_next(struct catchup *c);

/* Calls everybody who waits for something in memory now. They may wait again, or make others go. */
static void wake_readers(struct catchup *c) {
    struct feed_reader woken = {.next = &woken, .prev = &woken};
    for (struct feed_reader *r = c->waiting.next, *next; r != &c->waiting; r = next) {
        next = r->next;
        if (feed_chunk_at(c->feed, r->waits_for)) {
            catchup_forget(r);
            append(&woken, r);
        }
    }
    while (woken.next != &woken) {
        struct feed_reader *r = woken.next;
        catchup_forget(r);
        r->ready(r->arg);
    }
}

static void finish(struct catchup *c) {
    struct chunk *chunk = c->building;
    c->building = NULL;
    feed_insert(c->feed, chunk);
    feed_account(c->feed, chunk);
    wake_readers(c);
    start_next(c);
}

static void on_message(void *arg, const rd_kafka_message_t *message) {
    struct catchup *c = arg;
    struct feed_event event;
    if (!c->building || message->offset < c->next || c->feed->stopped)
        return;
    c->next = message->offset + 1;
    if (message->offset <= c->stop)
        feed_take(c->feed, message, c->building, &event);
    if (message->offset >= c->stop) /* what lies between was taken by compaction */
        chunk_extend(c->building, c->stop);
    if (c->building->to >= c->stop || chunk_bytes(c->building) >= c->feed->chunk_bytes)
        finish(c);
}

static void on_end(void *arg, const char *topic, int32_t partition, int64_t offset) {
    struct catchup *c = arg;
    (void)topic, (void)partition;
    if (!c->building || offset < c->next)
        return;
    chunk_extend(c->building, offset - 1 < c->stop ? offset - 1 : c->stop);
    finish(c);
}

static void on_failed(void *arg, rd_kafka_resp_err_t code, const char *reason) {
    struct catchup *c = arg;
    if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        feed_break(c->feed, reason);
}

static bool open_consumer(struct catchup *c) {
    struct error err;
    const struct consumer_options options = {.kafka = c->feed->options.kafka,
                                             .fetch_wait_ms = 10, /* a jump waits for a fetch parked at the end */
                                             .queue_kib = 4096,
                                             .message = on_message,
                                             .end = on_end,
                                             .failed = on_failed,
                                             .arg = c};
    if (!c->consumer && !(c->consumer = consumer_new(c->feed->loop, &options, &err)))
        feed_break(c->feed, err.message);
    return c->consumer;
}

/* Who is served next: one that goes on where the consumer stands, else who has waited longest. */
static struct feed_reader *choose(struct catchup *c) {
    if (c->in_sequence < IN_SEQUENCE_MAX)
        for (struct feed_reader *r = c->waiting.next; r != &c->waiting; r = r->next)
            if (r->waits_for + 1 == c->next)
                return r;
    return c->waiting.next;
}

static void start_next(struct catchup *c) {
    struct error err;
    if (c->building || c->feed->stopped)
        return;
    if (c->waiting.next == &c->waiting) {
        if (c->next >= 0)
            consumer_unassign(c->consumer);
        c->next = -1;
        return;
    }
    if (!open_consumer(c))
        return;
    int64_t position = choose(c)->waits_for;
    c->building = chunk_new(position, ++c->feed->serial);
    c->stop = feed_gap_end(c->feed, position);
    if (position + 1 == c->next) {
        c->in_sequence++;
        return;
    }
    c->in_sequence = 0;
    c->next = position + 1;
    if (consumer_assign(c->consumer, c->feed->topic, 0, c->next, &err))
        feed_break(c->feed, err.message);
}

void catchup_wait(struct catchup *c, struct feed_reader *r, int64_t position) {
    catchup_forget(r);
    r->waits_for = position;
    append(&c->waiting, r);
    start_next(c);
}
