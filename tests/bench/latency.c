/* Latencies, one in flight or at a fixed rate, each beside the bare limit that it is held against.
 * Prints count, p50, p90, p99 and max in microseconds. Loopback only.
 *
 *   latency kafka BROKERS TOPIC COUNT   the broker's own round trip, acks=all
 *   latency publish URL COUNT           a POST to ess-ingest
 *   latency receive CERT KEY SECONDS    from the publish (data.sent_us) to an HTTPS receiver
 *   latency send URL COUNT RATE         publishes {"sent_us":…} at a rate, for that receiver
 *   latency post URL CA COUNT           a bare libcurl POST over TLS to such a receiver
 *
 * kafka, publish and post have one in flight. At SIGUSR1 receive prints too, and begins anew. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"

enum { SAMPLES_MAX = 1000000, WARM_UP = 50 };

static int64_t samples[SAMPLES_MAX];
static size_t sample_count;
static pthread_mutex_t samples_lock = PTHREAD_MUTEX_INITIALIZER;

static void add_sample(int64_t us) {
    pthread_mutex_lock(&samples_lock);
    if (sample_count < SAMPLES_MAX)
        samples[sample_count++] = us;
    pthread_mutex_unlock(&samples_lock);
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_samples(void) {
    pthread_mutex_lock(&samples_lock);
    if (sample_count == 0)
        printf("count=0\n");
    qsort(samples, sample_count, sizeof *samples, ascending);
    if (sample_count)
        printf("count=%zu p50_us=%" PRId64 " p90_us=%" PRId64 " p99_us=%" PRId64 " max_us=%" PRId64
               "\n",
               sample_count, samples[sample_count / 2], samples[sample_count * 9 / 10],
               samples[sample_count * 99 / 100], samples[sample_count - 1]);
    sample_count = 0;
    pthread_mutex_unlock(&samples_lock);
}

static int fail(const char *what) {
    fprintf(stderr, "latency: %s\n", what);
    return 1;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char reason[200];
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason))
        exit(fail(reason));
}

static int run_kafka(const char *brokers, const char *topic, long count) {
    char payload[200], reason[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    memset(payload, 'x', sizeof payload);
    set(conf, "bootstrap.servers", brokers);
    set(conf, "acks", "all");
    set(conf, "enable.idempotence", "true");
    set(conf, "linger.ms", "0");
    set(conf, "socket.nagle.disable", "true");
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    if (!rk)
        return fail(reason);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(rk);
    for (long i = 0; i < count + WARM_UP; i++) {
        int64_t began = clock_us();
        rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                          RD_KAFKA_V_KEY("k", 1), RD_KAFKA_V_VALUE(payload, sizeof payload),
                          RD_KAFKA_V_END);
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
        if (!event || rd_kafka_event_message_next(event)->err)
            return fail("a record was not written");
        rd_kafka_event_destroy(event);
        if (i >= WARM_UP)
            add_sample(clock_us() - began);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
    return 0;
}

static size_t discard(char *data, size_t size, size_t count, void *arg) {
    (void)data, (void)arg;
    return size * count;
}

static CURL *new_post(const char *url, const char *ca) {
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    if (ca)
        curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
    return easy;
}

static int post(CURL *easy, const char *body) {
    long status = 0;
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return code || status / 100 != 2
               ? fail(code ? curl_easy_strerror(code) : "an answer other than 2xx")
               : 0;
}

/* An event of about 200 bytes, as a copay change is. */
static void make_body(char out[400], int64_t sent_us) {
    snprintf(out, 400,
             "{\"topic\":\"drug.copay\",\"key\":\"00002-8215\",\"data\":{\"sent_us\":%" PRId64
             ",\"ndc\":\"00002-8215\",\"name\":\"insulin "
             "lispro\",\"copay\":25,\"currency\":\"USD\",\"effective\":\"2026-01-01\"}}",
             sent_us);
}

static int run_publish(const char *url, const char *ca, long count) {
    char body[400];
    CURL *easy = new_post(url, ca);
    for (long i = 0; i < count + WARM_UP; i++) {
        make_body(body, 0);
        int64_t began = clock_us();
        if (post(easy, body))
            return 1;
        if (i >= WARM_UP)
            add_sample(clock_us() - began);
    }
    curl_easy_cleanup(easy);
    return 0;
}

static int run_send(const char *url, long count, long rate) {
    char body[400];
    CURL *easy = new_post(url, NULL);
    int64_t began = clock_us();
    for (long i = 0; i < count; i++) {
        int64_t due = began + i * 1000000 / rate, now = clock_us();
        if (due > now)
            usleep((useconds_t)(due - now));
        make_body(body, clock_us());
        if (post(easy, body))
            return 1;
    }
    curl_easy_cleanup(easy);
    printf("sent=%ld seconds=%.1f\n", count, (double)(clock_us() - began) / 1e6);
    return 0;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state) {
    static char begun;
    (void)cls, (void)url, (void)method, (void)version;
    if (!*state) {
        *state = &begun;
        return MHD_YES;
    }
    if (*size) {
        const char *sent = memmem(data, *size, "\"sent_us\":", 10);
        int64_t sent_us = sent ? strtoll(sent + 10, NULL, 10) : 0;
        if (sent_us)
            add_sample(clock_us() - sent_us);
        *size = 0;
        return MHD_YES;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL,
                                                                    MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

static char *read_file(const char *path) {
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 65536);
    if (!file || !text || fread(text, 1, 65535, file) == 0)
        exit(fail(path));
    fclose(file);
    return text;
}

static int run_receive(const char *cert, const char *key, long seconds) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char *cert_text = read_file(cert), *key_text = read_file(key);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_TLS | MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, NULL,
        MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_HTTPS_MEM_CERT, cert_text,
        MHD_OPTION_HTTPS_MEM_KEY, key_text, MHD_OPTION_END);
    if (!daemon)
        return fail("the receiver does not start");
    printf("port=%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    struct timespec limit = {.tv_sec = seconds};
    while (sigtimedwait(&set, NULL, &limit) ==
           SIGUSR1) { /* until told to end, or the time is over */
        print_samples();
        fflush(stdout);
    }
    MHD_stop_daemon(daemon);
    free(cert_text);
    free(key_text);
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    int result;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (strcmp(what, "kafka") == 0 && argc == 5)
        result = run_kafka(argv[2], argv[3], strtol(argv[4], NULL, 10));
    else if (strcmp(what, "publish") == 0 && argc == 4)
        result = run_publish(argv[2], NULL, strtol(argv[3], NULL, 10));
    else if (strcmp(what, "post") == 0 && argc == 5)
        result = run_publish(argv[2], argv[3], strtol(argv[4], NULL, 10));
    else if (strcmp(what, "send") == 0 && argc == 5)
        return run_send(argv[2], strtol(argv[3], NULL, 10), strtol(argv[4], NULL, 10));
    else if (strcmp(what, "receive") == 0 && argc == 5)
        result = run_receive(argv[2], argv[3], strtol(argv[4], NULL, 10));
    else
        return fail("usage: kafka BROKERS TOPIC COUNT | publish URL COUNT | receive CERT KEY "
                    "SECONDS | send URL COUNT RATE | post URL CA COUNT");
    if (result == 0)
        print_samples();
    return result;
}
