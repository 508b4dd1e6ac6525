/* Shared by feed_test.c and catchup_test.c: librdkafka's mock broker with a log, a loop, and a feed
 * that reads it. The mock keeps 5 MB of a partition: a test's log must be smaller. */
#ifndef ESS_TESTS_FEED_WORLD_H
#define ESS_TESTS_FEED_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>

#include <librdkafka/rdkafka_mock.h> /* must follow rdkafka.h */

#include "common/base/clock.h"
#include "common/feed/feed.h"
#include "common/kafka/offsets.h"
#include "common/model/event.h"

#define FEED_A "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
#define FEED_B "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"

enum { PATIENCE_MS = 150000, LOOK_MS = 1 };

struct world {
    struct loop *loop;
    rd_kafka_t *writer;
    rd_kafka_mock_cluster_t *mock;
    struct kafka_config config;
    char brokers[200];
    struct offsets *offsets; /* the feed's */
    struct feed *feed;
    int64_t written; /* cursor of the newest record; -1: none */
    /* reported by the feed */
    int64_t appended, last_appended, foreign, broken, crowded;
    char reason[200];
    /* of run_until */
    struct loop_timer look;
    bool (*met)(void *arg);
    void *met_arg;
    int64_t give_up_ms;
};

static inline void look(void *arg) {
    struct world *w = arg;
    if (w->met(w->met_arg) || clock_ms() > w->give_up_ms)
        loop_stop(w->loop);
    else
        loop_timer_set(w->loop, &w->look, clock_ms() + LOOK_MS);
}

static inline void run_until(struct world *w, bool (*met)(void *), void *arg) {
    w->met = met;
    w->met_arg = arg;
    w->give_up_ms = clock_ms() + PATIENCE_MS;
    loop_timer_set(w->loop, &w->look, clock_ms());
    loop_run(w->loop);
    loop_timer_clear(w->loop, &w->look);
    assert_true(met(arg));
}

static inline void on_appended(void *arg, const struct feed_event *event) {
    struct world *w = arg;
    w->appended++;
    w->last_appended = event->cursor;
}

static inline void on_broken(void *arg, const char *reason) {
    struct world *w = arg;
    w->broken++;
    snprintf(w->reason, sizeof w->reason, "%s", reason);
}

static inline void on_foreign(void *arg, int64_t cursor) {
    struct world *w = arg;
    (void)cursor;
    w->foreign++;
}

static inline void on_crowded(void *arg, size_t readers) {
    struct world *w = arg;
    (void)readers;
    w->crowded++;
}

static inline void setup(struct world *w) {
    char reason[256];
    *w = (struct world){.written = -1, .last_appended = -1};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", reason, sizeof reason);
    rd_kafka_conf_set(conf, "log_level", "0", reason, sizeof reason);
    w->writer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    assert_non_null(w->writer);
    w->mock = rd_kafka_handle_mock_cluster(w->writer);
    rd_kafka_mock_topic_create(w->mock, "ess.events", 1, 1);
    snprintf(w->brokers, sizeof w->brokers, "%s", rd_kafka_mock_cluster_bootstraps(w->mock));
    w->config = (struct kafka_config){.brokers = w->brokers, .prefix = (char *)(uintptr_t)"ess"};
    w->loop = loop_new();
    loop_timer_init(&w->look, look, w);
}

static inline void teardown(struct world *w) {
    feed_free(w->feed);
    offsets_free(w->offsets);
    rd_kafka_destroy(w->writer);
    assert_true(kafka_handles_destroyed(PATIENCE_MS));
    loop_free(w->loop);
}

static inline void write_record(struct world *w, struct span key, const char *value, size_t len,
                                rd_kafka_headers_t *headers) {
    assert_int_equal(rd_kafka_producev(w->writer, RD_KAFKA_V_TOPIC("ess.events"),
                                       RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY(key.data, key.len),
                                       RD_KAFKA_V_VALUE((void *)(uintptr_t)value, len),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                       RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END),
                     0);
    w->written++;
}

static inline void write_genesis(struct world *w, const char *feed) {
    char key[64] = "\0genesis/", value[80];
    memcpy(key + 9, feed, 36);
    int len = snprintf(value, sizeof value, "{\"v\":1,\"feed\":\"%s\"}", feed);
    write_record(w, (struct span){key, 45}, value, (size_t)len, rd_kafka_headers_new(1));
}

/* An event of so many bytes of data. */
static inline void write_event(struct world *w, const char *feed, const char *topic, size_t bytes) {
    char id[32];
    struct buf stored = {0};
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    snprintf(id, sizeof id, "id-%lld", (long long)w->written + 1);
    buf_printf(&stored, "{\"topic\":\"%s\",\"id\":\"%s\",\"data\":\"", topic, id);
    memset(buf_reserve(&stored, bytes), 'x', bytes);
    buf_commit(&stored, bytes);
    buf_puts(&stored, "\"}");
    rd_kafka_header_add(headers, "ess-v", -1, "1", -1);
    rd_kafka_header_add(headers, "ess-feed", -1, feed, -1);
    rd_kafka_header_add(headers, "ess-topic", -1, topic, -1);
    rd_kafka_header_add(headers, "ess-id", -1, id, -1);
    write_record(w, span_of(topic), stored.data, stored.len, headers);
    buf_fini(&stored);
}

static inline void flush(struct world *w) {
    assert_int_equal(rd_kafka_flush(w->writer, PATIENCE_MS), 0);
}

/* Sets up a world with a log of `records` records: the genesis record, then events of the topic "t"
 * with `bytes` bytes of data each. */
static inline void setup_log(struct world *w, int records, size_t bytes) {
    setup(w);
    write_genesis(w, FEED_A);
    for (int i = 1; i < records; i++)
        write_event(w, FEED_A, "t", bytes);
    flush(w);
}

static inline void open_feed_from(struct world *w, const char *feed, int64_t cache_bytes,
                                  int64_t start) {
    struct error err;
    flush(w);
    if (!w->offsets)
        w->offsets = offsets_new(w->loop, &w->config, &err);
    assert_non_null(w->offsets);
    const struct feed_options options = {.kafka = &w->config,
                                         .offsets = w->offsets,
                                         .feed_id = feed,
                                         .start = start,
                                         .end = w->written,
                                         .cache_bytes = cache_bytes,
                                         .appended = on_appended,
                                         .broken = on_broken,
                                         .foreign = on_foreign,
                                         .crowded = on_crowded,
                                         .arg = w};
    w->feed = feed_new(w->loop, &options, &err);
    assert_non_null(w->feed);
}

/* Opens the feed at the log's end, as a dispatcher does. */
static inline void open_feed(struct world *w, const char *feed, int64_t cache_bytes) {
    open_feed_from(w, feed, cache_bytes, w->written);
}

/* A reader from a position to the end. */
struct party {
    struct world *world;
    struct feed_reader reader;
    char *wants; /* a topic; NULL: everything */
    struct subscription subscription;
    int64_t position;
    int64_t events, bytes;
    int64_t waits; /* how often a chunk was not in memory */
    bool ended, compacted, paused;
    int64_t pause_after; /* so many events; 0: never */
};

static inline bool party_wants(const struct party *p, struct span topic) {
    return !p->wants || span_equal(topic, span_of(p->wants));
}

static inline void party_step(void *arg) {
    struct party *p = arg;
    struct feed_event event;
    struct feed_passed passed;
    while (!p->paused) {
        enum feed_result result = feed_next(p->world->feed, &p->reader, p->position, &event,
                                            &passed);
        assert_true(passed.to >= p->position);
        p->compacted |= passed.compacted;
        p->position = passed.to;
        if (result != FEED_EVENT) {
            p->ended = result == FEED_END;
            p->waits += result == FEED_LATER;
            return;
        }
        assert_int_equal(event.cursor, passed.to + 1);
        assert_true(party_wants(p, event.topic));
        p->position = event.cursor;
        p->bytes += (int64_t)event.stored.len;
        p->events++;
        p->paused |= p->events == p->pause_after;
    }
}

static inline void party_init(struct party *p, struct world *w, int64_t position, char *wants) {
    *p = (struct party){.world = w, .position = position, .wants = wants};
    p->subscription = (struct subscription){.patterns = &p->wants, .patterns_count = 1};
    feed_reader_init(&p->reader, wants ? &p->subscription : NULL, party_step, p);
}

static inline bool party_ended(void *arg) {
    return ((struct party *)arg)->ended || ((struct party *)arg)->world->broken;
}

static inline bool world_broken(void *arg) { return ((struct world *)arg)->broken; }
static inline bool world_caught_up(void *arg) {
    return feed_end(((struct world *)arg)->feed) == ((struct world *)arg)->written;
}
static inline bool world_sure(void *arg) { return feed_sure(((struct world *)arg)->feed); }
static inline bool world_unsure(void *arg) { return !feed_sure(((struct world *)arg)->feed); }

#endif
