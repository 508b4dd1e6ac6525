/* The feed reader by itself, without HTTP. Loopback only.
 *
 *   feed fill BROKERS PREFIX COUNT BYTES   appends events to a log that an ingest has begun
 *   feed read BROKERS PREFIX CACHE_BYTES   reads all of them, while 200 a second are appended
 *
 * `read` prints events a second, the most memory that chunks took, and how long an append took to
 * reach the tail, before and during the reading, in microseconds. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/feed/feed.h"
#include "common/feed/genesis.h"
#include "common/kafka/handle.h"
#include "common/kafka/offsets.h"

enum { RATE = 200, IDLE_MS = 3000, SAMPLES_MAX = 100000, LOOK_MS = 1 };

static struct kafka_config config;
static struct genesis genesis;

/* --- writing */

static rd_kafka_t *writer_new(void) {
    static const struct kafka_setting settings[] = {{"acks", "all"},
                                                    {"enable.idempotence", "true"},
                                                    {"queue.buffering.max.messages", "200000"},
                                                    {"linger.ms", "0"},
                                                    {NULL, NULL}};
    struct error err;
    rd_kafka_t *rk = kafka_handle_new(RD_KAFKA_PRODUCER, &config, settings, &err);
    if (!rk) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return rk;
}

static void take_reports(rd_kafka_t *rk, int wait_ms) {
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(rk);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, wait_ms);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
}

/* False: the queue is full. */
static bool write_event(rd_kafka_t *rk, const char *id, const char *data, size_t len) {
    struct buf topic = {0}, stored = {0};
    rd_kafka_headers_t *headers = rd_kafka_headers_new(6);
    const char *name = "bench.feed";
    buf_printf(&topic, "%s.events", config.prefix);
    buf_printf(
        &stored,
        "{\"topic\":\"%s\",\"id\":\"%s\",\"ts\":\"2026-01-01T00:00:00.000Z\",\"data\":\"%.*s\"}",
        name, id, (int)len, data);
    rd_kafka_header_add(headers, "ess-v", -1, "1", -1);
    rd_kafka_header_add(headers, "ess-topic", -1, name, -1);
    rd_kafka_header_add(headers, "ess-id", -1, id, -1);
    rd_kafka_header_add(headers, "ess-ts", -1, "2026-01-01T00:00:00.000Z", -1);
    rd_kafka_header_add(headers, "ess-feed", -1, genesis.feed, -1);
    bool sent = rd_kafka_producev(
                    rk, RD_KAFKA_V_TOPIC(buf_string(&topic)), RD_KAFKA_V_PARTITION(0),
                    RD_KAFKA_V_KEY(name, strlen(name)), RD_KAFKA_V_VALUE(stored.data, stored.len),
                    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(headers),
                    RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!sent)
        rd_kafka_headers_destroy(headers);
    buf_fini(&topic);
    buf_fini(&stored);
    return sent;
}

static void fill(int64_t count, size_t bytes) {
    rd_kafka_t *rk = writer_new();
    char id[48], *data = mem_alloc(bytes);
    memset(data, 'x', bytes);
    for (int64_t i = 0; i < count; i++) {
        snprintf(id, sizeof id, "00000000-0000-7000-8000-%012" PRId64, i);
        while (!write_event(rk, id, data, bytes))
            take_reports(rk, 10);
        take_reports(rk, 0);
    }
    while (rd_kafka_outq_len(rk))
        take_reports(rk, 10);
    kafka_handle_end(rk, 0);
    free(data);
}

/* --- reading */

static struct {
    struct loop *loop;
    struct feed *feed;
    struct feed_reader reader;
    struct loop_timer turn, look;
    int64_t position, events, bytes, began_us, ended_us;
    size_t most_bytes;
    atomic_bool stop;
    int64_t samples[2][SAMPLES_MAX];
    size_t samples_count[2];
} bench;

static void *write_samples(void *arg) {
    rd_kafka_t *rk = writer_new();
    char id[40], text[32];
    (void)arg;
    for (int64_t i = 0; !bench.stop; i++) {
        snprintf(id, sizeof id, "sample-%" PRId64, i);
        int len = snprintf(text, sizeof text, "%" PRId64, clock_us());
        write_event(rk, id, text, (size_t)len);
        take_reports(rk, 0);
        usleep(1000000 / RATE);
    }
    kafka_handle_end(rk, 0);
    return NULL;
}

static void on_appended(void *arg, const struct feed_event *event) {
    const char *data = "\"data\":\"";
    char text[400];
    (void)arg;
    snprintf(text, sizeof text, "%.*s",
             (int)(event->stored.len < sizeof text ? event->stored.len : sizeof text - 1),
             event->stored.data);
    char *at = strstr(text, data);
    int phase = bench.began_us != 0;
    if (at && bench.samples_count[phase] < SAMPLES_MAX)
        bench.samples[phase][bench.samples_count[phase]++] = clock_us() -
                                                             strtoll(at + strlen(data), NULL, 10);
}

static void on_broken(void *arg, const char *reason) {
    (void)arg;
    fprintf(stderr, "broken: %s\n", reason);
    exit(1);
}

/* As a stream does it: a piece, then others have their turn. */
static void step(void *arg) {
    enum { PIECE_BYTES = 64 * 1024 };
    struct feed_event event;
    struct feed_passed passed;
    int64_t began = bench.bytes;
    (void)arg;
    while (bench.bytes - began < PIECE_BYTES) {
        enum feed_result result = feed_next(bench.feed, &bench.reader, bench.position, &event,
                                            &passed);
        bench.position = passed.to;
        if (result == FEED_LATER)
            return;
        if (result == FEED_END) {
            bench.ended_us = clock_us();
            loop_stop(bench.loop);
            return;
        }
        bench.position = event.cursor;
        bench.bytes += (int64_t)event.stored.len;
        bench.events++;
    }
    loop_timer_set(bench.loop, &bench.turn, clock_ms());
}

static void look(void *arg) {
    (void)arg;
    size_t bytes = feed_bytes(bench.feed);
    bench.most_bytes = bytes > bench.most_bytes ? bytes : bench.most_bytes;
    loop_timer_set(bench.loop, &bench.look, clock_ms() + LOOK_MS);
}

static void begin(void *arg) {
    bench.began_us = clock_us();
    step(arg);
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void print_samples(const char *what, int phase) {
    int64_t *s = bench.samples[phase];
    size_t n = bench.samples_count[phase];
    qsort(s, n, sizeof *s, by_size);
    if (n)
        printf(" %s_p50_us=%" PRId64 " %s_p99_us=%" PRId64 " %s_max_us=%" PRId64, what, s[n / 2],
               what, s[n * 99 / 100], what, s[n - 1]);
}

static double cpu_s(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void read_all(int64_t cache_bytes) {
    struct loop_timer start;
    struct error err;
    pthread_t writer;
    bench.loop = loop_new();
    const struct feed_options options = {.kafka = &config,
                                         .offsets = offsets_new(bench.loop, &config, &err),
                                         .feed_id = genesis.feed,
                                         .start = genesis.end,
                                         .cache_bytes = cache_bytes,
                                         .appended = on_appended,
                                         .broken = on_broken};
    bench.feed = feed_new(bench.loop, &options, &err);
    feed_reader_init(&bench.reader, NULL, step, NULL);
    loop_timer_init(&bench.turn, step, NULL);
    loop_timer_init(&bench.look, look, NULL);
    loop_timer_init(&start, begin, NULL);
    loop_timer_set(bench.loop, &bench.look, clock_ms());
    loop_timer_set(bench.loop, &start, clock_ms() + IDLE_MS);
    pthread_create(&writer, NULL, write_samples, NULL);
    double cpu = cpu_s();
    loop_run(bench.loop);
    cpu = cpu_s() - cpu;
    bench.stop = true;
    pthread_join(writer, NULL);
    double seconds = (double)(bench.ended_us - bench.began_us) / 1e6;
    printf("feed events=%" PRId64
           " per_sec=%.0f mib_per_sec=%.0f cpu_us_each=%.2f cache_most_bytes=%zu",
           bench.events, (double)bench.events / seconds, (double)bench.bytes / seconds / 1048576,
           cpu * 1e6 / (double)bench.events, bench.most_bytes);
    print_samples("tail_idle", 0);
    print_samples("tail_busy", 1);
    printf("\n");
}

int main(int argc, char **argv) {
    struct error err;
    if (argc < 5 || (strcmp(argv[1], "fill") == 0 ? argc != 6 : argc != 5)) {
        fprintf(
            stderr,
            "usage: feed fill BROKERS PREFIX COUNT BYTES | feed read BROKERS PREFIX CACHE_BYTES\n");
        return 2;
    }
    config = (struct kafka_config){.brokers = argv[2], .prefix = argv[3]};
    if (genesis_ensure(&config, false, &genesis, &err) != TOPICS_READY) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    if (strcmp(argv[1], "fill") == 0)
        fill(strtoll(argv[4], NULL, 10), (size_t)strtoll(argv[5], NULL, 10));
    else
        read_all(strtoll(argv[4], NULL, 10));
    return 0;
}
