/* Serves readers behind the tail by jumps; see catchup.h. Builds one chunk at a time. A reader
 * waiting for the next chunk in sequence goes first for a while, since it costs no jump. Chunks
 * are built ahead for continuing readers. Records fetched beyond the chunk are dropped: if they
 * were kept waiting, librdkafka (2.0.2) would resume only up to a second after they are taken.
 *
 * A record of another feed may be a single foreign one (written by an ingest that had not yet
 * noticed that the topic was made again), or mean that the log was replaced: the genesis record is
 * read again to decide. */
#include "common/feed/catchup.h"

#include "common/feed/feed_internal.h"
#include "common/kafka/consumer.h"

enum {
    IN_SEQUENCE_MAX = 16,
    FETCH_BYTES = 256 * 1024 /* a jump wastes records already fetched */
};

void catchup_init(struct catchup *c, struct feed *feed) {
    *c = (struct catchup){.feed = feed, .next = -1, .doubted = -1, .stray = -1, .ahead_from = -1};
    c->waiting.next = c->waiting.prev = &c->waiting;
}

void catchup_forget(struct feed_reader *r) {
    if (!r->next)
        return;
    r->prev->next = r->next;
    r->next->prev = r->prev;
    r->next = r->prev = NULL;
}

static void catchup_append(struct feed_reader *ring, struct feed_reader *r) {
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

/* Calls all readers that wait for something now in memory. A reader may wait again, or end
 * others. */
static void wake_readers(struct catchup *c) {
    struct feed_reader woken = {.next = &woken, .prev = &woken};
    for (struct feed_reader *r = c->waiting.next, *next; r != &c->waiting; r = next) {
        next = r->next;
        if (feed_chunk_at(c->feed, r->waits_for)) {
            catchup_forget(r);
            catchup_append(&woken, r);
        }
    }
    while (woken.next != &woken) {
        struct feed_reader *r = woken.next;
        catchup_forget(r);
        r->ready(r->arg);
    }
}

static void catchup_finish(struct catchup *c) {
    struct chunk *chunk = c->building;
    c->building = NULL;
    feed_keep(c->feed, chunk);
    wake_readers(c);
    start_next(c);
}

static void catchup_jump(struct catchup *c, int64_t to) {
    struct error err;
    c->next = to;
    if (consumer_assign(c->consumer, c->feed->topic, 0, to, &err))
        feed_break(c->feed, err.message);
}

/* Returns false when the record was not taken. */
static bool catchup_take(struct catchup *c, const struct kafka_record *record) {
    struct feed_event event;
    enum record_kind kind = feed_take(c->feed, record, c->building, &event);
    if (kind == RECORD_MISMATCH && record->offset != c->stray) {
        c->doubted = record->offset;
        catchup_jump(c, 0);
        return false;
    }
    if (kind == RECORD_MISMATCH) {
        chunk_pass(c->building, record->offset);
        feed_skipped(c->feed, record->offset);
    }
    return true;
}

/* The genesis record was read, because of a record of another feed. */
static void settle_doubt(struct catchup *c, const struct kafka_record *first) {
    struct feed_event event;
    if (first->offset != 0 ||
        record_read(first, c->feed->id, &event, &c->feed->scratch) != RECORD_GENESIS) {
        feed_break_at(c->feed, c->doubted);
        return;
    }
    c->stray = c->doubted;
    c->doubted = -1;
    catchup_jump(c, c->stray);
}

static void catchup_on_record(void *arg, const struct kafka_record *record) {
    struct catchup *c = arg;
    if (!c->building || record->offset < c->next || c->feed->stopped)
        return;
    if (c->doubted >= 0) {
        settle_doubt(c, record);
        return;
    }
    c->next = record->offset + 1;
    if (record->offset <= c->stop && !catchup_take(c, record))
        return;
    if (record->offset >= c->stop) /* compaction removed what lies between */
        chunk_extend(c->building, c->stop);
    if (c->building->to >= c->stop || chunk_is_full(c->building, c->bytes))
        catchup_finish(c);
}

static void catchup_on_end(void *arg, const char *topic, int32_t partition, int64_t offset) {
    struct catchup *c = arg;
    (void)topic, (void)partition;
    if (!c->building || offset < c->next || c->doubted >= 0)
        return;
    if (offset <= c->stop) {
        feed_health_suspect(&c->feed->health);
        return;
    }
    chunk_extend(c->building, c->stop);
    catchup_finish(c);
}

static void catchup_on_failed(void *arg, const char *topic, enum consumer_fault fault,
                              const char *reason) {
    (void)topic;
    struct catchup *c = arg;
    if (fault == CONSUMER_OUT_OF_RANGE)
        feed_break(c->feed, reason);
}

static void on_drained(void *arg) {
    struct catchup *c = arg;
    if (c->building && c->doubted < 0)
        catchup_jump(c, c->next);
}

static bool open_consumer(struct catchup *c) {
    struct error err;
    const struct consumer_options options = {
        .kafka = c->feed->options.kafka,
        .fetch_wait_ms = 10, /* a jump waits for a fetch parked at the end */
        .queue_kib = 8192,
        .fetch_bytes = FETCH_BYTES,
        .record = catchup_on_record,
        .end = catchup_on_end,
        .failed = catchup_on_failed,
        .drained = on_drained,
        .arg = c};
    if (!c->consumer && !(c->consumer = consumer_new(c->feed->loop, &options, &err)))
        feed_break(c->feed, err.message);
    return c->consumer;
}

/* The next reader to serve: one at the consumer's position, else the longest waiting. */
static struct feed_reader *catchup_choose(struct catchup *c) {
    if (c->in_sequence < IN_SEQUENCE_MAX)
        for (struct feed_reader *r = c->waiting.next; r != &c->waiting; r = r->next)
            if (r->waits_for + 1 == c->next)
                return r;
    return c->waiting.next;
}

static void forget_place(struct catchup *c) {
    if (c->next >= 0)
        consumer_unassign(c->consumer);
    c->next = c->doubted = c->ahead_from = -1;
    c->ahead_left = 0;
}

/* The position above which to build the next chunk: for a waiting reader, else ahead of a
 * continuing one. -1: none. */
static int64_t next_position(struct catchup *c) {
    if (c->waiting.next != &c->waiting) {
        const struct feed_reader *r = catchup_choose(c);
        c->ahead_left = !r->peeks && feed_chunk_ends_at(c->feed, r->waits_for)
                            ? feed_ahead_share(c->feed)
                            : 0;
        return r->waits_for;
    }
    int64_t position = c->ahead_left ? c->next - 1 : c->ahead_from;
    if (c->ahead_left) {
        c->ahead_left--;
    } else if (position >= 0) {
        c->ahead_from = -1;
        c->ahead_left = feed_ahead_share(c->feed);
        c->ahead_left -= c->ahead_left > 0;
    }
    return position >= 0 && !feed_chunk_at(c->feed, position) ? position : -1;
}

static void start_next(struct catchup *c) {
    if (c->building || c->feed->stopped || c->halted)
        return;
    int64_t position = next_position(c);
    if (position < 0) {
        forget_place(c);
        return;
    }
    if (!open_consumer(c))
        return;
    c->building = chunk_new(position, ++c->feed->serial);
    c->bytes = feed_chunk_share(c->feed);
    buf_reserve(&c->building->texts, c->bytes);
    c->stop = feed_gap_end(c->feed, position);
    if (position + 1 == c->next) {
        c->in_sequence++;
    } else {
        c->in_sequence = 0;
        catchup_jump(c, position + 1);
    }
}

void catchup_ahead(struct catchup *c, int64_t position) {
    if (c->building ? c->building->from == position : c->next == position + 1)
        c->ahead_left = feed_ahead_share(c->feed);
    else
        c->ahead_from = position;
    start_next(c);
}

void catchup_wait(struct catchup *c, struct feed_reader *r, int64_t position) {
    catchup_forget(r);
    r->waits_for = position;
    catchup_append(&c->waiting, r);
    start_next(c);
}

void catchup_halt(struct catchup *c) {
    c->halted = true;
    chunk_free(c->building);
    c->building = NULL;
    forget_place(c);
}

void catchup_go_on(struct catchup *c) {
    c->halted = false;
    start_next(c);
}

size_t catchup_bytes(const struct catchup *c) { return c->building ? chunk_bytes(c->building) : 0; }
